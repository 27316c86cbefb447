"""What a system offers to those who get it back."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from holdfast.model import Extracted, Progress, RecoveryPoint
from holdfast.systems.contract.logs import LogStore
from holdfast.systems.contract.reading import PointReader
from holdfast.systems.contract.relation import Relation
from holdfast.systems.contract.sampling import Draw, Sampled
from holdfast.systems.contract.system import RestoreRequest


class History(Protocol):
    """Everything the vault holds of one system, read only."""

    def points(self) -> Sequence[RecoveryPoint]:
        """Committed points, in order of commit."""
        ...

    def open(self, point: str) -> PointReader: ...

    def logs(self) -> LogStore: ...


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a restore will be refused: an error's code, message and hint."""

    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class LogSpan:
    """Log to be replayed, in bytes of the branch's positions."""

    branch: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What a restore would do: data, made before anything is written.

    ``until`` is the target in words with the instant understood; ``place`` the system's coordinate where the recovered state will lie
    (JSON-ready); ``bytes`` of the point and ``log_bytes`` to replay; ``needed`` and ``free`` bytes where it goes (None: unknown).
    ``obstacles`` stand in the way: running the plan raises the first. ``detail`` is the system's own and goes back to it.
    """

    system: str
    kind: str
    point: RecoveryPoint
    until: str
    place: Mapping[str, Any]
    into: Path
    mode: str
    bytes: int
    log_bytes: int
    logs: tuple[LogSpan, ...] = ()
    needed: int = 0
    free: int | None = None
    steps: tuple[str, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    warnings: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    detail: Any = None
    address: str = ""
    """Where it goes, if that is no directory: ``into`` says nothing then."""


@dataclass(frozen=True, slots=True)
class Restored:
    """A restore that was done and is durable. ``reached``: the coordinate where the data stands (JSON-ready), ``clocks`` seconds by phase
    (``prepare restore replay``), ``connection`` how to reach a server that was left running (no secret in it), ``notes`` what to know.
    """

    into: Path
    reached: Mapping[str, Any]
    clocks: Mapping[str, float]
    extracted: Extracted
    log_bytes: int = 0
    connection: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Structural:
    """One finding of a structural check. ``state``: passed, failed, skipped (never counted as passed)."""

    name: str
    state: str
    detail: str = ""


class Isolated(Protocol):
    """A running throw-away copy, or a read-only view of the source: what validation looks at."""

    @property
    def reached(self) -> Mapping[str, Any]: ...

    @property
    def connection(self) -> str: ...

    def query(self, statement: str, *, database: str | None = None, timeout: float | None = None) -> Sequence[Sequence[Any]]:
        """Rows of one read-only statement in the system's language."""
        ...

    def structure(self, progress: Progress | None = None) -> Iterator[Structural]:
        """The system's own structural checks, and a full scan."""
        ...

    def digest(self, selection: Sequence[str] = ()) -> Mapping[str, Any]:
        """Content hashes by name of the thing (table), exact and independent of order; {} when nothing matches. JSON-ready values."""
        ...

    def sample(self, draw: Draw, selection: Sequence[str] = ()) -> Mapping[str, Sampled]:
        """A random part of each thing's content, by the names of ``digest``."""
        ...

    def differences(self, other: "Isolated", name: str, limit: int = 5) -> Mapping[str, Any]:
        """Where two copies of one thing differ: ``{"missing", "extra", "changed", "examples": [{"key", "difference"}]}``; missing: only the
        other has it. What ``digest`` calls a thing by is its name.
        """
        ...

    def relation(self, table: str, database: str | None = None) -> Relation:
        """A table for a library that speaks SQL itself. Raises TableUnknown; a Usage error where a system has no tables."""
        ...


