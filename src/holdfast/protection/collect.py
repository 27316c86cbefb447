"""The past of a system, gathered from the vault and from this host's state."""

import datetime as dt
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from holdfast.errors import HoldfastError, Unreachable
from holdfast.model import RecoveryPoint
from holdfast.protection.history import Failure, Past, PointSeen
from holdfast.state import Estimate, Proof, Run, State
from holdfast.systems.contract import LogStore

POINTS = "points/"


class Listing(Protocol):
    """One location's storage, as far as needed here."""

    def list(self, prefix: str = "", after: str = "") -> Any: ...

    def head(self, name: str) -> Any: ...


class Vaulted(Protocol):
    """What is asked of the vault."""

    def points(self, system: str | None = None) -> Sequence[RecoveryPoint]: ...

    def logs(self, system: str) -> LogStore: ...


def collect(system: str, vault: Vaulted, places: Mapping[str, Listing], state: State) -> Past:
    """``places``: the system's locations by name. A location that does not answer is noted, not raised; a vault that none can open is."""
    held: dict[str, frozenset[str]] = {}
    unreachable: dict[str, str] = {}
    for name, storage in places.items():
        try:
            held[name] = frozenset(info.name.removeprefix(POINTS) for info in storage.list(POINTS))
        except Unreachable as error:
            unreachable[name] = error.message
    points = [_seen(point, held) for point in vault.points(system)]
    logs = _log_ends(vault.logs(system), {name: storage for name, storage in places.items() if name in held}) if points else {}
    return from_state(system, state, points=points, unreachable=unreachable, log_as_of=logs)


def unknown(system: str, places: Sequence[str], state: State, error: HoldfastError) -> Past:
    """The past when the vault itself cannot be opened: all its locations are unknown."""
    return from_state(system, state, points=[], unreachable=dict.fromkeys(places, error.message), log_as_of={})


def from_state(
    system: str, state: State, *, points: Sequence[PointSeen], unreachable: Mapping[str, str], log_as_of: Mapping[str, dt.datetime]
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


def _seen(point: RecoveryPoint, held: Mapping[str, frozenset[str]]) -> PointSeen:
    return PointSeen(
        point.id,
        point.started_at,
        point.committed_at,
        _as_of(point),
        frozenset(name for name, ids in held.items() if point.id in ids),
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


def _log_ends(logs: LogStore, places: Mapping[str, Listing]) -> dict[str, dt.datetime]:
    """By location, the newest moment up to which the stored log is said to be complete. Only the last increment of each branch is read."""
    found: dict[str, dt.datetime] = {}
    for branch in logs.branches():
        reader = logs.reader(branch)
        ranges = reader.coverage()
        if not ranges:
            continue
        last = max(reader.increments(max(0, ranges[-1][1] - 1)), key=lambda increment: increment.end)
        said = reader.meta(last).get("server_time")
        if not isinstance(said, str):
            continue
        moment = dt.datetime.fromisoformat(said)
        for name, storage in places.items():
            try:
                there = storage.head(last.name) is not None
            except Unreachable:
                there = False
            if there and moment > found.get(name, dt.datetime.min.replace(tzinfo=dt.UTC)):
                found[name] = moment
    return found
