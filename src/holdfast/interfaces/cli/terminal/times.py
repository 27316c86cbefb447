"""Moments as they are shown to people."""

import datetime as dt

from holdfast.plan.values.units import format_duration


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
