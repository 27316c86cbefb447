"""The past of a system, gathered from the vault and from this host's state."""

import datetime as dt
import statistics
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from holdfast.errors import HoldfastError, Unreachable
from holdfast.model import Increment, RecoveryPoint
from holdfast.protection.history import Failure, Past, PointSeen
from holdfast.protection.measured import losses, returns
from holdfast.state import Estimate, Proof, Run, State
from holdfast.storage import Storage
from holdfast.systems.contract import LogStore
from holdfast.vault.copy.behind import Behind, Held, ask, behind
from holdfast.vault.copy.logs import lacking_increments
from holdfast.vault.format.names import LOGS
from holdfast.vault.logs.names import increments


class Vaulted(Protocol):
    """What is asked of the vault."""

    def points(self, system: str | None = None) -> Sequence[RecoveryPoint]: ...

    def logs(self, system: str) -> LogStore: ...

    def tags(self, system: str) -> Collection[str]: ...


def collect(system: str, vault: Vaulted, places: Mapping[str, Storage], state: State) -> Past:
    """``places``: the system's locations by name. A location that does not answer is noted, not raised; a vault that none can open is."""
    prefixes = [f"{LOGS}{tag}/" for tag in vault.tags(system)]
    held: dict[str, Held] = {}
    unreachable: dict[str, str] = {}
    for name, storage in places.items():
        try:
            held[name] = ask(storage, prefixes)
        except Unreachable as error:
            unreachable[name] = error.message
    points = [_seen(point, held) for point in vault.points(system)]
    try:
        far = behind(list(held.values()), [point.id for point in points])
    except Unreachable:
        far = {}  # it fell silent since it was listed: the next look tells
    return from_state(
        system,
        state,
        points=points,
        unreachable=unreachable,
        log_as_of=_log_ends(vault.logs(system), held) if points else {},
        behind={name: far[one.storage.url] for name, one in held.items() if one.storage.url in far},
    )


def unknown(system: str, places: Sequence[str], state: State, error: HoldfastError) -> Past:
    """The past when the vault itself cannot be opened: all its locations are unknown."""
    return from_state(system, state, points=[], unreachable=dict.fromkeys(places, error.message), log_as_of={})


def from_state(
    system: str,
    state: State,
    *,
    points: Sequence[PointSeen],
    unreachable: Mapping[str, str],
    log_as_of: Mapping[str, dt.datetime],
    behind: Mapping[str, Behind] | None = None,
) -> Past:
    """The rest of the past: what this host's state knows."""
    runs = state.runs.recent(system=system, limit=200)
    platform = [run for run in state.runs.recent(limit=200) if run.system is None]
    pruned = [run.ended for run in (*runs, *platform) if run.verb == "prune" and run.outcome == "ok" and run.ended is not None]
    return Past(
        points=points,
        beats=state.heartbeats.newest(system),
        proofs=state.proofs.recent(system),
        failures=failures(runs),
        pause=state.pauses.current().get(system),
        running={run.verb: run.started for run in runs if run.outcome is None},
        pruned_at=max(pruned, default=None),
        restore=_restores(state.proofs.recent(system), runs),
        unreachable=unreachable,
        log_as_of=log_as_of,
        behind=behind or {},
        returns=returns(state, system),
        losses=losses(state, system),
    )


def failures(runs: Sequence[Run]) -> list[Failure]:
    """Those that no later success of the same verb has outdated. A cancelled run is neither."""
    found: list[Failure] = []
    succeeded: set[str] = set()
    for run in sorted(runs, key=lambda run: run.started, reverse=True):
        if run.outcome == "ok":
            succeeded.add(run.verb)
        elif run.outcome in ("failed", "lost") and run.verb not in succeeded:
            found.append(Failure(run.verb, run.ended or run.seen, str(run.facts.get("message", ""))))
    return found


def _restores(proofs: Sequence[Proof], runs: Sequence[Run]) -> Estimate | None:
    """How long it took to be back: of proofs that passed (restore, start, checks) and of restores that were run, the newest 20."""
    times = [float(proof.detail["seconds"]) for proof in proofs if proof.ok and "seconds" in proof.detail]
    times += [float((run.facts.get("clocks") or {}).get("total", 0)) for run in runs if run.verb == "restore" and run.outcome == "ok"]
    newest = [seconds for seconds in times if seconds > 0][:20]
    return Estimate(statistics.median(newest), max(newest), len(newest)) if newest else None


def _seen(point: RecoveryPoint, held: Mapping[str, Held]) -> PointSeen:
    return PointSeen(
        point.id,
        point.started_at,
        point.committed_at,
        _as_of(point),
        frozenset(name for name, one in held.items() if point.id in one.points),
        findings=tuple(finding.message for finding in point.findings),
    )


def _as_of(point: RecoveryPoint) -> dt.datetime:
    """The moment that the data holds: the system's own word for the end of the capture, else the safe guess, its beginning."""
    said = point.stop.get("time")
    if isinstance(said, str):
        try:
            moment = dt.datetime.fromisoformat(said)
        except ValueError:
            return point.started_at
        if moment.tzinfo is not None:
            return min(moment, point.committed_at)
    return point.started_at


def _log_ends(logs: LogStore, held: Mapping[str, Held]) -> dict[str, dt.datetime]:
    """By location, the newest moment up to which its own log is said to be complete: that of the last increment before the first one that
    is lacking there and lies in another location. One increment of each branch and location is read.
    """
    reader = logs.reader("")  # increments say themselves which branch they belong to
    found: dict[str, dt.datetime] = {}
    for place, one in held.items():
        missing, _ = lacking_increments([info for other in held.values() if other is not one for info in other.logs], one.logs)
        first_gap: dict[str, int] = {}
        for increment in missing:
            first_gap.setdefault(increment.name.rsplit("/", 1)[0], increment.start)
        last: dict[str, Increment] = {}
        for increment in increments(one.logs):
            folder = increment.name.rsplit("/", 1)[0]
            if increment.end <= first_gap.get(folder, increment.end) and (folder not in last or increment.end > last[folder].end):
                last[folder] = increment
        for increment in last.values():
            said = reader.meta(increment).get("server_time")
            if isinstance(said, str):
                moment = dt.datetime.fromisoformat(said)
                found[place] = max(moment, found.get(place, moment))
    return found
