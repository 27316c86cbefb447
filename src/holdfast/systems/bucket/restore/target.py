"""What a person may write behind ``--to``: a moment, a point, or the newest; and what it means for a bucket."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from holdfast.model import RecoveryPoint
from holdfast.plan.values.moments import is_moment, parse_time, wanted
from holdfast.systems.bucket.errors import NoBucketPoint


class Chosen(NamedTuple):
    """``as_of``: of each key the version that was current then, out of a point that holds versions; None: what was current in the point."""

    point: RecoveryPoint
    as_of: dt.datetime | None
    words: str


def parse(text: str | None, now: dt.datetime, zone: dt.tzinfo) -> Mapping[str, Any]:
    """``{"kind": "latest"}``, ``{"kind": "time", "time": ISO 8601}``, ``{"kind": "point", "point"}``. Raises BadTime."""
    said = wanted(text)
    if said.lower() in ("latest", "immediate"):
        return {"kind": "latest"}
    if is_moment(said):
        return {"kind": "time", "time": parse_time(said, now=now, zone=zone).astimezone(zone).isoformat()}
    return {"kind": "point", "point": said.removeprefix("point:")}


def choose(system: str, points: Sequence[RecoveryPoint], until: Mapping[str, Any]) -> Chosen:
    """``points`` in order of commit. Raises NoBucketPoint.

    A moment is reached exactly from a point that was begun after it and holds all versions; else the newest point before it is taken.
    """
    kind = until.get("kind", "latest")
    if kind == "point":
        wanted = str(until["point"])
        found = [point for point in points if point.label == wanted or (len(wanted) >= 4 and point.id.startswith(wanted))]
        if not found:
            raise NoBucketPoint(f"{system} has no point {wanted!r}.", hint=f"See: holdfast points {system}")
        return Chosen(found[-1], None, f"point {wanted}")
    if not points:
        raise NoBucketPoint(f"{system} has no recovery point.", hint=f"Take one: holdfast backup {system}")
    if kind != "time":
        return Chosen(points[-1], None, "latest")
    moment = dt.datetime.fromisoformat(until["time"])
    for point in points:
        if point.facts.get("versions") == "all" and dt.datetime.fromisoformat(point.start["time"]) >= moment:
            return Chosen(point, moment, f"each key's version of {moment.isoformat()}")
    before = [point for point in points if point.committed_at <= moment]
    if not before:
        hint = f"The oldest is of {points[0].committed_at.isoformat()}."
        raise NoBucketPoint(f"{system} has no point from before {moment.isoformat()}.", hint=hint)
    return Chosen(before[-1], None, f"the newest point before {moment.isoformat()}")
