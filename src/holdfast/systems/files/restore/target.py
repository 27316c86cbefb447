"""What a person may write behind ``--to``: a moment, a point, or the newest."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.model import RecoveryPoint
from holdfast.plan.values.moments import is_moment, parse_time, wanted
from holdfast.systems.files.errors import NoPoint


def parse(text: str | None, now: dt.datetime, zone: dt.tzinfo) -> Mapping[str, Any]:
    """For ``RestoreRequest.until``: ``{"kind": "latest"}``, ``{"kind": "time", "time": ISO 8601}``, ``{"kind": "point", "point"}``.

    Raises BadTime.
    """
    said = wanted(text)
    word = said.lower()
    if word in ("latest", "immediate"):
        return {"kind": "latest"}
    if is_moment(said):
        return {"kind": "time", "time": parse_time(said, now=now, zone=zone).astimezone(zone).isoformat()}
    return {"kind": "point", "point": said.removeprefix("point:")}


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
