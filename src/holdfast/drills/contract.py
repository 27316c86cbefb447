"""What a drill needs from outside: ports that ``assembly`` and the command line fill, and the values that travel between them.

The engine knows no system, no vault and no terminal. Whoever fills a port makes every change only through ``Changes``, so that it is in the
journal, with how it is undone, before it is made.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from holdfast.model import Progress
from holdfast.validation import Result

Control = Literal["stale", "truncated", "poisoned"]
CONTROLS: tuple[Control, ...] = ("stale", "truncated", "poisoned")
RED_BY: Mapping[Control, str] = {"stale": "check sentinel", "truncated": "a damaged vault", "poisoned": "check content"}
"""Why each control must be red."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What is written into a source: ``nonce`` of the drill, ``n`` counted from 0, the source's own time. RPO is counted in marks."""

    nonce: str
    n: int
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class Promised:
    """Seconds, None where nothing was promised."""

    rto: float | None
    rpo: float | None


class Changes(Protocol):
    """The journal of what a drill changes. Usable from the engine's thread alone."""

    def doing(self, change: str, undo: Mapping[str, Any]) -> str:
        """To be called before a change; durable when it returns. ``undo``: JSON-ready, understood by ``Stage.undo`` in any later process.
        Returns the id of the change.
        """
        ...

    def undone(self, change: str, proof: str) -> None:
        """It is gone, and ``proof`` says what was looked at."""
        ...


class Copy(Protocol):
    """Something that stands or came back: a throw-away copy. It lives as long as the context that gave it."""

    @property
    def reached(self) -> Mapping[str, Any]:
        """Where its data stands, as ``systems.contract.Isolated.reached``."""
        ...

    @property
    def connection(self) -> str: ...

    @property
    def until(self) -> Mapping[str, Any]:
        """The moment that it holds, as ``systems.contract.RestoreRequest.until``: a recovery to there must hold the same."""
        ...

    def isolation(self) -> Sequence[Mapping[str, Any]]:
        """What keeps it from production: what was looked at, ``{"name", "expected", "actual"}``."""
        ...

    def marks(self, nonce: str) -> Sequence[Mark]:
        """The marks of that nonce which are in it, in order."""
        ...

    def digest(self) -> Mapping[str, Any]:
        """Content by name, as ``Isolated.digest``."""
        ...

    def judge(self, criteria: Sequence[str], expected: Mapping[str, Any] | None) -> Sequence[Result]:
        """``structure``, ``checks`` and ``content`` (against ``expected``, the digest of what stood before the disaster), as asked for."""
        ...


@dataclass(frozen=True, slots=True)
class Look:
    """One look of a probe. ``ok`` None: it could not look, which is red as well."""

    ok: bool | None
    value: Any = None
    detail: str = ""


class Probe(Protocol):
    """Looks at one thing, again and again, from a thread of its own; must not change anything."""

    name: str
    every: float
    needs_before: str
    """Why one look says nothing of what came back; "" where it does."""

    def look(self) -> Look: ...

    def end(self) -> None:
        """End a look that is under way, and every later one at once: called from another thread when nobody waits for it any more."""
        ...


class Restorer(Protocol):
    """One protected system, as a drill works with it."""

    system: str
    kind: str
    promised: Promised
    owner: str | None
    has_checks: bool
    """Whether the plan has checks for it."""
    unasked: Sequence[str]
    """Names of its checks that compare with the source: a drill does not ask them."""
    marked: bool
    """Whether marks can be written into it."""
    unmarked: str
    """Why not."""
    controls: Sequence[Control]
    """With what it can be fed."""

    def steady(self) -> Sequence[Result]:
        """Does the source answer, are its checks green, is the vault there, is there room? Looks only; what fails is named."""
        ...

    def plant(self, nonce: str, n: int, changes: Changes) -> Mark:
        """Write a mark into the source, committed when it returns. Raises SentinelUnwritable."""
        ...

    def backup(self, progress: Progress) -> str:
        """A recovery point that holds what is in the source now; its id."""
        ...

    def points(self) -> int:
        """How many recovery points the vault has of it."""
        ...

    def stand_in(self, progress: Progress) -> AbstractContextManager[Copy]:
        """A throw-away copy of the newest state, which stands for production. Torn down on leaving; after a kill by ``sweep``."""
        ...

    def recover(
        self, until: Mapping[str, Any], control: Control | None, clocks: dict[str, float], progress: Progress
    ) -> AbstractContextManager[Copy]:
        """Bring it back into a new place, as a real recovery would; ``control``: fed with something wrong on purpose. ``clocks`` gets
        seconds: prepare, restore, replay. Torn down after.
        """
        ...

    def sweep(self) -> Sequence[str]:
        """Tear down what killed processes left; what was removed."""
        ...


