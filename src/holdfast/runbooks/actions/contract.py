"""What every kind of action is asked. A new kind is one class of this shape, added to ``actions.registry``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from holdfast.model import Clock
from holdfast.plan.shape.base import Part
from holdfast.runbooks.actions.output import Kept

if TYPE_CHECKING:
    from holdfast.runbooks.actions.kept import Keeper

Outcome = Literal["ok", "failed", "timeout", "interrupted"]
RUN_MARK = "HOLDFAST_RUNBOOK_RUN"
STEP_MARK = "HOLDFAST_RUNBOOK_STEP"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a spec is refused before anything runs. ``path`` below the action's own mapping."""

    path: tuple[str | int, ...]
    message: str
    hint: str = ""
    severity: Literal["error", "warning"] = "error"


@dataclass(frozen=True, slots=True)
class Call:
    """One doing of an action. ``values``: by reference (``target``, ``restore.port``), secrets among them; ``secrets``: what may be shown
    nowhere. ``timeout`` in seconds. ``program``: the argv that Holdfast itself is started with; ``environment`` what processes get besides
    their own variables; ``directory``: where they start.
    """

    values: Mapping[str, Any]
    secrets: Sequence[str]
    timeout: float
    clock: Clock
    program: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """The run's parameters without its secrets: shell steps find them in their environment."""
    secret: Callable[[Mapping[str, Any]], str] = field(default=lambda _place: "")
    """The text of a secret, by its place."""
    began: Callable[[int], None] = field(default=lambda _process: None)
    """Told the number of each process that is started, at once."""
    note: Callable[[Mapping[str, Any]], None] = field(default=lambda _found: None)
    """Writes into the run's record, at once, what a later doing, probe or undo of this step must know: what was there before it."""
    noted: Mapping[str, Any] = field(default_factory=dict)
    """What the step noted so far, by this process or by one that is gone."""
    attempt: int = 0
    aborting: bool = False
    """Whether what is asked for is an undo, or whether there is anything to undo."""
    sure: Callable[[], None] = field(default=lambda: None)
    """To be called right before something is changed: raises where another host took the run over meanwhile."""
    keeper: "Keeper | None" = None
    """Runs the one process of a doing that changes something, so that it outlives this one. Where it attaches, what the action does before
    is done a second time: it must only look, or do the same again. None for what only looks.
    """

    @property
    def mark(self) -> str:
        """Names the run and the step in other systems: the same after a kill. Letters, digits, '-' and '_'."""
        return f"{self.environment.get(RUN_MARK, 'run')}-{self.environment.get(STEP_MARK, 'step')}"


@dataclass(frozen=True, slots=True)
class Result:
    """``answer``: what it says as a check: True (green, it happened), False (it did not), None (nobody knows). ``document``: the JSON it
    gave, None when there was none; ``text``: its output as a whole where it was not too large.
    """

    outcome: Outcome
    answer: bool | None
    message: str
    streams: Mapping[str, Kept] = field(default_factory=dict)
    document: Any = None
    text: str | None = None
    code: int | None = None


class Action(Protocol):
    """``short``: the key that a plain value stands for (``shell: text``). ``verbatim``: keys in which nothing is inserted.
    ``for_secrets``: keys below which a secret may stand; elsewhere others could read it (a process list, a URL in a log).
    """

    name: str
    shape: type[Part]
    short: str | None
    verbatim: frozenset[str]
    for_secrets: frozenset[str]

    def examine(self, spec: Mapping[str, Any]) -> list[Fault]:
        """What cannot be safe, seen without running it."""
        ...

    def repeatable(self, spec: Mapping[str, Any]) -> bool:
        """Whether it is known to change nothing, so that it may be done again without asking."""
        ...

    def told(self, spec: Mapping[str, Any], variable: "Callable[[str], str]") -> str:
        """What a person would type into a shell instead: on paper, and in a dry run.

        ``variable``: the name of the shell variable that holds what is inserted for a reference.
        """
        ...

    def run(self, spec: Mapping[str, Any], call: Call) -> Result:
        """Do it, once. Never raises for what the outside world did: that is a Result."""
        ...


@runtime_checkable
class Probing(Protocol):
    """An action that knows by itself how to ask whether it happened."""

    def probe(self, spec: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The spec of the same kind of action that asks; it goes into the snapshot where the step has no ``probe:``. None: no such."""
        ...