class Recoverable(Protocol):
    """A system that can be returned to a moment of its history."""

    name: str
    kind: str

    def target(self, text: str | None, now: dt.datetime, zone: dt.tzinfo) -> Mapping[str, Any]:
        """What is written behind ``--to``, understood: for ``RestoreRequest.until``. Raises a Usage error."""
        ...

    def plan_restore(self, history: History, request: RestoreRequest) -> RestorePlan:
        """Look and decide; write nothing. Raises when no way leads to the target."""
        ...

    def restore(self, history: History, plan: RestorePlan, progress: Progress) -> Restored:
        """Do it. Raises the plan's first obstacle; never reports success before everything is durable."""
        ...

    def require_room(self, history: History, until: Mapping[str, Any]) -> None:
        """Whether an isolated copy of that moment would fit where such copies live, by the point's own figures. Raises SandboxTooSmall."""
        ...

    def isolate(
        self, history: History, until: Mapping[str, Any], options: Mapping[str, Any], progress: Progress
    ) -> AbstractContextManager[Isolated]:
        """A running copy at a moment, torn down on leaving; after a kill by the next use at the latest."""
        ...

    def source(self, on: str | None = None) -> AbstractContextManager[Isolated]:
        """The protected system itself, read only, for comparison. ``on``: a named member such as 'standby'."""
        ...

    def at_rest(self, ask: Callable[[Isolated], Any], on: str | None = None) -> tuple[Any, Mapping[str, Any] | None]:
        """Ask the source: (what ``ask`` returned, the moment it belongs to as ``RestoreRequest.until``; None when the source moved
        meanwhile).
        """
        ...

    def sweep(self) -> Sequence[str]:
        """Tear down what killed processes left; returns what was removed."""
        ...


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What lay in the source, unchanged, before the newest point was begun, and is not in it: ``count`` units, some of them ``named``."""

    count: int = 0
    named: tuple[str, ...] = ()


@runtime_checkable
class Accountable(Protocol):
    """A system whose source says of what lies in it since when: what a capture missed is told from what came later."""

    def left_out(self, history: History) -> LeftOut:
        """Of the newest point, by names and times alone. Nothing where the source cannot tell. Raises the system's own errors."""
        ...


class Searchable(Protocol):
    """A system whose history can be searched moment by moment."""

    def moments(self, history: History, after: int | None = None, before: int | None = None, timeline: str | None = None) -> "Moments":
        """The places at which the content may have changed, in order, with ``after`` < position < ``before`` (None: as far as one can go).

        Where there are very many, an even choice of them with the first and the last; then ``all`` is False, and asking again between two
        neighbours tells those in between.
        """
        ...

    def walk(self, history: History, options: Mapping[str, Any], progress: Progress) -> "AbstractContextManager[Walker]": ...

    def presence(self, name: str) -> "tuple[str, Callable[[Isolated], bool]]":
        """(what is asked, in words; the question) whether a table of that name is there."""
        ...


@dataclass(frozen=True, slots=True)
class Moment:
    """A place in history: ``position`` orders it, ``until`` leads there, ``shown`` is its coordinate."""

    position: int
    until: Mapping[str, Any]
    shown: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Moments:
    """``all``: nothing lies between two neighbours."""

    found: tuple[Moment, ...]
    all: bool = True


class Walker(Protocol):
    """Opens moment after moment, reusing what it has."""

    def at(self, moment: Moment) -> AbstractContextManager[Isolated]: ...

    def keep(self, moment: Moment) -> None:
        """The search goes on only behind this moment: what was opened for it may serve as the new beginning."""
        ...


@dataclass(frozen=True, slots=True)
class Exported:
    """A point in portable form, durable in ``folder``. ``wal``: (first, last) position of the WAL written, as PostgreSQL shows them; None
    without any. ``dumps``: databases dumped besides. ``owner``: the account that all of it belongs to, and that alone reads it; empty:
    whoever ran the export. ``notes``: what to know.
    """

    point: str
    folder: Path
    files: int
    bytes: int
    wal: tuple[str, str] | None = None
    dumps: tuple[str, ...] = ()
    owner: str = ""
    notes: tuple[str, ...] = ()
