"""Times of day and dates that allow or forbid something, in local time.

``20:00-06:00``, ``Mon-Fri 08-19``, ``2026-11-27/2026-11-30``.
"""

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

from holdfast.plan.errors import BadValue

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW = re.compile(r"(?:([A-Za-z,\-]+)\s+)?(\d{1,2})(?::(\d\d))?\s*-\s*(\d{1,2})(?::(\d\d))?", re.ASCII)
_EVERY_DAY = frozenset(range(7))


@dataclass(frozen=True)
class Window:
    """A span of the day, perhaps on some weekdays (Monday = 0). ``start`` and ``end`` in minutes of the day; end ≤ start runs past midnight
    and belongs to the day on which it starts. The start is inside, the end is not.
    """

    text: str
    start: int
    end: int
    days: frozenset[int] = _EVERY_DAY

    def __str__(self) -> str:
        return self.text

    def holds(self, local: dt.datetime) -> bool:
        """Whether the local moment lies inside."""
        minute, today = local.hour * 60 + local.minute, local.weekday()
        if self.start < self.end:
            return today in self.days and self.start <= minute < self.end
        return (today in self.days and minute >= self.start) or ((today - 1) % 7 in self.days and minute < self.end)

    @property
    def closed_for(self) -> dt.timedelta:
        """The longest time it stays shut."""
        length = (self.end - self.start) % 1440 or 1440
        gaps = [1]
        if self.days != _EVERY_DAY:
            ordered = sorted(self.days)
            gaps = [(after - before - 1) % 7 + 1 for before, after in zip(ordered, [*ordered[1:], ordered[0]], strict=True)]
        return dt.timedelta(minutes=max(gaps) * 1440 - length)


@dataclass(frozen=True)
class Freeze:
    """Dates in which nothing is started; both ends inside. ``start`` and ``end`` are naive local moments."""

    text: str
    start: dt.datetime
    end: dt.datetime

    def __str__(self) -> str:
        return self.text

    def holds(self, local: dt.datetime) -> bool:
        return self.start <= local.replace(tzinfo=None) < self.end


def parse_window(text: Any) -> Window:
    """Read ``[days ]HH[:MM]-HH[:MM]``. Raises BadValue."""
    match = _WINDOW.fullmatch(text.strip()) if isinstance(text, str) else None
    hint = 'write "20:00-06:00" or "Mon-Fri 08-19"'
    if not match:
        raise BadValue(f"'{text}' is no window", hint=hint)
    days, first, first_minute, last, last_minute = match.groups()
    start, end = (int(hour) * 60 + int(minute or 0) for hour, minute in ((first, first_minute), (last, last_minute)))
    if start > 1439 or end > 1440 or int(first_minute or 0) > 59 or int(last_minute or 0) > 59:
        raise BadValue(f"'{text}' is no window: a day has the hours 00:00 to 24:00", hint=hint)
    return Window(text.strip(), start, end, _weekdays(text, days) if days else _EVERY_DAY)


def _weekdays(text: str, written: str) -> frozenset[int]:
    found: set[int] = set()
    for item in written.lower().split(","):
        first, _, last = item.partition("-")
        numbers = [
            next((number for number, day in enumerate(_DAYS) if len(word) >= 3 and word.startswith(day)), None)
            for word in (first, last or first)
        ]
        if numbers[0] is None or numbers[1] is None:
            raise BadValue(
                f"'{text}' is no window: '{item}' is no weekday", hint="write Mon, Tue, Wed, Thu, Fri, Sat, Sun, or a range Mon-Fri"
            )
        found.update((numbers[0] + step) % 7 for step in range((numbers[1] - numbers[0]) % 7 + 1))
    return frozenset(found)


def parse_freeze(text: Any) -> Freeze:
    """Read ``FROM/TO``, dates (the last one whole) or local times. Raises BadValue."""
    first, slash, last = text.partition("/") if isinstance(text, str) else ("", "", "")
    try:
        start = dt.datetime.fromisoformat(first.strip())
        end = dt.datetime.fromisoformat((last or first).strip())
    except ValueError as error:
        raise BadValue(f"'{text}' is no range of dates", hint='write "2026-11-27/2026-11-30"') from error
    if len((last if slash else first).strip()) == 10:
        end += dt.timedelta(days=1)
    if start.tzinfo or end.tzinfo:
        raise BadValue(f"'{text}' names a zone", hint="leave it out: the plan's time zone counts")
    if end <= start:
        raise BadValue(f"'{text}' ends before it begins", hint="write the earlier date first")
    return Freeze(text, start, end)
