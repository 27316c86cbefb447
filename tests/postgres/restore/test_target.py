"""What may stand behind --to."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.systems.postgres.restore.planning.target import BadTarget, from_json, parse

NOW = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)
BERLIN = dt.timezone(dt.timedelta(hours=1))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10m ago", NOW - dt.timedelta(minutes=10)),
        ("1h 30m ago", NOW - dt.timedelta(minutes=90)),
        ("2 days ago", NOW - dt.timedelta(days=2)),
        ("2026-11-21 10:00", dt.datetime(2026, 11, 21, 9, tzinfo=dt.UTC)),
        ("2026-11-21T10:00:00.25Z", dt.datetime(2026, 11, 21, 10, 0, 0, 250000, tzinfo=dt.UTC)),
        ("9:30", dt.datetime(2026, 11, 21, 8, 30, tzinfo=dt.UTC)),
        ("yesterday 23:15", dt.datetime(2026, 11, 20, 22, 15, tzinfo=dt.UTC)),
        ("now", NOW),
    ],
)
def test_times(text, expected):
    target = parse(text, NOW, BERLIN)
    assert target.kind == "time"
    assert target.time == expected


def test_a_target_is_told_on_the_plans_clock_and_means_the_same_instant():
    target = parse("2026-11-21T09:00:00Z", NOW, BERLIN)
    assert target.show() == "2026-11-21T10:00:00+01:00"
    assert from_json(target.to_json()).show() == target.show()
    assert target.clock(NOW) == "2026-11-21T13:00:00+01:00"
    assert parse("1h ago", NOW, BERLIN).show() == "2026-11-21T12:00:00+01:00"


def test_other_forms():
    assert parse(None, NOW).kind == "latest"
    assert parse("Immediate", NOW).kind == "immediate"
    assert parse("lsn:0/3000028", NOW).lsn == 0x3000028
    assert parse("xid:4294967999", NOW).xid == 703, "the epoch above 32 bits is not in the log"
    assert parse("name:before migration", NOW).name == "before migration"
    assert parse("nightly", NOW).point == "nightly"
    assert not parse("before xid:5", NOW).inclusive


@pytest.mark.parametrize("text", ["lsn:zz", "lsn:", "xid:many", "2026-13-45", "10 parsecs ago", "before breakfast"])
def test_nonsense_is_refused(text):
    with pytest.raises(BadTarget):
        parse(text, NOW)


@given(st.text(max_size=40))
def test_any_text_is_understood_or_refused_in_words(text):
    try:
        target = parse(text, NOW)
    except BadTarget:
        return
    assert from_json(target.to_json()) == target
    assert target.show()
