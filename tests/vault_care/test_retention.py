"""The retention function, by example and by property."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.vault.points.retention import Candidate, Keep, NothingProvedLeft, PolicyEmpty, decide

UTC = dt.UTC
BERLIN = ZoneInfo("Europe/Berlin")
NOW = dt.datetime(2026, 11, 21, 12, tzinfo=UTC)


def at(text, **facts):
    moment = dt.datetime.fromisoformat(text).replace(tzinfo=UTC)
    return Candidate(text, moment, **facts)


def kept(points, zone=UTC, now=NOW, **rules):
    return {decision.id for decision in decide(points, Keep(**rules), now=now, zone=zone) if decision.keep}


def test_the_newest_of_each_of_the_last_periods_that_hold_one():
    points = [at(f"2026-11-{day:02} {hour:02}:00") for day in (1, 2, 5, 20) for hour in (1, 23)]
    assert kept(points, daily=2) == {"2026-11-20 23:00", "2026-11-05 23:00"}
    assert kept(points, last=3) == {"2026-11-20 23:00", "2026-11-20 01:00", "2026-11-05 23:00"}
    assert kept(points, daily=100) == {"2026-11-20 23:00", "2026-11-05 23:00", "2026-11-02 23:00", "2026-11-01 23:00"}
    assert kept(points, last=1, monthly=5) == {"2026-11-20 23:00"}


def test_weeks_begin_on_monday():
    sunday, monday, next_sunday = at("2026-11-08 12:00"), at("2026-11-09 12:00"), at("2026-11-15 12:00")
    assert kept([sunday, monday, next_sunday], weekly=2) == {sunday.id, next_sunday.id}
    # 2026-12-31 and 2027-01-01 lie in one ISO week.
    assert kept([at("2026-12-31 12:00"), at("2027-01-01 12:00")], weekly=2) == {"2027-01-01 12:00"}


def test_periods_are_the_time_zones():
    late, early = at("2026-11-10 22:30"), at("2026-11-10 23:30")
    assert kept([late, early], daily=2) == {early.id}
    assert kept([late, early], zone=BERLIN, daily=2) == {late.id, early.id}


def test_the_hour_that_is_repeated_is_two():
    summer, winter = at("2026-10-25 00:30"), at("2026-10-25 01:30")
    assert summer.at.astimezone(BERLIN).hour == winter.at.astimezone(BERLIN).hour
    assert kept([summer, winter], zone=BERLIN, hourly=2) == {summer.id, winter.id}


def test_within():
    points = [at("2026-11-20 11:00"), at("2026-11-20 13:00"), at("2026-11-21 10:00")]
    assert kept(points, within=dt.timedelta(days=1)) == {"2026-11-20 13:00", "2026-11-21 10:00"}


def test_an_unproved_point_does_not_push_out_a_proved_one():
    points = [at("2026-11-19 12:00", proved=True), at("2026-11-20 12:00", proved=True), at("2026-11-21 01:00"), at("2026-11-21 02:00")]
    assert kept(points, last=1) == {"2026-11-20 12:00", "2026-11-21 02:00"}


def test_holds_and_promises_win():
    points = [
        at("2020-01-01 00:00", held=True),
        at("2020-01-02 00:00", keep_until=NOW + dt.timedelta(seconds=1)),
        at("2020-01-03 00:00", keep_until=NOW),
        at("2026-01-01 00:00"),
    ]
    assert kept(points, last=1) == {"2020-01-01 00:00", "2020-01-02 00:00", "2026-01-01 00:00"}


def test_reasons_are_told_once_each():
    decisions = decide([at("2026-11-20 12:00", proved=True, held=True)], Keep(last=1, daily=7, weekly=1), now=NOW, zone=UTC)
    assert decisions[0].reasons == ("the newest (last)", "newest of its day (daily 1 of 7)", "newest of its week (weekly 1 of 1)", "held")
    older = decide([at("2026-11-19 12:00", proved=True), at("2026-11-20 12:00")], Keep(last=1), now=NOW, zone=UTC)
    assert [decision.reasons for decision in older] == [("the newest (last)",), ("the newest proved (last)",)]


def test_an_empty_policy_is_refused():
    for points in ([], [at("2026-11-20 12:00")]):
        with pytest.raises(PolicyEmpty):
            decide(points, Keep(), now=NOW, zone=UTC)
    with pytest.raises(ValueError, match="counts"):
        Keep(daily=-1)


def test_a_policy_that_leaves_nothing_proved_is_refused():
    old, new = at("2020-01-01 00:00", proved=True), at("2026-11-21 11:00")
    with pytest.raises(NothingProvedLeft):
        decide([old, new], Keep(within=dt.timedelta(days=1)), now=NOW, zone=UTC)
    with pytest.raises(NothingProvedLeft):
        decide([at("2020-01-01 00:00")], Keep(within=dt.timedelta(days=1)), now=NOW, zone=UTC)
    assert decide([], Keep(last=1), now=NOW, zone=UTC) == []


moments = st.datetimes(dt.datetime(2019, 12, 20), dt.datetime(2022, 1, 20), timezones=st.just(UTC))
histories = st.lists(
    st.builds(Candidate, id=st.integers(0, 10**6).map(str), at=moments, proved=st.booleans(), held=st.booleans()),
    max_size=40,
    unique_by=lambda point: point.id,
)
counts = st.integers(0, 8)
policies = st.builds(
    Keep,
    last=counts,
    hourly=counts,
    daily=counts,
    weekly=counts,
    monthly=counts,
    yearly=counts,
    within=st.timedeltas(dt.timedelta(0), dt.timedelta(days=400)),
).filter(lambda keep: not keep.empty)
zones = st.sampled_from([UTC, BERLIN, ZoneInfo("America/St_Johns"), ZoneInfo("Pacific/Apia")])
LATER = dt.datetime(2022, 2, 1, tzinfo=UTC)


def outcome(points, keep, zone):
    try:
        return {decision.id for decision in decide(points, keep, now=LATER, zone=zone) if decision.keep}
    except NothingProvedLeft:
        return None


@given(histories, policies, zones)
def test_what_holds_for_every_history_and_policy(points, keep, zone):
    ids = outcome(points, keep, zone)
    if ids is None:
        proved = [point for point in points if point.proved] or points
        assert all(point.at < LATER - keep.within for point in proved)
        assert not any(point.held for point in proved)
        return
    assert {point.id for point in points if point.held} <= ids
    # Order of the list does not matter.
    assert outcome(points[::-1], keep, zone) == ids
    # Pruning what was just pruned takes nothing more.
    assert outcome([point for point in points if point.id in ids], keep, zone) == ids
    # Counted by hand, for the plainest rules.
    newest = sorted(points, key=lambda point: (point.at, point.id), reverse=True)
    assert {point.id for point in newest[: keep.last]} <= ids
    days = {}
    for point in newest:
        days.setdefault(point.at.astimezone(zone).date(), point.id)
    assert set(list(days.values())[: keep.daily]) <= ids
    assert all(point.id in ids for point in points if point.at >= LATER - keep.within)


@given(histories, policies, zones)
def test_unproved_points_take_nothing_from_proved_ones(points, keep, zone):
    proved = [point for point in points if point.proved]
    alone, together = outcome(proved, keep, zone), outcome(points, keep, zone)
    if alone is not None and together is not None:
        assert alone <= together


@given(histories, policies, zones, st.sampled_from(["last", "hourly", "daily", "weekly", "monthly", "yearly"]))
def test_a_larger_count_never_keeps_less(points, keep, zone, rule):
    from dataclasses import replace

    less, more = outcome(points, keep, zone), outcome(points, replace(keep, **{rule: getattr(keep, rule) + 1}), zone)
    if less is not None:
        assert less <= more


@given(histories, policies, zones)
def test_no_more_is_kept_than_the_counts_allow(points, keep, zone):
    ids = outcome(points, keep, zone)
    if ids is not None:
        within = sum(point.at >= LATER - keep.within for point in points)
        allowed = 2 * (keep.last + keep.hourly + keep.daily + keep.weekly + keep.monthly + keep.yearly)
        assert len(ids) <= allowed + within + sum(point.held for point in points)
