"""Choosing the way to a target, on made-up histories: properties first, then the stories that went wrong elsewhere."""

import datetime as dt
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.systems.postgres import lsn as positions
from holdfast.systems.postgres.restore.errors import TargetAmbiguous, TargetUnreachable
from holdfast.systems.postgres.restore.planning.history import Base, BranchLog, Holdings, Mark, Marks
from holdfast.systems.postgres.restore.planning.reach import choose
from holdfast.systems.postgres.restore.planning.target import Target
from holdfast.systems.postgres.restore.wal import log_spans, spans

T0 = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
NOW = T0 + dt.timedelta(days=1)
SEG = 16 << 20
SYSTEM = "7000000000000000001"


def at(seconds: float) -> dt.datetime:
    return T0 + dt.timedelta(seconds=seconds)


def base(branch: str, timeline: int, start: int, stop: int, began: float, ended: float, name: str = "") -> Base:
    return Base(name or f"p{start:x}", branch, timeline, start, stop, at(began), at(ended), at(ended), bytes=1, system_identifier=SYSTEM)


def mark(position: int, seconds: float, xid: int | None = None) -> Mark:
    return Mark(position, position + 40, at(seconds), xid or position & 0xFFFF)


ONE = positions.branch(SYSTEM, 1, b"")
HISTORY2 = b"1\t0/5000000\tno recovery target specified\n"
TWO = positions.branch(SYSTEM, 2, HISTORY2)
OTHER2 = b"1\t0/4800000\tno recovery target specified\n"
OTHER_TWO = positions.branch(SYSTEM, 2, OTHER2)
HISTORY3 = HISTORY2 + b"\n2\t0/6000000\tno recovery target specified\n"
THREE = positions.branch(SYSTEM, 3, HISTORY3)
FORK = 0x5000000


def story(*logs: BranchLog, bases: tuple[Base, ...]) -> Holdings:
    return Holdings(bases, {log.name: log for log in logs})


FIRST = base(ONE, 1, 0x2000028, 0x2000100, 0, 1)
LINE1 = BranchLog(ONE, 1, b"", ((0x2000000, 0x5000000),), at(50), Marks(tuple(mark(0x3000000 + n * 0x100000, 10 + n) for n in range(30))))
LINE2 = BranchLog(TWO, 2, HISTORY2, ((0x5000000, 0x7000000),), at(90), Marks((mark(0x5100000, 60), mark(0x5200000, 70))))


