"""Which recovery points a policy keeps, and why. A pure function: it deletes nothing and reads no clock.

Each rule keeps the newest point of each of its last N calendar periods that hold one; what any rule keeps is kept. The rules are asked
twice, about all points and about the proved ones alone, and both answers are kept: so an unproved point never pushes out a proved one.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields

from holdfast.errors import Refused


class PolicyEmpty(Refused):
    """A retention policy without a rule: it would delete everything."""

    code = "retention-empty"


class NothingProvedLeft(Refused):
    """The policy would leave a system without a proved recovery point (or without any, when none was proved yet)."""

    code = "retention-nothing-left"


@dataclass(frozen=True, slots=True)
class Keep:
    """Counts of calendar periods (weeks begin on Monday), ``last`` points whatever their period, all points ``within`` a duration."""

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within: dt.timedelta = dt.timedelta(0)

    def __post_init__(self) -> None:
        if any(getattr(self, rule.name) < (dt.timedelta(0) if rule.name == "within" else 0) for rule in fields(self)):
            raise ValueError("a retention rule counts from zero up")

    @property
    def empty(self) -> bool:
        return not any(getattr(self, rule.name) for rule in fields(self))


@dataclass(frozen=True, slots=True)
class Candidate:
    """``at``: the point's signed commit time, aware. ``proved``: restored and found right. ``held``: a hold covers it."""

    id: str
    at: dt.datetime
    proved: bool = False
    held: bool = False
    keep_until: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """``reasons`` in plain words, empty for a point that goes."""

    id: str
    at: dt.datetime
    reasons: tuple[str, ...]

    @property
    def keep(self) -> bool:
        return bool(self.reasons)


_PERIODS: dict[str, tuple[str, Callable[[dt.datetime], object]]] = {
    # The hour that a clock change repeats is two hours: the offset tells them apart.
    "hourly": ("hour", lambda local: (local.date(), local.hour, local.utcoffset())),
    "daily": ("day", lambda local: local.date()),
    "weekly": ("week", lambda local: local.isocalendar()[:2]),
    "monthly": ("month", lambda local: (local.year, local.month)),
    "yearly": ("year", lambda local: local.year),
}


def decide(points: Iterable[Candidate], keep: Keep, *, now: dt.datetime, zone: dt.tzinfo, system: str = "") -> Sequence[Decision]:
    """What becomes of the points of one system, newest first. ``zone``: the plan's time zone. ``system`` is for messages only.

    Raises PolicyEmpty, and NothingProvedLeft when no proved point would stay (no point at all, where none is proved).
    """
    if keep.empty:
        raise PolicyEmpty(
            f"The retention policy of {system or 'the system'} has no rule, so it would delete every recovery point.",
            hint="Write at least one rule, such as keep: {last: 3, daily: 7}.",
            system=system,
        )
    newest_first = sorted(points, key=lambda point: (point.at, point.id), reverse=True)
    reasons: dict[str, list[str]] = {point.id: [] for point in newest_first}
    proved = [point for point in newest_first if point.proved]
    for asked, suffix in ((proved, " proved"), (newest_first, "")):
        for point, reason in _by_rules(asked, keep, now, zone, suffix):
            # Said once: a point that is the newest of its day among the proved is mostly the newest of all.
            plain = reason.replace(" proved", "")
            if plain in reasons[point.id]:
                continue
            with_proved = plain.replace("newest", "newest proved", 1)
            if with_proved in reasons[point.id]:
                reasons[point.id].remove(with_proved)
            reasons[point.id].append(reason)
    for point in newest_first:
        if point.held:
            reasons[point.id].append("held")
        if point.keep_until is not None and point.keep_until > now:
            reasons[point.id].append(f"to be kept until {point.keep_until.astimezone(zone).isoformat(timespec='seconds')}")
    decisions = [Decision(point.id, point.at, tuple(reasons[point.id])) for point in newest_first]
    _require_something_left(newest_first, decisions, proved, system)
    return decisions


def _by_rules(points: Sequence[Candidate], keep: Keep, now: dt.datetime, zone: dt.tzinfo, suffix: str) -> Iterable[tuple[Candidate, str]]:
    for point in points[: keep.last]:
        yield point, f"among the newest{suffix} {keep.last} (last)" if keep.last > 1 else f"the newest{suffix} (last)"
    for rule, (period, key) in _PERIODS.items():
        seen: set[object] = set()
        for point in points:
            if len(seen) == getattr(keep, rule):
                break
            found = key(point.at.astimezone(zone))
            if found not in seen:
                seen.add(found)
                yield point, f"newest{suffix} of its {period} ({rule} {len(seen)} of {getattr(keep, rule)})"
    if keep.within:
        for point in points:
            if point.at >= now - keep.within:
                yield point, f"not older than {keep.within} (within)"


def _require_something_left(points: Sequence[Candidate], decisions: Sequence[Decision], proved: Sequence[Candidate], system: str) -> None:
    staying = {decision.id for decision in decisions if decision.keep}
    must = proved or points
    if must and not any(point.id in staying for point in must):
        raise NothingProvedLeft(
            f"The retention policy would delete every {'proved ' if proved else ''}recovery point of {system or 'the system'}"
            f" ({len(must)} of them).",
            hint="Add a rule that keeps some, such as last: 1; 'within' alone keeps nothing of a system that no longer changes.",
            system=system,
        )
