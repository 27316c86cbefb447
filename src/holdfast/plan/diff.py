"""What changed in meaning between two plans, and which promises became weaker."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from holdfast.plan.digest import NOT_MEANING
from holdfast.plan.effective import EffectiveSystem
from holdfast.plan.plan import Plan
from holdfast.plan.values.cron import Schedule
from holdfast.plan.values.units import format_duration

_MISSING = object()
_KEEP = ("last", "hourly", "daily", "weekly", "monthly", "yearly")


@dataclass(frozen=True)
class Change:
    """One place that differs; ``before`` and ``after`` are plain data, None where the place is not there."""

    path: str
    what: Literal["added", "removed", "changed"]
    before: Any
    after: Any


@dataclass(frozen=True)
class Weakening:
    """A system that is promised or kept less than before; ``text`` says it for a person."""

    system: str
    key: str
    text: str


def changes(old: Plan, new: Plan) -> list[Change]:
    """By place in the merged files, variables filled in, in order of path."""
    before, after = (({key: value for key, value in plan.merged.items() if key not in NOT_MEANING}) for plan in (old, new))
    return sorted(_compare(before, after, ""), key=lambda change: change.path)


def weakenings(old: Plan, new: Plan) -> list[Weakening]:
    """By the sum for each system: what a second person should see before it is agreed to."""
    found: list[Weakening] = []
    for name in old.systems:
        if name not in new.systems:
            found.append(Weakening(name, "system", "is no longer protected"))
            continue
        found += [Weakening(name, key, text) for key, text in _weaker(old.effective(name), new.effective(name))]
    return found


def _compare(before: Any, after: Any, path: str) -> Iterator[Change]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in {**before, **after}:
            yield from _compare(before.get(key, _MISSING), after.get(key, _MISSING), f"{path}.{key}" if path else str(key))
    elif before is _MISSING:
        yield Change(path, "added", None, after)
    elif after is _MISSING:
        yield Change(path, "removed", before, None)
    elif before != after or type(before) is not type(after):
        yield Change(path, "changed", before, after)


def _weaker(old: EffectiveSystem, new: EffectiveSystem) -> Iterator[tuple[str, str]]:
    for place, value in old.rpo.items():
        if place in new.rpo:
            yield from _longer(f"rpo in {place}", value, new.rpo[place])
    if old.rpo and not new.rpo:
        yield "rpo", "rpo is no longer promised"
    for key in ("rto", "mtd"):
        before, after = getattr(old, key), getattr(new, key)
        if before is not None:
            yield from _longer(key, before, after)
    yield from _rarer("backup", old.backup, new.backup)
    yield from _rarer("drill", old.drill, new.drill)
    for key in ("structure", "restore", "spot_check"):
        yield from _rarer(f"verify.{key}", getattr(old.verify, key), getattr(new.verify, key))
    if old.continuous and not new.continuous:
        yield "continuous", "its log is no longer followed"
    gone = {location.name for location in old.locations} - {location.name for location in new.locations}
    if gone:
        yield "locations", f"is no longer kept in {', '.join(sorted(gone))}"
    if new.min_copies < old.min_copies:
        yield "min_copies", f"min_copies falls from {old.min_copies} to {new.min_copies}"
    for key in _KEEP:
        before, after = getattr(old.keep, key) or 0, getattr(new.keep, key) or 0
        if after < before:
            yield f"keep.{key}", f"keep.{key} falls from {before} to {after}"
    within, then = old.keep.within or dt.timedelta(0), new.keep.within or dt.timedelta(0)
    if then < within:
        yield "keep.within", f"keep.within falls from {format_duration(within)} to {format_duration(then)}"
    dropped = {check.name for check in old.spec.checks} - {check.name for check in new.spec.checks}
    if dropped:
        yield "checks", f"no longer checked: {', '.join(sorted(dropped))}"


def _longer(key: str, before: dt.timedelta, after: dt.timedelta | None) -> Iterator[tuple[str, str]]:
    if after is None:
        yield key, f"{key} is no longer promised (was {format_duration(before)})"
    elif after > before:
        yield key, f"{key} grows from {format_duration(before)} to {format_duration(after)}"


def _rarer(key: str, before: Schedule | None, after: Schedule | None) -> Iterator[tuple[str, str]]:
    if before is None:
        return
    if after is None:
        yield key, f"{key} is no longer scheduled (was {before})"
    elif after.longest_gap > before.longest_gap:
        yield key, f"{key} becomes rarer: {before} to {after}"
