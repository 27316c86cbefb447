"""What is due now: a pure function of the plan, the past and the clock."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.plan.effective import EffectiveSystem
from holdfast.plan.shape.operations import Windows
from holdfast.plan.values.cron import Schedule, parse_schedule
from holdfast.protection.history import Past, PointSeen
from holdfast.protection.retry import again_at

PRUNE = parse_schedule("daily")
"""Points past retention are removed once a day."""

_LOG_BEHIND = 300.0
"""Seconds: a follower brings what is younger by itself."""

TIERS = ("structure", "restore", "spot_check")


@dataclass(frozen=True, slots=True)
class Due:
    """One piece of work. ``since``: when it became due (None: since ever). ``blocked``: why it does not run now all the same, or ''.

    ``verb``: backup, copy, verify, prune or drill; ``tier``: of a verify. ``points``: ids that a copy is about.
    """

    system: str
    verb: str
    since: dt.datetime | None
    reason: str
    blocked: str = ""
    tier: str | None = None
    points: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Names the work: no two hosts or processes do the same key at once."""
        return f"{self.verb}/{self.tier}/{self.system}" if self.tier else f"{self.verb}/{self.system}"

    def document(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "system": self.system,
            "verb": self.verb,
            "tier": self.tier,
            "since": self.since.isoformat() if self.since else None,
            "reason": self.reason,
            "blocked": self.blocked or None,
            "points": list(self.points),
        }


def due(systems: Sequence[EffectiveSystem], windows: Windows, zone: dt.tzinfo, past: Mapping[str, Past], now: dt.datetime) -> list[Due]:
    """Everything due at ``now`` (aware), in the order in which it should run: longest overdue first, backups before what rests on them."""
    found = [item for system in systems for item in due_for(system, windows, zone, past.get(system.name, Past()), now)]
    rank = {"backup": 0, "copy": 1, "verify": 2, "prune": 3, "drill": 4}
    ever = dt.datetime.min.replace(tzinfo=dt.UTC)
    return sorted(found, key=lambda item: (rank[item.verb], item.since or ever, item.system, item.tier or ""))


def due_for(system: EffectiveSystem, windows: Windows, zone: dt.tzinfo, past: Past, now: dt.datetime) -> Iterator[Due]:
    """The same for one system. Kinds that this version cannot protect have nothing due: ``plan lint`` and ``status`` say so."""
    if not system.available:
        return
    for item in (
        *_backup(system, zone, past, now),
        *_copy(system, past),
        *_verify(system, zone, past, now),
        *_prune(system, zone, past, now),
        *_drill(system, zone, past, now),
    ):
        blocked = blocked_by(item, windows, zone, past, now)
        if item.tier == "spot_check" and not blocked:
            # No machine can do it.
            blocked = f"waits for a person: holdfast verify {item.system} --spot-check"
        yield Due(item.system, item.verb, item.since, item.reason, blocked, item.tier, item.points)


def blocked_by(item: Due, windows: Windows, zone: dt.tzinfo, past: Past, now: dt.datetime) -> str:
    """The first reason why ``item`` must wait; '' when it may run."""
    pause = past.pause
    if pause is not None and (pause.until is None or pause.until > now):
        until = f" until {pause.until.astimezone(zone).isoformat(timespec='seconds')}" if pause.until else ""
        return f"paused since {pause.since.astimezone(zone).isoformat(timespec='seconds')}{until}: {pause.reason}"
    local = now.astimezone(zone)
    closed = windows.closed(local)
    # A window is about load on the source; a freeze about everything.
    if closed and (item.verb == "backup" or any(freeze.holds(local) for freeze in windows.freeze)):
        return closed
    if started := past.running.get(item.verb):
        return f"runs since {started.isoformat(timespec='seconds')}"
    again = again_at(past.failures, item.verb)
    if again is not None and again[1] > now:
        times = "once" if again[0] == 1 else f"{again[0]} times in a row"
        return f"failed {times}; next try at {again[1].isoformat(timespec='seconds')}"
    if item.verb == "drill":
        return "people take part: holdfast drill SCENARIO"
    return ""


def next_backup(system: EffectiveSystem, zone: dt.tzinfo, now: dt.datetime) -> dt.datetime | None:
    """The next scheduled moment after ``now``, or None without a schedule."""
    return system.backup.next_after(now, zone) if system.backup else None


def missed_since(schedule: Schedule, zone: dt.tzinfo, last: dt.datetime, now: dt.datetime) -> dt.datetime | None:
    """The first scheduled moment after ``last`` that has come; None when none has."""
    first = schedule.next_after(last, zone)
    return first if first <= now else None


def _backup(system: EffectiveSystem, zone: dt.tzinfo, past: Past, now: dt.datetime) -> Iterator[Due]:
    if system.backup is None:
        return
    newest = max((point.started_at for point in past.points), default=None)
    if newest is None:
        yield Due(system.name, "backup", None, "no recovery point yet")
    elif since := missed_since(system.backup, zone, newest, now):
        yield Due(
            system.name, "backup", since, f"scheduled '{system.backup}'; the newest point began {newest.isoformat(timespec='seconds')}"
        )


def _copy(system: EffectiveSystem, past: Past) -> Iterator[Due]:
    for location in system.locations:
        if location.name in past.unreachable:
            continue
        lacking = sorted((point for point in past.points if location.name not in point.locations), key=_commit)
        if lacking:
            count = "1 point is" if len(lacking) == 1 else f"{len(lacking)} points are"
            yield Due(
                system.name, "copy", lacking[0].committed_at, f"{count} not in {location.name}", points=tuple(point.id for point in lacking)
            )
            return  # one copy looks after all locations
        behind = past.behind.get(location.name)
        if behind is not None and behind.log_seconds is not None and behind.log_seconds > _LOG_BEHIND:
            yield Due(system.name, "copy", None, f"the log in {location.name} is {behind.log_seconds:.0f} s behind")
            return


def _verify(system: EffectiveSystem, zone: dt.tzinfo, past: Past, now: dt.datetime) -> Iterator[Due]:
    if not past.points:
        return
    for tier in TIERS:
        schedule: Schedule | None = getattr(system.verify, tier)
        if schedule is None:
            continue
        last = max((proof.at for proof in past.proofs if proof.tier == tier), default=None)
        if last is None:
            yield Due(system.name, "verify", min(point.committed_at for point in past.points), f"never proved: {tier}", tier=tier)
        elif since := missed_since(schedule, zone, last, now):
            yield Due(system.name, "verify", since, f"{tier} '{schedule}'; last {last.isoformat(timespec='seconds')}", tier=tier)


def _prune(system: EffectiveSystem, zone: dt.tzinfo, past: Past, now: dt.datetime) -> Iterator[Due]:
    if system.keep.empty or not past.points:
        return
    begin = past.pruned_at or min(map(_commit, past.points))
    if since := missed_since(PRUNE, zone, begin, now):
        yield Due(system.name, "prune", since, "retention is applied daily")


def _drill(system: EffectiveSystem, zone: dt.tzinfo, past: Past, now: dt.datetime) -> Iterator[Due]:
    """By the schedule, from the first point on: what was never backed up cannot be rehearsed."""
    if system.drill is None or not past.points:
        return
    begin = past.drilled or min(map(_commit, past.points))
    if since := missed_since(system.drill, zone, begin, now):
        last = f"last {past.drilled.isoformat(timespec='seconds')}" if past.drilled else "never rehearsed"
        yield Due(system.name, "drill", since, f"'{system.drill}'; {last}")


def _commit(point: PointSeen) -> dt.datetime:
    return point.committed_at
