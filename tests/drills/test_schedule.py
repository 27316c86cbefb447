"""When a drill is due, and what an overdue finding does to the status."""

import datetime as dt
from dataclasses import replace

import pytest

from holdfast.plan import parse_schedule
from holdfast.plan.shape.operations import Windows
from holdfast.protection.due import due_for
from holdfast.protection.history import Overdue
from holdfast.protection.status import system_status
from tests.protection.plans import at, past, point, system

OPEN = Windows()


@pytest.mark.parametrize(
    ("drilled", "now", "since"),
    [
        (None, "2026-06-30T12:00", None),
        (None, "2026-07-01T12:00", "2026-07-01"),
        ("2026-06-15T00:00", "2026-07-02T00:00", "2026-07-01"),
        ("2026-07-01T10:00", "2026-09-30T00:00", None),
        ("2026-07-01T10:00", "2027-01-05T00:00", "2026-10-01"),
    ],
)
def test_a_drill_is_due_by_the_tier_and_asks_people(tmp_path, drilled, now, since):
    one = replace(system(tmp_path), drill=parse_schedule("quarterly"))
    known = past(point("2026-05-01T12:00"), drilled=at(drilled) if drilled else None)
    found = [item for item in due_for(one, OPEN, dt.UTC, known, at(now)) if item.verb == "drill"]
    assert [f"{item.since:%Y-%m-%d}" for item in found] == ([since] if since else [])
    assert all("holdfast drill" in item.blocked for item in found)


def test_what_was_never_backed_up_cannot_be_rehearsed(tmp_path):
    one = replace(system(tmp_path), drill=parse_schedule("daily"))
    assert not [item for item in due_for(one, OPEN, dt.UTC, past(), at("2026-05-03T12:00")) if item.verb == "drill"]


def test_an_overdue_finding_is_a_missed_promise(tmp_path):
    late = Overdue("F261121-abcdef", "db: rto: expected at most 60 s, got 90", "dora", dt.date(2026, 4, 30))
    known = past(point("2026-05-01T12:00"), overdue=(late,))
    found = system_status(system(tmp_path), OPEN, dt.UTC, known, at("2026-05-01T12:30"))
    reason = next(one for one in found.reasons if "F261121" in one.text)
    assert (reason.state, reason.hint) == ("missed", "holdfast drill retest F261121-abcdef")
    assert "dora" in reason.text
