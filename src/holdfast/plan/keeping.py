"""How long the plan promises to keep points, and what a lock that is longer or shorter means. Pure: nothing is asked of anybody."""

import datetime as dt
from dataclasses import dataclass

from holdfast.plan.plan import Plan
from holdfast.plan.shape.promise import Keep

_DAYS = {"daily": 1, "weekly": 7, "monthly": 31, "yearly": 366}
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class LockPrice:
    """A location's lock beside what the plan keeps there.

    ``keep``: the longest that any system's retention keeps a point there by time; ``idle``: how much longer the lock lasts. ``bytes`` that
    nobody needs any more and that stay for the lock, once it has run for its whole length, and what they cost a month; None: not known yet.
    """

    location: str
    lock: dt.timedelta
    keep: dt.timedelta
    idle: dt.timedelta
    bytes: int | None
    month: float | None

    @property
    def costs(self) -> str:
        """What the lock costs beyond retention; '' for nothing."""
        if not self.idle:
            return ""
        unknown = "what is known after the first backups, and with prices.storage in the plan"
        cost = f"{self.month:.2f} a month" if self.month is not None else unknown
        return f"The lock lasts {_days(self.idle)} longer than points are kept ({_days(self.keep)}): that costs {cost}."

    @property
    def leaves_open(self) -> str:
        """What retention keeps beyond the lock; '' for nothing."""
        if self.lock >= self.keep:
            return ""
        held, kept = _days(self.lock), _days(self.keep)
        return f"The lock protects only {held} of the {kept} for which points are kept: older ones can be destroyed."


def span(keep: Keep, gap: dt.timedelta = dt.timedelta(0)) -> dt.timedelta:
    """How old a point can get while points come as planned; ``gap``: the longest between two of them, for ``last``."""
    found = [dt.timedelta(days=each * getattr(keep, name)) for name, each in _DAYS.items() if getattr(keep, name)]
    if keep.hourly:
        found.append(dt.timedelta(hours=keep.hourly))
    if keep.last:
        found.append(keep.last * gap)
    if keep.within:
        found.append(keep.within)
    return max(found, default=dt.timedelta(0))


def promised(plan: Plan, location: str) -> dt.timedelta:
    """The longest that the plan keeps a point of any system in a location."""
    spans = [
        span(effective.keep) for effective in map(plan.effective, plan.systems) if location in {place.name for place in effective.locations}
    ]
    return max(spans, default=dt.timedelta(0))


def lock_price(
    location: str,
    lock: dt.timedelta,
    keep: dt.timedelta,
    *,
    daily: float | None,
    price: float | None,
    slack: dt.timedelta = dt.timedelta(0),
) -> LockPrice:
    """``daily``: bytes that are stored anew there each day; ``price`` of a GiB and month. Either may be unknown. ``slack``: how much longer
    what may be reused is locked.

    What is stored on one day is needed for ``keep`` at least, and cannot go before its lock ends: so what stands there for the lock alone
    is what was stored on ``lock + slack - keep`` days.
    """
    idle = max(lock + slack - keep, dt.timedelta(0))
    size = None if daily is None else round(daily * (idle / dt.timedelta(days=1)))
    month = None if size is None or price is None else size / _GIB * price
    return LockPrice(location, lock, keep, idle, size, month)


def _days(length: dt.timedelta) -> str:
    days = length / dt.timedelta(days=1)
    return f"{days:.0f} days" if days >= 2 or days == 0 else f"{length / dt.timedelta(hours=1):.0f} hours"
