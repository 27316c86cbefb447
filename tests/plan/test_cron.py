"""Fires against brute force: every minute of a span is asked by the rule as written, with no cleverness."""

# ruff: noqa: E501 - expected texts stand as they are printed

import datetime as dt
import functools
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from holdfast.plan import BadValue, parse_schedule
from holdfast.plan.values.cron import WORDS

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
MINUTE = dt.timedelta(minutes=1)


def field(low, high):
    number = st.integers(low, high)
    item = st.one_of(
        number.map(str),
        st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}"),
        st.tuples(number, number, st.integers(1, high)).map(lambda t: f"{min(t[:2])}-{max(t[:2])}/{t[2]}"),
    )
    star = st.one_of(st.just("*"), st.integers(1, high).map(lambda step: f"*/{step}"))
    return st.one_of(star, st.lists(item, min_size=1, max_size=3).map(",".join))


crons = st.tuples(field(0, 59), field(0, 23), st.just("*"), st.just("*"), field(0, 7)).map(" ".join)
full_crons = st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 7)).map(" ".join)
# Around both changes of clocks as well as anywhere.
moments = st.one_of(
    st.datetimes(dt.datetime(2026, 1, 1), dt.datetime(2027, 12, 1)),
    st.datetimes(dt.datetime(2026, 3, 27), dt.datetime(2026, 3, 30)),
    st.datetimes(dt.datetime(2026, 10, 23), dt.datetime(2026, 10, 26)),
).map(lambda naive: naive.replace(tzinfo=dt.UTC))


@functools.cache
def expand(text, low, high):
    found = set()
    for item in text.split(","):
        spread, _, step = item.partition("/")
        first, _, last = spread.partition("-")
        start, end = (low, high) if first == "*" else (int(first), int(last or first))
        if first != "*" and step and not last:
            end = high
        found |= set(range(start, end + 1, int(step or 1)))
    return found


def wall_matches(text, wall):
    fields = text.split()
    minute, hour, day, month = (expand(value, *span) for value, span in zip(fields, [(0, 59), (0, 23), (1, 31), (1, 12)], strict=False))
    weekday = {number % 7 for number in expand(fields[4], 0, 7)}
    in_month, in_week = wall.day in day, wall.isoweekday() % 7 in weekday
    both = fields[2].startswith("*") or fields[4].startswith("*")
    right_day = (in_month and in_week) if both else (in_month or in_week)
    return wall.minute in minute and wall.hour in hour and wall.month in month and right_day


def fires_at(text, utc, zone):
    """Whether the schedule fires in the minute ``utc``: on its wall clock, or pushed there from a wall time that did not exist."""
    local = utc.astimezone(zone)
    every_hour = len(expand(text.split()[1], 0, 23)) == 24
    if wall_matches(text, local) and (local.fold == 0 or every_hour):
        return True
    before = (utc - dt.timedelta(hours=2)).astimezone(zone).utcoffset()
    if local.utcoffset() > before:  # just after a gap: this is where the skipped minutes went
        skipped = (utc + before).replace(tzinfo=None)
        exists = skipped.replace(tzinfo=zone).astimezone(dt.UTC).astimezone(zone).replace(tzinfo=None) == skipped
        return not exists and wall_matches(text, skipped)
    return False


@settings(max_examples=60, deadline=None)
@given(crons, moments, st.sampled_from(ZONES))
def test_next_and_last_fire_are_those_of_brute_force(text, moment, zone_name):
    zone, schedule = ZoneInfo(zone_name), parse_schedule(text)
    found = schedule.next_after(moment, zone)
    assert found > moment
    minute = moment.replace(second=0, microsecond=0) + MINUTE
    end = min(found, minute + dt.timedelta(hours=26))
    while minute < end:
        assert not fires_at(text, minute, zone), f"{text} fires at {minute} already"
        minute += MINUTE
    assert fires_at(text, found.astimezone(dt.UTC), zone)
    last = schedule.last_until(found, zone)
    assert last == found
    before = schedule.last_until(found - MINUTE, zone)
    assert before < found
    assert schedule.next_after(before, zone) == found


