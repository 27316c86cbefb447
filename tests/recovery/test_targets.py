"""What is written behind ``--to`` without an offset is told on the plan's wall clock, by every kind of system in the same way."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from holdfast.plan.values.moments import BadTime
from holdfast.systems.bucket.restore import target as bucket
from holdfast.systems.delta import target as delta
from holdfast.systems.files.restore import target as files
from holdfast.systems.postgres.restore.planning import target as postgres

ZONE = ZoneInfo("Europe/Berlin")
NOW = dt.datetime(2026, 11, 21, 10, tzinfo=dt.UTC)
LAKE = [bucket, delta, files]


@pytest.mark.parametrize("kind", [*LAKE, postgres])
def test_an_hour_that_was_twice_or_never_is_refused(kind):
    """The clocks were set back: nobody knows which of the two is meant, and a restore must not guess."""
    with pytest.raises(BadTime, match="was twice"):
        kind.parse("2026-10-25T02:30", NOW, ZONE)
    with pytest.raises(BadTime, match="never was"):
        kind.parse("2026-03-29T02:30", NOW, ZONE)


@pytest.mark.parametrize("kind", LAKE)
@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-10-25T02:30+01:00", "2026-10-25T02:30:00+01:00"),
        ("now", "2026-11-21T11:00:00+01:00"),
        ("2h ago", "2026-11-21T09:00:00+01:00"),
        ("9:05", "2026-11-21T09:05:00+01:00"),
        ("yesterday 22:00", "2026-11-20T22:00:00+01:00"),
        ("2026-11-01", "2026-11-01T00:00:00+01:00"),
    ],
)
def test_moments(kind, text, moment):
    assert kind.parse(text, NOW, ZONE) == {"kind": "time", "time": moment}


@pytest.mark.parametrize("kind", LAKE)
@pytest.mark.parametrize("text", ["before-migration", "01a1fcea", "yesterday", "nowhere"])
def test_anything_else_is_a_point(kind, text):
    assert kind.parse(text, NOW, ZONE) == {"kind": "point", "point": text}


@pytest.mark.parametrize("kind", LAKE)
@pytest.mark.parametrize("text", ["2 fortnights ago", "2026-13-01", "25:00"])
def test_what_looks_like_a_moment_and_is_none(kind, text):
    with pytest.raises(BadTime, match="is no time"):
        kind.parse(text, NOW, ZONE)
