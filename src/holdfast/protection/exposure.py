"""What would be lost if the system were gone now, by location."""

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any

from holdfast.plan.effective import EffectiveSystem
from holdfast.protection.history import Past
from holdfast.vault.copy.behind import Behind


@dataclass(frozen=True, slots=True)
class Exposure:
    """``as_of``: everything committed before then comes back from ``location``; None when nothing does, or nobody knows.

    ``source``: 'log' or 'point', what reaches that far. ``state``: ok, missed or unknown; ``why`` says it in words when not ok. ``behind``:
    what the location lacks that others have; None where it could not be asked.
    """

    location: str
    promised: dt.timedelta | None
    as_of: dt.datetime | None
    source: str | None
    state: str
    why: str
    now: dt.datetime
    behind: Behind | None = None

    @property
    def lost(self) -> dt.timedelta | None:
        """The time whose changes would be lost."""
        return None if self.as_of is None else max(self.now - self.as_of, dt.timedelta(0))

    def document(self) -> dict[str, Any]:
        """JSON-ready; times in seconds."""
        return {
            "location": self.location,
            "promised_seconds": None if self.promised is None else self.promised.total_seconds(),
            "as_of": None if self.as_of is None else self.as_of.isoformat(),
            "exposure_seconds": None if self.lost is None else self.lost.total_seconds(),
            "source": self.source,
            "state": self.state,
            "why": self.why or None,
            "behind": None if self.behind is None else self.behind.to_json(),
        }


def exposures(system: EffectiveSystem, past: Past, now: dt.datetime) -> list[Exposure]:
    """One for each location of the system, in the plan's order."""
    found = [_exposure(system, location.name, past, now) for location in system.locations]
    return [replace(one, behind=past.behind.get(one.location)) for one in found]


def _exposure(system: EffectiveSystem, location: str, past: Past, now: dt.datetime) -> Exposure:
    promised = system.rpo.get(location)
    if location in past.unreachable:
        why = f"{location} could not be asked: {past.unreachable[location]}"
        return Exposure(location, promised, None, None, "unknown", why, now)
    points = [point for point in past.points if location in point.locations and point.usable]
    counted = [point for point in points if len(point.locations) >= system.min_copies]
    if not counted and any(len(point.locations) + len(past.unreachable) >= system.min_copies for point in points):
        asked = ", ".join(past.unreachable)
        why = f"nobody knows which recovery points are in {system.min_copies} locations, as the plan demands: {asked} could not be asked"
        return Exposure(location, promised, None, None, "unknown", why, now)
    if not counted:
        why = (
            f"no recovery point in {location}" if not points else f"no recovery point in {system.min_copies} locations, as the plan demands"
        )
        return Exposure(location, promised, None, None, "missed" if promised is not None else "ok", why, now)
    reach = [(max(point.as_of for point in counted), "point")]
    # A log continues a point: without one it restores nothing, so it counts only here.
    reach += [(beat.server_time, "log") for beat in past.beats if beat.location == location and beat.server_time is not None]
    if location in past.log_as_of:
        reach.append((past.log_as_of[location], "log"))
    as_of, source = max(reach)
    exposure = max(now - as_of, dt.timedelta(0))
    if promised is None or exposure <= promised:
        return Exposure(location, promised, as_of, source, "ok", "", now)
    why = f"{_span(exposure)} would be lost from {location}, promised at most {_span(promised)}"
    if system.continuous:
        seen = [beat.seen for beat in past.beats if beat.location == location]
        why += f"; the follower last spoke {_span(now - max(seen))} ago" if seen else "; no follower has spoken"
    return Exposure(location, promised, as_of, source, "missed", why, now)


def _span(value: dt.timedelta) -> str:
    from holdfast.plan.values.units import format_duration

    whole = dt.timedelta(seconds=round(value.total_seconds())) if value >= dt.timedelta(seconds=10) else value
    return format_duration(max(whole, dt.timedelta(0)))
