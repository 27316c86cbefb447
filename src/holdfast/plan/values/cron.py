"""Schedules: cron's five fields or a word (``hourly`` … ``yearly``), in the plan's time zone.

Rules of fire: a wall-clock time that a change to summer time skips fires as much later as was skipped; one that happens twice fires
the first time only, unless the schedule fires in every hour of the day, which then follows real time. Day of month and day of week,
when both are restricted, are joined by "or", as in Vixie cron.
"""

import datetime as dt
import functools
import itertools
import re
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from holdfast.plan.errors import BadValue, did_you_mean

WORDS = {
    "hourly": "0 * * * *",
    "daily": "0 0 * * *",
    "weekly": "0 0 * * 1",
    "monthly": "0 0 1 * *",
    "quarterly": "0 0 1 1,4,7,10 *",
    "yearly": "0 0 1 1 *",
}
_MONTHS = {
    name: number
    for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)  # noqa: SIM905
}
_DAYS = {name: number for number, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_Spec = tuple[str, int, int, dict[str, int]]
_FIELDS: tuple[_Spec, ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _DAYS),
)
_ITEM = re.compile(r"(\*|\w+)(?:-(\w+))?(?:/(\w+))?", re.ASCII)
_HORIZON = 366 * 9  # a leap day can be eight years away (2096 to 2104)
_LONG_HORIZON = 366 * 41  # a leap day on a certain weekday comes every 28 years, and not in 2100
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Schedule:
    """When something is due. Compare and print by ``text``, which is as written. Days of the week count from Sunday = 0."""

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    def __str__(self) -> str:
        return self.text

    def on_day(self, day: dt.date) -> bool:
        """Whether it fires on that calendar day at all."""
        if day.month not in self.months:
            return False
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return in_month or in_week if self.either_day else in_month and in_week

    @property
    def _horizon(self) -> int:
        """In how many days every fire of its calendar comes round."""
        # A weekday at the end of one year's season and at the beginning of the next one's meet in all ways in 28 years.
        seasons = len(self.months) < 12 or (not self.either_day and len(self.days) < 31)
        return _LONG_HORIZON if seasons and len(self.weekdays) < 7 else _HORIZON

    def next_after(self, moment: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
        """The first fire strictly after ``moment`` (aware); the result is in ``zone``."""
        day = moment.astimezone(zone).date() - _DAY
        for _ in range(self._horizon):
            found = [fire for fire in self._fires(day, zone) if fire > moment]
            if found:  # a change of clocks at midnight can push a fire past the next day's first
                return min([*found, *(fire for fire in self._fires(day + _DAY, zone) if fire > moment)]).astimezone(zone)
            day += _DAY
        raise BadValue(f"'{self.text}' never fires", hint="no calendar has such a day")

    def last_until(self, moment: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
        """The newest fire at or before ``moment`` (aware); the result is in ``zone``."""
        day = moment.astimezone(zone).date() + _DAY
        for _ in range(self._horizon):
            found = [fire for fire in self._fires(day, zone) if fire <= moment]
            if found:
                return max([*found, *(fire for fire in self._fires(day - _DAY, zone) if fire <= moment)]).astimezone(zone)
            day -= _DAY
        raise BadValue(f"'{self.text}' never fires", hint="no calendar has such a day")

    @functools.cached_property
    def longest_gap(self) -> dt.timedelta:
        """The longest time between two fires by the wall clock: what an RPO must cover where nothing follows in between."""
        marks = [hour * 60 + minute for hour in self.hours for minute in self.minutes]
        inside = max((after - before for before, after in itertools.pairwise(marks)), default=0)
        overnight = 1440 - marks[-1] + marks[0]
        previous, widest, day = None, 0, dt.date(2096, 1, 1)  # spans 2100, which has no leap day
        for _ in range(self._horizon):
            if self.on_day(day):
                widest = max(widest, (day - previous).days) if previous else widest
                previous = day
            day += _DAY
        return dt.timedelta(minutes=max(inside, overnight + (max(widest, 1) - 1) * 1440))

    def _fires(self, day: dt.date, zone: dt.tzinfo) -> tuple[dt.datetime, ...]:
        return _fires(self, day, zone) if self.on_day(day) else ()


@functools.lru_cache(maxsize=16)
def _fires(schedule: Schedule, day: dt.date, zone: dt.tzinfo) -> tuple[dt.datetime, ...]:
    """Of one day on which it fires, in UTC, sorted, without repeats."""
    hourly = len(schedule.hours) == 24
    found = set()
    for hour in schedule.hours:
        for minute in schedule.minutes:
            wall = dt.datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
            found.add(wall.astimezone(dt.UTC))
            if hourly:
                again = wall.replace(fold=1).astimezone(dt.UTC)
                if again.astimezone(zone).fold:
                    found.add(again)
    return tuple(sorted(found))


@functools.cache
def parse_schedule(text: Any) -> Schedule:
    """Read cron's five fields or one of WORDS. Raises BadValue."""
    if not isinstance(text, str):
        raise BadValue(
            f"'{text}' is no schedule",
            hint='write cron\'s five fields ("0 */6 * * *") or hourly, daily, weekly, monthly, quarterly, yearly',
        )
    written = text.strip()
    word = written.lower().removeprefix("@")
    fields = WORDS.get(word, written).split()
    if len(fields) != 5:
        hint = did_you_mean(word, WORDS) if len(fields) == 1 else "the five are: minute hour day-of-month month day-of-week"
        raise BadValue(f"'{text}' is no schedule: cron has five fields, this has {len(fields)}", hint=hint)
    sets = [_field(text, value, spec) for value, spec in zip(fields, _FIELDS, strict=True)]
    weekdays = frozenset(day % 7 for day in sets[4])
    either = not fields[2].startswith("*") and not fields[4].startswith("*")
    schedule = Schedule(written, tuple(sorted(sets[0])), tuple(sorted(sets[1])), sets[2], sets[3], weekdays, either)
    schedule.next_after(dt.datetime(2096, 1, 1, tzinfo=dt.UTC), dt.UTC)
    return schedule


def _field(text: str, value: str, spec: _Spec) -> frozenset[int]:
    name, low, high, _ = spec
    found: set[int] = set()
    for item in value.split(","):
        match = _ITEM.fullmatch(item)
        if not match:
            raise BadValue(
                f"'{text}' is no schedule: '{item}' is no {name}", hint=f"write {low} to {high}, a range 1-5, a step */2, or a list 1,3"
            )
        first, last, step = match.groups()
        start = low if first == "*" else _number(text, first, spec)
        every = int(step) if step and step.isdigit() else 1 if step is None else 0
        if every == 0:
            raise BadValue(f"'{text}' is no schedule: '{step}' is no step", hint="write a step of 1 or more: */2")
        end = _number(text, last, spec) if last is not None else high if first == "*" or step else start
        if first == "*" and last is not None:
            raise BadValue(f"'{text}' is no schedule: '{item}' is no {name}", hint="write * or a range, not both")
        if name == "day of week" and end == 0 and start > 0:
            end = 7
        if start > end:
            raise BadValue(
                f"'{text}' is no schedule: in '{item}' the {name} runs backwards", hint=f"write {name}s from low to high, or a list"
            )
        found.update(range(start, end + 1, every))
    return frozenset(found)


def _number(text: str, word: str, spec: _Spec) -> int:
    name, low, high, names = spec
    if word.isdigit() and low <= int(word) <= high:
        return int(word)
    if word.lower()[:3] in names and word.isalpha():
        return names[word.lower()[:3]]
    raise BadValue(
        f"'{text}' is no schedule: '{word}' is no {name}", hint=f"write {low} to {high}" + (f" or {', '.join(names)}" if names else "")
    )


def zone(name: str) -> ZoneInfo:
    """The time zone of that IANA name. Raises BadValue."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        import zoneinfo

        raise BadValue(f"'{name}' is no time zone", hint=did_you_mean(name, zoneinfo.available_timezones(), show=0)) from error