@settings(max_examples=60, deadline=None)
@given(full_crons, moments)
@example("0 0 * 3 */2", dt.datetime(2026, 4, 1, tzinfo=dt.UTC))
@example("0 0 1 3 2", dt.datetime(2026, 4, 1, tzinfo=dt.UTC))
def test_no_gap_is_longer_than_said(text, moment):
    schedule = parse_schedule(text)
    before, gap = schedule.next_after(moment, dt.UTC), schedule.longest_gap
    for _ in range(20):
        after = schedule.next_after(before, dt.UTC)
        assert after - before <= gap
        before = after


@settings(max_examples=25, deadline=None)
@given(st.tuples(st.integers(0, 59).map(str), field(0, 23), st.just("*"), st.just("*"), field(0, 7)).map(" ".join))
def test_the_longest_gap_really_comes(text):
    schedule = parse_schedule(text)
    at, end, seen = dt.datetime(2026, 1, 4, tzinfo=dt.UTC), dt.datetime(2026, 1, 26, tzinfo=dt.UTC), dt.timedelta(0)
    previous = schedule.last_until(at, dt.UTC)
    steps = 0
    while at < end and steps < 600:
        at = schedule.next_after(previous, dt.UTC)
        seen, previous, steps = max(seen, at - previous), at, steps + 1
    if steps < 600:
        assert seen == schedule.longest_gap


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("hourly", 1),
        ("daily", 24),
        ("weekly", 168),
        ("0 */6 * * *", 6),
        ("30 2,14 * * *", 12),
        ("0 3 * * mon-fri", 72),
        ("monthly", 31 * 24),
        ("yearly", 366 * 24),
    ],
)
def test_longest_gaps(text, hours):
    assert parse_schedule(text).longest_gap == dt.timedelta(hours=hours)


def test_a_leap_day_is_awaited_for_eight_years():
    schedule = parse_schedule("0 0 29 2 *")
    assert schedule.longest_gap == dt.timedelta(days=8 * 365 + 1)
    assert schedule.next_after(dt.datetime(2097, 1, 1, tzinfo=dt.UTC), dt.UTC).year == 2104


def test_words_are_their_fields():
    at = dt.datetime(2026, 11, 21, 1, 7, tzinfo=dt.UTC)
    for word, fields in WORDS.items():
        for text in (word, word.capitalize(), f"@{word}"):
            assert parse_schedule(text).next_after(at, dt.UTC) == parse_schedule(fields).next_after(at, dt.UTC)


def test_berlin_skips_and_repeats():
    berlin, daily, hourly = ZoneInfo("Europe/Berlin"), parse_schedule("30 2 * * *"), parse_schedule("30 * * * *")
    skipped = daily.next_after(dt.datetime(2026, 3, 28, 12, tzinfo=dt.UTC), berlin)
    assert skipped.isoformat() == "2026-03-29T03:30:00+02:00"
    first = daily.next_after(dt.datetime(2026, 10, 24, 12, tzinfo=dt.UTC), berlin)
    assert first.isoformat() == "2026-10-25T02:30:00+02:00"
    assert daily.next_after(first, berlin).isoformat() == "2026-10-26T02:30:00+01:00"
    assert hourly.next_after(first, berlin).isoformat() == "2026-10-25T02:30:00+01:00"


@pytest.mark.parametrize(
    "text",
    ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "*/0 * * * *", "5-1 * * * *", "a * * * *", "0 0 30 2 *", "dayly", "1,,2 * * * *", "*-5 * * * *", None, 5, "* * * * x/2"],
)  # fmt: skip
def test_no_schedules(text):
    with pytest.raises(BadValue) as caught:
        parse_schedule(text)
    assert caught.value.hint


def test_a_misspelt_word_is_told_the_right_one():
    with pytest.raises(BadValue) as caught:
        parse_schedule("dayly")
    assert "'daily'" in caught.value.hint
