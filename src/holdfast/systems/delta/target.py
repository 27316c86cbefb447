"""What a person may write behind ``--to``: a version, a moment, a point, or the newest."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from holdfast.plan.values.moments import is_moment, parse_time, wanted
from holdfast.systems.delta.errors import RestoreUsage

_HINT = "Write version:N, version:TABLE@N, a time (2026-11-21T10:00:00+01:00, 10:00, '2h ago'), latest, or a point's id or label."


def parse(text: str | None, now: dt.datetime, zone: dt.tzinfo) -> Mapping[str, Any]:
    """For ``RestoreRequest.until``: ``{"kind": "latest"}``, ``{"kind": "time", "time"}``, ``{"kind": "point", "point"}``,
    ``{"kind": "versions", "versions": {TABLE: N}}`` where the table ``*`` means the only one. Raises RestoreUsage, BadTime.
    """
    said = wanted(text)
    if said.lower() in ("latest", "immediate"):
        return {"kind": "latest"}
    if said.lower().startswith("version:"):
        return {"kind": "versions", "versions": _versions(said[8:])}
    if is_moment(said):
        return {"kind": "time", "time": parse_time(said, now=now, zone=zone).astimezone(zone).isoformat()}
    return {"kind": "point", "point": said.removeprefix("point:")}


def _versions(text: str) -> dict[str, int]:
    found = {}
    for part in text.split(","):
        table, _, number = part.strip().rpartition("@")
        if not number.isdigit():
            raise RestoreUsage(f"{part!r} is no version.", hint=_HINT)
        found[table or "*"] = int(number)
    return found
