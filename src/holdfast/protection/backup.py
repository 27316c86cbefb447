"""One recovery point of one system: choose what it builds on, capture, record."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from holdfast.errors import Damaged, HoldfastError, Refused
from holdfast.journal import Journal
from holdfast.model import Clock, Progress, RecoveryPoint
from holdfast.protection.recorded import Recorded, recorded
from holdfast.state import State
from holdfast.systems.contract import Capabilities, CaptureWriter, LogStore
from holdfast.vault.errors import PointPartly, PointUnknown

LEASE = 3600.0
"""Seconds that a backup's lease on this host lasts without a sign of life; its end comes at once when the process dies."""


class BackupRuns(Refused):
    """Another process of this host backs the system up right now."""

    code = "backup-runs"


Complete = Callable[[Sequence[str], Progress], Mapping[str, Any]]
"""Brings locations (by address) to the state of the others; what was brought, or a HoldfastError, by address."""


class Captures(Protocol):
    """What is asked of the system (``systems.contract.System``, whose capture also takes the place of its own log)."""

    name: str
    kind: str

    @property
    def capabilities(self) -> Capabilities: ...

    def capture(self, writer: CaptureWriter, progress: Progress, *, logs: LogStore | None = None) -> RecoveryPoint: ...


class PointStore(Protocol):
    """What is asked of the vault."""

    def points(self, system: str | None = None) -> Sequence[RecoveryPoint]: ...

    @property
    def reader(self) -> Callable[[RecoveryPoint], Any]:
        """Opens a point as a PointReader; see ``Vault.reader``."""
        ...

    @property
    def begin(self) -> Callable[..., Any]:
        """Opens a CaptureWriter, to be used as a context manager; see ``Vault.begin``."""
        ...

    def logs(self, system: str) -> LogStore: ...

    @property
    def locations(self) -> Any:
        """``storages``: those of the system's tier."""
        ...


@dataclass(frozen=True, slots=True)
class Wish:
    """How a person wants the point: names for it, how long to keep it whatever retention says, read everything anew (``full``)."""

    label: str | None = None
    note: str | None = None
    keep_until: dt.datetime | None = None
    full: bool = False
    rate: float | None = None
    workers: int = 0


def backup(
    system: Captures,
    vault: PointStore,
    state: State,
    journal: Journal,
    clock: Clock,
    progress: Progress,
    wish: Wish | None = None,
    *,
    host: str = "",
    copies: int = 1,
    complete: Complete | None = None,
) -> RecoveryPoint:
    """Take one point; durable in at least ``copies`` locations of the vault when it returns, and told of where it is not.

    A location that is away or fails is left out; ``complete`` then tries to bring there what it lacks. Raises BackupRuns, Cancelled,
    PointPartly (the point is committed, but in fewer locations than demanded), and what system and vault raise.
    """
    wish = wish or Wish()
    lease = state.leases.acquire(f"backup/{system.name}", LEASE)
    if lease is None:
        holder = state.leases.holder(f"backup/{system.name}")
        who = f" (process {holder.process.pid}, since {holder.taken.isoformat(timespec='seconds')})" if holder else ""
        raise BackupRuns(f"A backup of {system.name} runs already{who}.", hint="See: holdfast jobs", system=system.name)
    try:
        with recorded(state, journal, clock, "backup", system.name, label=wish.label) as work:
            point, lacking = _capture(system, vault, work, progress, wish, host, copies)
            if lacking and complete is not None:
                lacking = _completed(lacking, complete, work.watch(progress))
            work.add(lacking=lacking)
    finally:
        state.leases.release(lease)
        _measured(state, system.name)
    _require_copies(point, lacking, len(vault.locations.storages), copies, progress)
    return point


def _completed(lacking: Mapping[str, str], complete: Complete, progress: Progress) -> dict[str, str]:
    """Which locations lack the point still, and why."""
    left = dict(lacking)
    for url, done in complete(list(lacking), progress).items():
        if isinstance(done, HoldfastError):
            left[url] = done.message
        elif done.refused:
            left[url] = done.refused[0]
        else:
            left.pop(url, None)
    return left


def _require_copies(point: RecoveryPoint, lacking: Mapping[str, str], of: int, copies: int, progress: Progress) -> None:
    """Outside of what is recorded as the run: the point was taken, and retrying would only take another one."""
    where = of - len(lacking)
    for url, why in lacking.items():
        progress.note(f"The recovery point {point.id[:14]} is not in {url}: {why}")
    if where < copies:
        raise PointPartly(
            f"The recovery point {point.id} is committed and whole, but in {where} of the {copies} locations that the plan demands:"
            f" {'; '.join(f'{url}: {why}' for url, why in lacking.items())}",
            hint="It can be restored, and does not count as protected yet. The next backup or 'holdfast due --run' copies it; at once:"
            " holdfast vault copy",
            point=point.id,
            lacking=list(lacking),
        )


def _capture(
    system: Captures, vault: PointStore, work: Recorded, progress: Progress, wish: Wish, host: str, copies: int
) -> tuple[RecoveryPoint, dict[str, str]]:
    """The point, and which locations did not get it."""
    base = None if wish.full else choose_base(vault, system, progress)
    with vault.begin(
        system=system.name,
        kind=system.kind,
        base=base,
        chunk_size=system.capabilities.chunk_size,
        label=wish.label,
        note=wish.note,
        keep_until=wish.keep_until,
        workers=wish.workers,
        rate=wish.rate,
        progress=work.watch(progress),
        host=host,
        copies=copies,
    ) as writer:
        point = system.capture(writer, progress, logs=vault.logs(system.name))
        lacking = dict(writer.lacking)
    work.add(
        point=point.id,
        method=point.method,
        base=point.base,
        stop=dict(point.stop),
        findings=len(point.findings),
        totals=point.totals.model_dump(),
    )
    return point, lacking


def choose_base(vault: PointStore, system: Captures, progress: Progress) -> Any | None:
    """The newest point that the next one can build on: physical, whole, and without findings (a bad page would be carried on unseen) where
    the system does not read anew what they name.
    """
    for point in sorted(vault.points(system.name), key=lambda point: point.committed_at, reverse=True):
        if point.method == "logical" or (point.findings and not system.capabilities.builds_on_findings):
            continue
        try:
            return vault.reader(point)
        except (Damaged, PointUnknown) as error:  # damaged, or removed by a prune since it was listed
            progress.note(f"{point.id} cannot be built on: {error.message}")
    return None


def _measured(state: State, system: str) -> None:
    """The duration of the run that just ended well, for estimates."""
    for run in state.runs.recent(system=system, verb="backup", limit=1):
        if run.outcome == "ok" and run.ended is not None:
            totals = run.facts.get("totals") or {}
            state.durations.add(system, "backup", (run.ended - run.started).total_seconds(), totals.get("bytes"))