@dataclass(frozen=True, slots=True)
class Followed:
    """What became of a runbook. ``run``: its own; ``outcome``: done, or how it stands (waiting, stopped); ``why``: in words, "" where it
    was done. ``clocks``: seconds by phase; ``phases``: step → phase.
    """

    run: str
    outcome: str
    why: str
    clocks: Mapping[str, float]
    phases: Mapping[str, str]


class Procedure(Protocol):
    """A runbook that is the way back, played against throw-away places of the drill."""

    run: str
    """Of the runbook, "" before it began."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """``{"name", "title", "hash"}`` of the page, for the record."""
        ...

    def refuse(self, systems: Sequence[str]) -> None:
        """Before anything begins: raises DrillProduction for steps that reach production, or may; DrillUsage where it does not fit the
        drill; the faults of a page that has errors. Changes nothing.
        """
        ...

    def follow(
        self,
        drill: str,
        by: str,
        until: Mapping[str, Mapping[str, Any]],
        given: Mapping[str, str],
        ask: "Callable[[Question], Answer]",
        tell: Callable[[str], None],
        changes: Changes,
    ) -> Followed:
        """To its end, or to where it stops. ``drill``: the drill's run; ``until``: by system the moment to return to, as
        ``RestoreRequest.until``; ``given``: further values for its parameters. Everything that it makes is in ``changes`` before.
        """
        ...

    def returned(self, restorer: "Restorer") -> AbstractContextManager[Copy]:
        """What it brought back of a system. Raises NothingReturned where it brought nothing, or nothing that answers."""
        ...


@dataclass(frozen=True)
class Injected:
    """A disaster that happened. ``what`` in words, for the record. ``detected``: red at once by what it is, no probe is waited for."""

    what: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    detected: bool = False


class Injector(Protocol):
    """One kind of disaster."""

    def refuse(self) -> None:
        """Before anything begins: raises DrillProduction, DrillUsage where it must not or cannot be done. Changes nothing."""
        ...

    def prepare(self, restorers: Sequence[Restorer], changes: Changes, progress: Progress) -> tuple[Sequence[Restorer], Sequence[Restorer]]:
        """Whatever the disaster needs beforehand (a vault in the target). Returns (by whom points are taken and stand-ins made, by whom the
        systems come back): others than before, where the way is another one (a location less, another key, another vault).
        """
        ...

    def do(self, standing: Mapping[str, Copy], lose: Callable[[str], None], changes: Changes) -> Injected:
        """The disaster. ``standing``: the stand-ins by system; ``lose``: takes one away altogether."""
        ...

    def close(self) -> None:
        """The drill is over: let go of what was opened. May be called twice."""
        ...


class Stage(Protocol):
    """Everything of one platform that a drill works with."""

    def restorers(self, systems: Sequence[str]) -> Sequence[Restorer]: ...

    def injector(self, disaster: Mapping[str, Any]) -> Injector: ...

    def procedure(self, spec: Mapping[str, Any]) -> Procedure:
        """``spec``: as a scenario names it (``scenario.shape.RunbookSpec``). Raises what keeps the page from being read."""
        ...

    def probes(self, specs: Sequence[Mapping[str, Any]], standing: Mapping[str, Copy]) -> Sequence[Probe]:
        """``specs``: as a scenario names them, ``every`` in seconds."""
        ...

    def undo(self, undo: Mapping[str, Any]) -> str:
        """Take back one change, in this or any later process; done twice it does no harm. Returns the proof: what was looked
        at, and was not there any more. Raises NotTornDown, Unreachable.
        """
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """Somebody is asked. ``what``: declare, decide, accept, answer, judge, and what runbooks ask for; ``role``: whose part; ``options``:
    name → meaning, {} for words. ``id``: of a tabletop's question, or of a runbook's step. ``names``: who may be played for it.
    """

    what: str
    text: str
    role: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    id: str = ""
    names: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """``name``: the person; ``played_by``: who spoke for them, where nobody was asked. ``refused``: they said no. ``beforehand``: who
    gave the answer before there was anything to be answered, "" where they were asked.
    """

    name: str
    text: str
    refused: bool = False
    played_by: str | None = None
    beforehand: str = ""


class People(Protocol):
    """Who is there. Blocks until somebody answers; that is what ``wait`` measures."""

    def ask(self, question: Question) -> Answer: ...


class Reporter(Protocol):
    """Hears what happens, for whoever looks on. Every text is told as one of a drill."""

    def told(self, text: str) -> None: ...

    def phase(self, name: str, state: Literal["begun", "ended"]) -> None:
        """After it was written down."""
        ...


class Responder(Protocol):
    """Incidents. Everything sent is marked as a drill. A fault of it is told, recorded, and stops nothing."""

    def declare(self, run: str, title: str, systems: Sequence[str]) -> str | None:
        """The incident's id; None where nobody keeps incidents."""
        ...

    def note(self, incident: str, text: str) -> None: ...

    def open(self, run: str) -> Sequence[str]:
        """Ids of what was declared in that drill, by whomever, and is not closed."""
        ...

    def close(self, incident: str, text: str) -> None: ...
