"""Moments as people write them: ISO 8601, a wall-clock time, ``10m ago``, ``now``."""

import datetime as dt
import re

from holdfast.errors import Usage
from holdfast.plan.errors import BadValue
from holdfast.plan.values.units import parse_duration

_AGO = re.compile(r"(.+?)\s*ago", re.IGNORECASE)
_DAY_WORD = re.compile(r"(today|yesterday)(?:\s+(?:at\s+)?(.+))?", re.IGNORECASE)
_CLOCK = re.compile(r"\d{1,2}:\d\d(:\d\d(\.\d+)?)?")
_MOMENT = re.compile(r"now|.+\bago|(?:(?:today|yesterday)\s+)?(?:at\s+)?\d{1,2}:\d\d.*|\d{4}-\d\d-\d\d.*", re.IGNORECASE)
_HINT = "Write ISO 8601 (2026-11-21T10:00:00+01:00), a time of today (10:00), 'yesterday 22:00', '10m ago' or 'now'."


class BadTime(Usage):
    """A moment that cannot be understood, or that the clocks had twice or never."""

    code = "bad-time"


def wanted(text: str | None) -> str:
    """What is to be returned to, as it was said; ``latest`` where nothing was.

    Raises BadTime for an empty text: a shell's variable that was never set must not bring back the newest state, damage and all.
    """
    if text is None:
        return "latest"
    if not text.strip():
        raise BadTime("The moment to return to is empty.", hint="Was a variable not set? If the newest state is meant, say: latest")
    return text.strip()


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
    return moment if moment.tzinfo else on_wall(text, moment, zone)


def is_moment(text: str) -> bool:
    """Whether somebody who may also write something else means a moment, well written or not."""
    return _MOMENT.fullmatch(" ".join(text.split())) is not None


def _clock(text: str) -> str:
    return text if len(text.partition(":")[0]) == 2 else f"0{text}"


def on_wall(text: str, moment: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """``moment``, written without an offset, on the wall clock of ``zone``. Raises BadTime where the clocks had it twice or never."""
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
