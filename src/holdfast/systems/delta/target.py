"""What a person may write behind ``--to``: a version, a moment, a point, or the newest."""

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

from holdfast.plan.errors import BadValue
from holdfast.plan.values.units import parse_duration
from holdfast.systems.delta.errors import RestoreUsage

_HINT = "Write version:N, version:TABLE@N, a time (2026-11-21T10:00:00+01:00, 10:00, '2h ago'), latest, or a point's id or label."
_CLOCK = re.compile(r"(?:(today|yesterday)\s+)?(\d{1,2}):(\d\d)(?::(\d\d))?", re.IGNORECASE)


def parse(text: str | None, now: dt.datetime, zone: dt.tzinfo) -> Mapping[str, Any]:
    """For ``RestoreRequest.until``: ``{"kind": "latest"}``, ``{"kind": "time", "time"}``, ``{"kind": "point", "point"}``,
    ``{"kind": "versions", "versions": {TABLE: N}}`` where the table ``*`` means the only one. Raises RestoreUsage.
    """
    said = (text or "latest").strip()
    if said.lower() in ("latest", "immediate"):
        return {"kind": "latest"}
    if said.lower().startswith("version:"):
        return {"kind": "versions", "versions": _versions(said[8:])}
    moment = _moment(said, now, zone)
    if moment is not None:
        return {"kind": "time", "time": moment.astimezone(zone).isoformat()}
    return {"kind": "point", "point": said.removeprefix("point:")}


def _versions(text: str) -> dict[str, int]:
    found = {}
    for part in text.split(","):
        table, _, number = part.strip().rpartition("@")
        if not number.isdigit():
            raise RestoreUsage(f"{part!r} is no version.", hint=_HINT)
        found[table or "*"] = int(number)
    return found


def _moment(text: str, now: dt.datetime, zone: dt.tzinfo) -> dt.datetime | None:
    word = text.lower()
    if word == "now":
        return now
    if word.endswith("ago"):
        try:
            return now - parse_duration(word[:-3].replace(" ", ""))
        except (BadValue, OverflowError) as error:
            raise RestoreUsage(f"{text!r} is no time.", hint=_HINT) from error
    if clock := _CLOCK.fullmatch(text):
        day = now.astimezone(zone).date() - dt.timedelta(days=(clock[1] or "").lower() == "yesterday")
        text = f"{day.isoformat()}T{int(clock[2]):02d}:{clock[3]}:{clock[4] or '00'}"
    if not re.match(r"\d{4}-\d\d-\d\d", text):
        return None
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise RestoreUsage(f"{text!r} looks like a time and is none: {error}.", hint=_HINT) from error
    return found if found.tzinfo else found.replace(tzinfo=zone)
