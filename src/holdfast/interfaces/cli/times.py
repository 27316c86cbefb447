"""Moments as people write them: ISO 8601, a wall-clock time, ``10m ago``, ``now``."""

import datetime as dt
import re

from holdfast.errors import Usage
from holdfast.plan.errors import BadValue
from holdfast.plan.values.units import format_duration, parse_duration

_AGO = re.compile(r"(.+?)\s*ago", re.IGNORECASE)
_DAY_WORD = re.compile(r"(today|yesterday)(?:\s+(?:at\s+)?(.+))?", re.IGNORECASE)
_CLOCK = re.compile(r"\d{1,2}:\d\d(:\d\d(\.\d+)?)?")
_HINT = "Write ISO 8601 (2026-11-21T10:00:00+01:00), a time of today (10:00), 'yesterday 22:00', '10m ago' or 'now'."


class BadTime(Usage):
    """A moment that cannot be understood, or that the clocks had twice or never."""

    code = "bad-time"


def parse_time(text: str, *, now: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """An aware moment. Without an offset the time is on ``zone``'s wall clock; ``now`` is what relative times count from.

    Raises BadTime.
    """
    written = " ".join(text.split())
    if written.lower() == "now":
        return now
    if ago := _AGO.fullmatch(written):
        try:
            return now - parse_duration(ago[1].replace(" ", ""))
        except (BadValue, OverflowError) as error:
            raise BadTime(f"'{text}' is no time.", hint=_HINT) from error
    local = now.astimezone(zone)
    if day := _DAY_WORD.fullmatch(written):
        date = local.date() - dt.timedelta(days=day[1].lower() == "yesterday")
        written = f"{date.isoformat()}T{_clock(day[2] or '00:00')}"
    elif _CLOCK.fullmatch(written):
        written = f"{local.date().isoformat()}T{_clock(written)}"
    try:
        moment = dt.datetime.fromisoformat(written)
    except ValueError as error:
        raise BadTime(f"'{text}' is no time.", hint=_HINT) from error
    return moment if moment.tzinfo else _on_wall(text, moment, zone)


def understood(moment: dt.datetime, *, now: dt.datetime, zone: dt.tzinfo) -> str:
    """The instant for a person: ISO 8601 with zone, and how far from now: ``2026-11-21T10:00:00+01:00 (10m ago)``."""
    apart = now - moment
    rounded = dt.timedelta(seconds=round(abs(apart).total_seconds()))
    distance = "now" if not rounded else f"{format_duration(rounded)} ago" if apart > dt.timedelta(0) else f"in {format_duration(rounded)}"
    return f"{moment.astimezone(zone).isoformat()} ({distance})"


def local(moment: dt.datetime | str, zone: dt.tzinfo) -> str:
    """A moment (or its ISO 8601 text) on the plan's wall clock, with its offset. What is no moment, a position say, stays as it is."""
    if isinstance(moment, str):
        try:
            moment = dt.datetime.fromisoformat(moment)
        except ValueError:
            return str(moment)
    return moment.astimezone(zone).isoformat()


def _clock(text: str) -> str:
    return text if len(text.partition(":")[0]) == 2 else f"0{text}"


def _on_wall(text: str, moment: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    first, second = moment.replace(tzinfo=zone, fold=0), moment.replace(tzinfo=zone, fold=1)
    if first.utcoffset() == second.utcoffset():
        return first
    if first.astimezone(dt.UTC).astimezone(zone).replace(tzinfo=None) != moment:
        raise BadTime(
            f"'{text}' never was: the clocks of {zone} skipped it.", hint="Write the offset: " + second.astimezone(dt.UTC).isoformat()
        )
    raise BadTime(
        f"'{text}' was twice: the clocks of {zone} were set back.",
        hint=f"Write {first.isoformat()} for the first, {second.isoformat()} for the second.",
    )
