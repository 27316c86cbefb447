"""Whether a runbook was followed to its end within the time in which its systems want a drill: one that nobody ever followed is a hope."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.plan.values.cron import Schedule


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """``last``: when a run of it was last done to its end. ``since``: since when another one is due; None while none is, and where one was
    due from the beginning (``overdue`` tells).
    """

    last: dt.datetime | None
    overdue: bool
    since: dt.datetime | None


def rehearsal(last: dt.datetime | None, schedules: Sequence[Schedule], zone: dt.tzinfo, now: dt.datetime) -> Rehearsal:
    """``schedules``: those of drills (``drill:`` of the plan) of the systems that the runbook is for; without one nothing is ever due."""
    if last is None:
        return Rehearsal(None, bool(schedules), None)
    missed = [fire for schedule in schedules if (fire := schedule.next_after(last, zone)) <= now]
    return Rehearsal(last, bool(missed), min(missed, default=None))
