"""What a person may write behind ``--to``, as a typed target."""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from holdfast.errors import Usage
from holdfast.plan.values.moments import BadTime, on_wall, wanted
from holdfast.systems.postgres import lsn as positions

Kind = Literal["latest", "immediate", "time", "lsn", "xid", "name", "point"]


class BadTarget(Usage):
    """The text behind ``--to`` is none of the forms that PostgreSQL can be returned to."""

    code = "target-not-understood"


@dataclass(frozen=True, slots=True)
class Target:
    """Where recovery is to end. ``inclusive``: what committed exactly at the target is kept.

    ``time`` is aware; ``lsn`` a byte position: recovery ends behind the record that begins there or, if none does, the first one after;
    ``xid`` the 32-bit id as PostgreSQL's log and ``pg_current_xact_id`` show it; ``point`` an id, an id's beginning or a label.
    """

    kind: Kind
    time: dt.datetime | None = None
    lsn: int | None = None
    xid: int | None = None
    name: str | None = None
    point: str | None = None
    inclusive: bool = True

    def show(self) -> str:
        """The target in words, with the instant that was understood."""
        if self.time is not None:
            return f"{self.time.isoformat()}" if self.inclusive else f"just before {self.time.isoformat()}"
        if self.lsn is not None:
            return f"lsn:{positions.show(self.lsn)}"
        if self.xid is not None:
            return f"xid:{self.xid}" if self.inclusive else f"just before xid:{self.xid}"
        if self.name is not None:
            return f"name:{self.name}"
        return f"point {self.point}" if self.point is not None else self.kind

    def clock(self, moment: dt.datetime) -> str:
        """A moment as text, in the zone that the target was asked for in."""
        return (moment.astimezone(self.time.tzinfo) if self.time is not None else moment).isoformat()

    def to_json(self) -> dict[str, Any]:
        """JSON-ready: what ``RestoreRequest.until`` carries."""
        values = {
            "time": self.time.isoformat() if self.time else None,
            "lsn": positions.show(self.lsn) if self.lsn is not None else None,
            "xid": self.xid,
            "name": self.name,
            "point": self.point,
        }
        return {"kind": self.kind, "inclusive": self.inclusive, **{key: value for key, value in values.items() if value is not None}}


def from_json(until: Mapping[str, Any]) -> Target:
    """The inverse of ``Target.to_json``; an empty mapping is ``latest``."""
    if not until:
        return Target("latest")
    return Target(
        kind=until["kind"],
        time=dt.datetime.fromisoformat(until["time"]) if until.get("time") else None,
        lsn=positions.parse(until["lsn"]) if until.get("lsn") else None,
        xid=until.get("xid"),
        name=until.get("name"),
        point=until.get("point"),
        inclusive=until.get("inclusive", True),
    )


_UNITS = {
    "s": 1,
    "sec": 1,
    "second": 1,
    "m": 60,
    "min": 60,
    "minute": 60,
    "h": 3600,
    "hour": 3600,
    "d": 86400,
    "day": 86400,
    "w": 604800,
    "week": 604800,
}
_AGO = re.compile(r"((?:\d+(?:\.\d+)?\s*[a-z]+\s*)+)ago", re.IGNORECASE)
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)", re.IGNORECASE)
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")
_CLOCK = re.compile(r"(?:(today|yesterday)\s+)?(\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)", re.IGNORECASE)


def _time(text: str, now: dt.datetime, zone: dt.tzinfo) -> dt.datetime | None:
    if text.lower() == "now":
        return now
    ago = _AGO.fullmatch(text)
    if ago:
        seconds = 0.0
        for amount, unit in _PART.findall(ago[1]):
            name = unit.lower()
            scale = _UNITS.get(name) or _UNITS.get(name.removesuffix("s"))
            if scale is None:
                raise BadTarget(f"{unit!r} in {text!r} is not a unit of time.", hint="Use s, m, h, d or w: '10m ago', '1h 30m ago'.")
            seconds += float(amount) * scale
        return (now - dt.timedelta(seconds=seconds)).astimezone(zone)
    day = now.astimezone(zone).date()
    if clock := _CLOCK.fullmatch(text):
        if (clock[1] or "").lower() == "yesterday":
            day -= dt.timedelta(days=1)
        text = f"{day.isoformat()} {clock[2].rjust(5, '0') if len(clock[2].split(':')[0]) == 2 else '0' + clock[2]}"
    if not _ISO.match(text):
        return None
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise BadTarget(f"{text!r} looks like a time and is not one: {error}.", hint="Write it as 2026-11-21 14:03:05+01:00.") from error
    if found.tzinfo is None:
        found = on_wall(text, found, zone)
    # Told again on the plan's wall clock, whatever clock it was asked for on.
    return found.astimezone(dt.UTC).astimezone(zone)


def parse(text: str | None, now: dt.datetime, zone: dt.tzinfo = dt.UTC) -> Target:
    """Understand ``TIME | lsn:… | xid:… | name:… | latest | immediate | POINT``.

    TIME is ISO 8601 (without a zone: the plan's), a clock time of today, or relative ('10m ago'). 'before TIME' and 'before
    xid:N' leave out
    what committed exactly then. Raises BadTarget. Anything else is taken for the id or label of a recovery point.
    """
    try:
        text = wanted(text)
    except BadTime as error:
        raise BadTarget(error.message, hint=error.hint) from None
    word = text.lower()
    if word == "latest":
        return Target("latest")
    if word == "immediate":
        return Target("immediate")
    inclusive = not word.startswith("before ")
    if not inclusive:
        text = text[len("before ") :].strip()
    prefix, colon, rest = text.partition(":")
    rest = rest.strip()
    if colon and prefix.lower() in ("lsn", "xid", "name", "point"):
        if not rest:
            raise BadTarget(f"Nothing stands behind '{prefix}:'.", hint="lsn:0/3000028, xid:1234, name:before-migration")
        try:
            match prefix.lower():
                case "lsn":
                    return Target("lsn", lsn=positions.parse(rest), inclusive=inclusive)
                case "xid":
                    return Target("xid", xid=int(rest) & 0xFFFFFFFF, inclusive=inclusive)
                case "name":
                    return Target("name", name=rest)
                case _:
                    return Target("point", point=rest)
        except ValueError as error:
            raise BadTarget(f"{text!r}: {error}.", hint="lsn:0/3000028, xid:1234") from error
    time = _time(text, now, zone)
    if time is not None:
        return Target("time", time=time, inclusive=inclusive)
    if not inclusive:
        raise BadTarget(f"{text!r} behind 'before' is neither a time nor xid:N.")
    return Target("point", point=text)
