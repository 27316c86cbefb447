"""What a person may write behind ``--to``: a moment, a point, or the newest."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.model import RecoveryPoint
from holdfast.plan.errors import BadValue
from holdfast.plan.values.units import parse_duration
from holdfast.systems.files.errors import NoPoint, TargetMissing

_HINT = "Write a time (2026-11-21T10:00:00+01:00, 10:00, '2h ago'), latest, or a point's id or label."
_CLOCK = re.compile(r"(?:(today|yesterday)\s+)?(\d{1,2}):(\d\d)(?::(\d\d))?", re.IGNORECASE)


def parse(text: str | None, now: dt.datetime, zone: dt.tzinfo) -> Mapping[str, Any]:
    """For ``RestoreRequest.until``: ``{"kind": "latest"}``, ``{"kind": "time", "time": ISO 8601}``, ``{"kind": "point", "point"}``.

    Raises TargetMissing.
    """
    said = (text or "latest").strip()
    word = said.lower()
    if word in ("latest", "immediate"):
        return {"kind": "latest"}
    moment = _moment(said, now, zone)
    if moment is not None:
        return {"kind": "time", "time": moment.astimezone(zone).isoformat()}
    return {"kind": "point", "point": said.removeprefix("point:")}


def _moment(text: str, now: dt.datetime, zone: dt.tzinfo) -> dt.datetime | None:
    word = text.lower()
    if word == "now":
        return now
    if word.endswith("ago"):
        try:
            return now - parse_duration(word[:-3].replace(" ", ""))
        except (BadValue, OverflowError) as error:
            raise TargetMissing(f"{text!r} is no time.", hint=_HINT) from error
    if clock := _CLOCK.fullmatch(text):
        day = now.astimezone(zone).date() - dt.timedelta(days=(clock[1] or "").lower() == "yesterday")
        text = f"{day.isoformat()}T{int(clock[2]):02d}:{clock[3]}:{clock[4] or '00'}"
    if not re.match(r"\d{4}-\d\d-\d\d", text):
        return None
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise TargetMissing(f"{text!r} looks like a time and is none: {error}.", hint=_HINT) from error
    return found if found.tzinfo else found.replace(tzinfo=zone)


def choose(system: str, points: Sequence[RecoveryPoint], until: Mapping[str, Any]) -> tuple[RecoveryPoint, str]:
    """(the point, the target in words). ``points`` in order of commit. Raises NoPoint."""
    kind = until.get("kind", "latest")
    if kind == "point":
        wanted = str(until["point"])
        found = [point for point in points if point.label == wanted or (len(wanted) >= 4 and point.id.startswith(wanted))]
        if not found:
            raise NoPoint(f"{system} has no point {wanted!r}.", hint=f"See: holdfast points {system}")
        return found[-1], f"point {wanted}"
    if kind == "time":
        moment = dt.datetime.fromisoformat(until["time"])
        found = [point for point in points if point.committed_at <= moment]
        if not found:
            raise NoPoint(
                f"{system} has no point from before {moment.isoformat()}.",
                hint=f"The oldest is of {points[0].committed_at.isoformat()}." if points else f"Take one: holdfast backup {system}",
            )
        return found[-1], f"the newest point before {moment.isoformat()}"
    if not points:
        raise NoPoint(f"{system} has no recovery point.", hint=f"Take one: holdfast backup {system}")
    return points[-1], "latest"