@st.composite
def histories(draw):
    """One timeline: bases and stretches at random, a commit every so often, times in the order of the log."""
    commits = sorted(draw(st.sets(st.integers(0x2000000 // 64, 0x9000000 // 64), min_size=1, max_size=30)))
    marks = tuple(Mark(one * 64, one * 64 + 40, at(index * 10.0), index + 700) for index, one in enumerate(commits))
    edges = sorted(draw(st.sets(st.integers(2, 9), min_size=2, max_size=6)))
    stretches = tuple((low << 24, high << 24) for low, high in zip(edges[::2], edges[1::2], strict=False))
    bases = []
    for start in draw(st.lists(st.integers(0x2000000 // 64, 0x8000000 // 64), min_size=1, max_size=4, unique=True)):
        low = start * 64
        stop = low + draw(st.integers(1, 1 << 20))
        began = sum(1 for one in marks if one.lsn < low) * 10.0 - 5
        ended = sum(1 for one in marks if one.lsn < stop) * 10.0 - 4
        bases.append(base(ONE, 1, low, stop, began, max(began + 0.5, ended)))
    # The follower vouches only for what it has: nothing committed before this lies behind the last stretch.
    beyond = [one.time for one in marks if one.end > stretches[-1][1]]
    covered = min([at(len(commits) * 10.0), *(time - dt.timedelta(microseconds=1) for time in beyond)])
    return Holdings(tuple(bases), {ONE: BranchLog(ONE, 1, b"", stretches, covered, Marks(marks))}), marks


@given(histories(), st.floats(-10, 320), st.booleans())
@settings(max_examples=400, deadline=None)
def test_a_chosen_way_to_a_time_gives_exactly_what_was_committed_by_then(made, seconds, inclusive):
    holdings, marks = made
    target = Target("time", time=at(seconds), inclusive=inclusive)
    try:
        way = choose(holdings, target, NOW)
    except TargetUnreachable:
        return
    log = holdings.logs[ONE]
    wanted = {one.xid for one in marks if one.time is not None and (one.time < target.time or (inclusive and one.time == target.time))}
    # What the base holds and what replay adds, up to where PostgreSQL stops.
    limit = way.mark.lsn if way.stop == "time" else way.end
    got = {one.xid for one in marks if one.end <= limit}
    held = any(low <= way.base.start and way.end <= high for low, high in log.stretches)
    assert held, "WAL without a gap from the base's start to the end"
    assert way.base.stop <= max(way.end, way.base.stop)
    assert way.stop != "time" or way.mark.lsn >= way.base.stop, "never before the base is consistent"
    # Where the log ends at a gap and everything committed by then lies before it, the rest is unknown: never claimed.
    assert got == wanted


@given(histories(), st.integers(0x2000000, 0x9000000))
@settings(max_examples=300, deadline=None)
def test_a_chosen_way_to_a_position_is_covered_and_consistent(made, position):
    holdings, _ = made
    try:
        way = choose(holdings, Target("lsn", lsn=position), NOW)
    except TargetUnreachable:
        for one in holdings.bases:
            covered = any(low <= one.start and high >= max(position, one.stop) for low, high in holdings.logs[ONE].stretches)
            assert not (one.stop <= position and covered), "a reachable position was refused"
        return
    assert way.base.stop <= position <= way.end
    newer = [one for one in holdings.bases if way.base.stop < one.stop <= position]
    for one in newer:
        assert not any(low <= one.start and position <= high for low, high in holdings.logs[ONE].stretches), "a newer base would do"


@given(st.integers(0, 3 << 24), st.integers(1, 5 << 24))
def test_spans_cover_every_byte_once_and_name_the_switch_segment_twice(begin, length):
    holdings = story(LINE1, LINE2, bases=(base(ONE, 1, 0x2000028 + begin // 8 * 8, 0x2000100 + begin, 0, 1),))
    path = holdings.line(LINE2)
    from holdfast.systems.postgres.restore.planning.reach import Reach

    one = holdings.bases[0]
    way = Reach(one, path, "end-of-log", one.start + length, one.start + length)
    read = log_spans(way, SEG)
    assert read[0].start == one.start - one.start % SEG
    assert read[-1].end == way.end
    assert all(a.end == b.start for a, b in itertools.pairwise(read))
    for span in spans(way, SEG):
        assert span.timeline in (1, 2)
        assert (span.branch == TWO) <= (span.timeline == 2)


def test_on_the_way_past_one_promotion():
    holdings = story(LINE1, LINE2, bases=(FIRST,))
    way = choose(holdings, Target("time", time=at(65)), NOW)
    assert (way.path.timeline, way.stop, way.mark.lsn) == (2, "time", 0x5200000)
    before = choose(holdings, Target("time", time=at(15)), NOW)
    assert before.path.timeline == 1, "a moment before the fork needs no newer timeline"
    latest = choose(holdings, Target("latest"), NOW)
    assert (latest.path.timeline, latest.end) == (2, 0x7000000)


def test_past_two_promotions_with_a_base_on_the_middle_one():
    line2 = BranchLog(TWO, 2, HISTORY2, ((0x5000000, 0x6000000),), at(80), LINE2.landmarks)
    line3 = BranchLog(THREE, 3, HISTORY3, ((0x6000000, 0x8000000),), at(200), Marks((mark(0x6100000, 100), mark(0x6200000, 110))))
    second = base(TWO, 2, 0x5150000, 0x5160000, 61, 62)
    holdings = story(LINE1, line2, line3, bases=(FIRST, second))
    way = choose(holdings, Target("time", time=at(105)), NOW)
    assert (way.path.timeline, way.base, way.mark.lsn) == (3, second, 0x6200000)
    assert [span.branch for span in log_spans(way, SEG)] == [TWO, THREE]
    assert choose(holdings, Target("lsn", lsn=0x5155000), NOW).base == FIRST


def test_an_old_primary_that_went_on_makes_it_ambiguous():
    went_on = BranchLog(ONE, 1, b"", ((0x2000000, 0x6000000),), at(90), Marks((*LINE1.landmarks.marks, mark(0x5100000, 61))))
    holdings = story(went_on, LINE2, bases=(FIRST,))
    with pytest.raises(TargetAmbiguous, match="2 timelines") as caught:
        choose(holdings, Target("time", time=at(65)), NOW)
    assert {one["timeline"] for one in caught.value.details["timelines"]} == {1, 2}
    assert choose(holdings, Target("time", time=at(65)), NOW, timeline=1).path.timeline == 1
    assert choose(holdings, Target("time", time=at(65)), NOW, timeline="2").path.timeline == 2
    latest = choose(holdings, Target("latest"), NOW)
    assert latest.path.timeline == 2
    assert "--timeline 1" in latest.warnings[0]


def test_two_servers_that_both_call_their_timeline_two():
    twin = BranchLog(OTHER_TWO, 2, OTHER2, ((0x4000000, 0x7000000),), at(90), Marks((mark(0x4900000, 62),)))
    holdings = story(LINE1, LINE2, twin, bases=(FIRST,))
    with pytest.raises(TargetAmbiguous):
        choose(holdings, Target("latest"), NOW, timeline="2")
    assert choose(holdings, Target("latest"), NOW, timeline=OTHER_TWO).path.branch == OTHER_TWO


def test_a_base_taken_after_the_target_is_not_used():
    late = base(ONE, 1, 0x3500028, 0x3500100, 15, 16)
    holdings = story(LINE1, bases=(FIRST, late))
    assert choose(holdings, Target("time", time=at(12)), NOW).base == FIRST
    assert choose(holdings, Target("time", time=at(20)), NOW).base == late


def test_a_gap_is_named_and_a_base_behind_it_is_used():
    gap = BranchLog(ONE, 1, b"", ((0x2000000, 0x3000000), (0x4000000, 0x5000000)), at(50), LINE1.landmarks)
    holdings = story(gap, bases=(FIRST,))
    with pytest.raises(TargetUnreachable) as caught:
        choose(holdings, Target("lsn", lsn=0x4100000), NOW)
    assert caught.value.details["missing"] == {"from": "0/3000000", "to": "0/4000000", "bytes": 0x1000000}
    behind = base(ONE, 1, 0x4000028, 0x4000100, 20, 21)
    assert choose(story(gap, bases=(FIRST, behind)), Target("lsn", lsn=0x4100000), NOW).base == behind


def test_a_base_whose_closing_wal_never_came_is_passed_over():
    half = base(ONE, 1, 0x4FF0000, 0x5000100, 40, 41)
    holdings = story(LINE1, bases=(FIRST, half))
    assert choose(holdings, Target("latest"), NOW).base == FIRST
    with pytest.raises(TargetUnreachable, match="not consistent before"):
        choose(story(LINE1, bases=(half,)), Target("immediate"), NOW)
