"""What a system asks of a vault's writer and reader, and what every system offers to the rooms above.

The vault satisfies the ports structurally (``systems`` and ``vault`` do not import each other); ``assembly`` joins them and mypy checks
the fit.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from holdfast.model import Entry, Extracted, Finding, Increment, Progress, RecoveryPoint

Buffer = bytes | bytearray | memoryview

# ---------------------------------------------------------------- capture: what a system writes to


class Source(Protocol):
    """Random access to a file's content while it is captured. Called from several threads at once, on distinct ranges."""

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` from ``offset``; returns the bytes read, fewer only at the end of the file (a file that shrank is shorter)."""
        ...

    def close(self) -> bool | None:
        """Called once, when everything was read and before the entry goes into the tree. False: leave the entry out, it is added again."""
        ...


Inspect = Callable[[Source, int, memoryview], None]
"""Looks at bytes between reading and hashing, in a worker thread: (source, offset of the run in the file, the run). It may read again
into the
view (a torn page) and records findings itself; it must be thread-safe and release the GIL for its heavy part."""


class Sink(Protocol):
    """Takes the content of a file whose bytes come as a stream. ``write`` blocks when workers are behind (bounded memory)."""

    def write(self, data: Buffer) -> None: ...

    def close(self) -> None:
        """Ends the file; its entry's size becomes the bytes written."""
        ...


class StoredEntry(Protocol):
    """An entry of a point together with the handle to its content."""

    @property
    def entry(self) -> Entry: ...


class StoredLine(StoredEntry, Protocol):
    """The same, cheap to compare: its entry is made only when it is asked for."""

    @property
    def path(self) -> str: ...

    @property
    def is_file(self) -> bool: ...

    @property
    def size(self) -> int: ...

    @property
    def mtime_ns(self) -> int: ...

    @property
    def extra(self) -> Mapping[str, Any]: ...


ReadMany = Callable[[Sequence[Any], memoryview], Sequence[tuple[Entry, int, int] | None]]
"""Reads many small files in a worker thread, by the handles that ``Bulk.small`` was given: fills the view, and returns for each handle
its entry and where its content lies in the view (start, end), or None to leave it out of the point."""


class Bulk(Protocol):
    """Many small things at once, in order, by one thread. ``flush`` it before ``CaptureWriter.add`` (order) and before the commit."""

    @property
    def largest(self) -> int:
        """Bytes of the largest file that ``small`` takes."""
        ...

    def entry(self, entry: Entry) -> None:
        """An entry without content: a folder, a link, a device, an empty file."""
        ...

    def keep(self, stored: StoredEntry) -> bool:
        """Take a file over from the base, as it stands there and without reading; False when its content is not stored any more."""
        ...

    def small(self, path: str, size: int, handle: Any) -> None:
        """Queue a file of about ``size`` bytes to be read by ``ReadMany``; several share one frame."""
        ...

    def flush(self) -> None: ...


class CaptureWriter(Protocol):
    """An open session that can become one recovery point. Not thread-safe itself; its workers are. Use as a context manager: leaving it
    without ``commit`` aborts (what was uploaded stays for the next try to reuse, and for prune).
    """

    session: str

    @property
    def base(self) -> "PointReader | None":
        """The point whose content is reused; None for a full one."""
        ...

    def add(
        self,
        entry: Entry,
        content: Source | Buffer | None = None,
        *,
        inspect: Inspect | None = None,
        changed: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        """Queue one entry. Returns soon; blocks only when the workers are behind.

        ``content`` None for folders and links. ``changed``: byte ranges (start, end) that may differ from the base's file of the same
        path; what lies outside
        is taken from the base without reading (only with a base that holds the path; the caller vouches for it). Without it everything is
        read, and
        what equals the base is not stored again. ``inspect`` sees runs of at most 1 MiB that start at multiples of 1 MiB.
        """
        ...

    def reuse(self, entry: Entry) -> bool:
        """Take the whole content of ``entry.path`` from the base without reading; False when the base has no file of that path and size."""
        ...

    def stream(self, entry: Entry, *, inspect: Inspect | None = None) -> Sink:
        """Queue one file whose content arrives as a stream."""
        ...

    def bulk(self, read: ReadMany) -> Bulk:
        """For trees of many small files."""
        ...

    def flush(self) -> None:
        """Wait until everything queued was read and hashed (its packs may still be under way). Raises the first worker's error."""
        ...

    def commit(
        self,
        *,
        kind: str,
        start: Mapping[str, Any],
        stop: Mapping[str, Any],
        logs: str | None = None,
        facts: Mapping[str, Any] | None = None,
        expected: Mapping[str, Any] | None = None,
        findings: Sequence[Finding] = (),
        method: str = "",
    ) -> RecoveryPoint:
        """Packs, then index, then the point: durable in every location that the session writes when it returns."""
        ...

    def abort(self) -> None: ...


# ---------------------------------------------------------------- restore: what a system reads from


class Target(Protocol):
    """A file being restored. ``write`` is called from several threads on distinct ranges."""

    def write(self, offset: int, data: memoryview) -> None: ...

    def existing(self, offset: int, buffer: memoryview) -> int:
        """For a delta restore: fill ``buffer`` with what is there now; 0 when there is nothing."""
        ...

    def close(self) -> None:
        """All content has arrived: set size, mode, times. Not yet durable: the caller of ``extract`` syncs once at the end."""
        ...


class PointReader(Protocol):
    """A committed point, read only."""

    @property
    def point(self) -> RecoveryPoint: ...

    def entries(self, prefix: str = "") -> Iterator[StoredEntry]: ...

    def lines(self) -> Iterator[StoredLine]:
        """All entries in the order of capture; the cheap way to look at each."""
        ...

    def find(self, path: str) -> StoredEntry | None: ...

    def read(self, stored: StoredEntry) -> bytes:
        """The whole content of a small file (refuses over 64 MiB)."""
        ...

    def extract(
        self,
        wanted: Iterable[tuple[StoredEntry, Callable[[], Target] | None]],
        *,
        delta: bool = False,
        progress: Progress | None = None,
        small: Callable[[Sequence[tuple[StoredEntry, memoryview | bytes]]], None] | None = None,
    ) -> "Extracted":
        """Write the content of many files at full speed, every chunk's identity checked. ``delta`` asks each target for what exists
        and fetches only what differs. A file (of at most 4 MiB) without an opener is handed whole to ``small``, many at a time, in worker
        threads (not with ``delta``).
        """
        ...


# ---------------------------------------------------------------- logs


class LogWriter(Protocol):
    """Appends to one branch of one system's log. One process at a time (a lease); a second is refused."""

    @property
    def end(self) -> int | None:
        """The position behind the newest stored increment, None for an empty branch."""
        ...

    def append(self, start: int, data: Buffer, meta: Mapping[str, Any]) -> None:
        """Store ``data`` at ``start``; returns when durable in every location the tier demands. The same bytes again are fine;
        different ones raise LogConflict.
        """
        ...

    def close(self) -> None: ...


class LogReader(Protocol):
    """Reads one branch."""

    branch: str

    def increments(self, start: int = 0) -> Iterator[Increment]:
        """In order of position, beginning with the one that holds ``start``; where several cover a position, the one that reaches
        furthest.
        """
        ...

    def meta(self, increment: Increment) -> Mapping[str, Any]: ...

    def read(self, increment: Increment) -> bytes: ...

    def stream(self, start: int, end: int | None = None) -> Iterator[tuple[int, memoryview]]:
        """(position, bytes) without gap or overlap from ``start`` to ``end`` (None: as far as the log reaches), read ahead in threads.

        Raises LogGap, naming what is missing, where the log does not join or ends before ``end``.
        """
        ...

    def coverage(self, start: int = 0) -> Sequence[tuple[int, int]]:
        """The ranges (start, end) that are there from ``start`` on, joined; more than one means gaps."""
        ...


class LogStore(Protocol):
    """All logs of one system in the vault."""

    def branches(self) -> Sequence[str]: ...

    def reader(self, branch: str) -> LogReader: ...

    def writer(self, branch: str, by: Literal["follower", "backup"] = "follower") -> LogWriter:
        """Take the branch; ``by`` tells others who wait for it whether it is held for the length of a backup only."""
        ...


# ---------------------------------------------------------------- the system itself


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Declared by each system; never guessed from its kind.

    ``chunk_size``: bytes at which the vault cuts its content. ``builds_on_findings``: a point with findings may be the next one's base,
    for what a finding names is read anew.
    """

    point_in_time: bool = False
    continuous: bool = False
    isolated_restore: bool = False
    failover: bool = False
    quiesce: bool = False
    delta_restore: bool = False
    logical: bool = False
    chunk_size: int = 65536
    builds_on_findings: bool = False


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing that ``check`` found. ``state``: ok, warn (works, with a consequence that ``detail`` states), fail. ``hint`` says what
    to do.
    """

    name: str
    state: str
    detail: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """Where a restore is to go and how. ``until``: None (newest), 'immediate', or a parsed coordinate of the system."""

    into: Path
    until: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


class System(Protocol):
    """One protected system, as the plan names it."""

    name: str
    kind: str
    capabilities: Capabilities

    def probe(self) -> Sequence[Probe]:
        """What works, what is missing, the role of each member. Changes nothing; never raises for what it was asked to find out."""
        ...

    def coordinate(self) -> Mapping[str, Any]:
        """Where the system is now; cheap; JSON-ready."""
        ...

    def capture(self, writer: CaptureWriter, progress: Progress) -> RecoveryPoint:
        """Take one recovery point; incremental when ``writer.base`` is set and usable."""
        ...


# ---------------------------------------------------------------- recovery: what a system offers to those who get it back


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

    def differences(self, other: "Isolated", name: str, limit: int = 5) -> Mapping[str, Any]:
        """Where two copies of one thing differ: how many, and examples of the keys."""
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
