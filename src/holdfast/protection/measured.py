"""What earlier work on this host measured of a system: the ground for estimates and for `plan assess`."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.plan.assess import Measured
from holdfast.state import Run, State
from holdfast.state.runs import Runs

SAMPLE = 20


@dataclass(frozen=True, slots=True)
class Restore:
    """One restore, or the restore within a verification: bytes and seconds of each phase. ``replay`` None: no server was started."""

    bytes: int
    log_bytes: int
    restore: float
    replay: float | None


def restores(runs: Runs, system: str) -> list[Restore]:
    """The newest 20 restores and verifications that went well, newest first."""
    done = [run for verb in ("restore", "verify") for run in runs.recent(active=False, system=system, verb=verb, limit=SAMPLE)]
    done.sort(key=lambda run: run.started, reverse=True)
    return [one for run in done if (one := _restore(run)) is not None][:SAMPLE]


def _restore(run: Run) -> Restore | None:
    clocks: dict[str, Any] = run.facts.get("clocks") or {}
    sizes = run.facts if "bytes" in run.facts else run.facts.get("reached") or {}
    seconds = clocks.get("restore")
    if run.outcome != "ok" or not seconds or not sizes.get("bytes"):
        return None
    replay = clocks.get("replay")
    return Restore(int(sizes["bytes"]), int(sizes.get("log_bytes") or 0), float(seconds), None if replay is None else float(replay))


def returns(state: State, system: str, limit: int = 200) -> list[float | None]:
    """What each restore and each restore into isolation took, oldest first: seconds, or None for one that failed or proved nothing."""
    done = [run for verb in ("restore", "verify") for run in state.runs.recent(active=False, system=system, verb=verb, limit=limit)]
    done.sort(key=lambda run: run.started)
    return [_took(run) for run in done if run.outcome != "cancelled"]


def _took(run: Run) -> float | None:
    clocks: dict[str, float] = run.facts.get("clocks") or {}
    if run.outcome != "ok" or not clocks or run.facts.get("verdict", "passed") != "passed":
        return None
    return float(clocks.get("total") or sum(clocks.values()))


def rehearsals(state: State, begun: Mapping[str, Any], limit: int = 200) -> list[float | None]:
    """What each drill of the same scenario took from its declaration, oldest first: seconds, or None for one that did not pass.

    ``begun``: what one of them began with.
    """
    done = [run for run in state.runs.recent(active=False, verb="drill", limit=limit) if _scenario(run.facts) == _scenario(begun)]
    return [_took(run) for run in sorted(done, key=lambda run: run.started) if run.outcome != "cancelled"]


def _scenario(facts: Mapping[str, Any]) -> Any:
    """By name: the scenario's file may have been corrected in between."""
    scenario = facts.get("scenario")
    return scenario.get("name") if isinstance(scenario, Mapping) else scenario


def losses(state: State, system: str, limit: int = 200) -> list[float | None]:
    """What each restore into isolation would have lost, oldest first: seconds from the newest data that came back to the moment at which
    the run began. 0 where the content was equal to a source that stood still; None where the run does not say.

    A source that was idle in between lost less: so these are upper bounds, and a share of kept promises counted from them is a lower one.
    """
    done = [run for run in state.runs.recent(active=False, system=system, verb="verify", limit=limit) if run.outcome == "ok"]
    return [_lost(run) for run in sorted(done, key=lambda run: run.started)]


def _lost(run: Run) -> float | None:
    if run.facts.get("exact") and run.facts.get("verdict") == "passed":
        return 0.0
    reached: dict[str, Any] = run.facts.get("reached") or {}
    if (run.facts.get("until") or {}).get("kind") != "latest":
        return None  # somebody chose an older moment
    try:
        newest = dt.datetime.fromisoformat(str(reached.get("time") or (reached.get("place") or {}).get("time")))
        return max((run.started - newest).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None


def measured(system: str, state: State, now: dt.datetime) -> Measured:
    """For `plan assess`, from this host's state alone. ``exposure``: the age of what the follower last knew to be in its worst location;
    ``restore``: the last proof's.
    """
    proofs = [proof for proof in state.proofs.recent(system) if proof.ok]
    newest = max(proofs, key=lambda proof: proof.at, default=None)
    timed = max((proof for proof in proofs if proof.detail.get("seconds")), key=lambda proof: proof.at, default=None)
    beats: dict[str, dt.datetime] = {}
    for beat in state.heartbeats.newest(system):
        if beat.server_time is not None:
            beats[beat.location] = max(beats.get(beat.location, beat.server_time), beat.server_time)
    return Measured(
        exposure=_span((now - min(beats.values())).total_seconds()) if beats else None,
        restore=_span(float(timed.detail["seconds"])) if timed is not None else None,
        proved_at=newest.at if newest is not None else None,
    )


def _span(seconds: float) -> dt.timedelta:
    """As exact as it is worth reading."""
    return dt.timedelta(seconds=round(seconds, 1 if seconds < 10 else 0))
