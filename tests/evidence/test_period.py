"""A period's tests: due, passed, failed, missed, excused, open. And how sure a promise is."""

import datetime as dt
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.evidence.page import period_page
from holdfast.evidence.period import Pause, PeriodNotUnderstood, Ran, Seen, judged, period
from holdfast.plan.shape.operations import Windows
from holdfast.protection.confidence import at_least, kept
from tests.evidence.shop import Shop, check

UTC = dt.UTC


def at(day, hour=12):
    return dt.datetime(2026, 11, day, hour, tzinfo=UTC)


@pytest.fixture(scope="module")
def systems(tmp_path_factory):
    shop = Shop(tmp_path_factory.mktemp("shop"))
    yield [shop.platform.plan.effective("orders")]
    shop.close()


def states(systems, seen, now, span="2026-11", windows=None):
    """Of the weekly restores: due on Mondays, 2026-11-02, 09, 16, 23, 30."""
    found = judged(systems, windows or Windows(), UTC, seen, period(span, UTC), now)
    return {one.due.day: one.state for one in found if one.test == "restore"}


def ran(day, *, ok=True, system="orders", depth="restore"):
    return Ran(system, frozenset({depth}), f"run-{day}", at(day), ok, "" if ok else "failed")


def test_each_due_test_is_told_once_with_what_became_of_it(systems):
    frozen = Windows.model_validate({"freeze": ["2026-11-23/2026-11-29"]})
    seen = Seen([ran(3), ran(10, ok=False), ran(11, depth="structure")], [])
    assert states(systems, seen, at(30, 18), windows=frozen) == {2: "passed", 9: "failed", 16: "missed", 23: "excused", 30: "open"}


def test_a_failure_that_was_repeated_in_time_passed_and_says_so(systems):
    found = judged(systems, Windows(), UTC, Seen([ran(2, ok=False), ran(3)]), period("2026-11", UTC), at(8))
    [one] = [one for one in found if one.test == "restore"]
    assert (one.state, one.run, one.why) == ("passed", "run-3", "after 1 that failed")


def test_what_is_not_due_yet_is_not_told(systems):
    assert states(systems, Seen(), at(9, 0)) == {2: "missed"}
    assert states(systems, Seen(), at(9, 1)) == {2: "missed", 9: "open"}
    assert states(systems, Seen(), dt.datetime(2026, 10, 1, tzinfo=UTC)) == {}


@pytest.mark.parametrize(
    ("pause", "state"),
    [
        (Pause("orders", at(1), None, "migration"), "excused"),
        (Pause("orders", at(1), at(20), "migration"), "excused"),
        (Pause("orders", at(1), at(8), "too short"), "missed"),
        (Pause("orders", at(3), None, "too late"), "missed"),
        (Pause("other", at(1), None, "of another"), "missed"),
    ],
)
def test_only_a_pause_over_the_whole_time_excuses(systems, pause, state):
    assert states(systems, Seen((), [pause]), at(12))[2] == state


def test_nobody_missed_a_test_before_anything_was_there(systems):
    assert states(systems, Seen(since=at(10)), at(17)) == {2: "excused", 9: "missed", 16: "open"}


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("2026", (2026, 1, 1), (2027, 1, 1)),
        ("2026-Q1", (2026, 1, 1), (2026, 4, 1)),
        ("2026-Q4", (2026, 10, 1), (2027, 1, 1)),
        ("2026-12", (2026, 12, 1), (2027, 1, 1)),
        ("2026-02-27/2026-02-28", (2026, 2, 27), (2026, 3, 1)),
    ],
)
def test_periods(text, begin, end):
    found = period(text, UTC)
    assert (found.begin, found.end) == (dt.datetime(*begin, tzinfo=UTC), dt.datetime(*end, tzinfo=UTC))


@pytest.mark.parametrize("text", ["", "2026-Q5", "2026-13", "2026-1", "x", "2026-11-02/2026-11-01", "2026-02-30/2026-03-01", "9999"])
def test_what_is_no_period(text):
    with pytest.raises(PeriodNotUnderstood):
        period(text, UTC)


def test_from_the_journals_of_all_hosts_of_a_vault(tmp_path):
    from holdfast.assembly.evidence.period import all_tests, signed_tests

    one, two = Shop(tmp_path / "one"), Shop(tmp_path / "two", vault=tmp_path / "one")
    run = two.run(verdict="passed", results=[check("rows", 1, 1)], clocks={"restore": 3.0})
    two.platform.vault()
    two.platform.copy_records()
    assert two.told == []
    one.run("vault-check", ok=False, found=2)
    one.platform.vault()
    now = one.clock.now()
    document = all_tests(one.platform, f"{now.year}")
    assert document["doubts"] == []
    newest = {each["test"]: each for each in document["tests"]}
    assert (newest["restore"]["state"], newest["restore"]["run"], newest["restore"]["report"]) == ("passed", run, 1)
    assert newest["structure"]["state"] == "failed"
    assert document["counts"]["due"] == len(document["tests"]) == sum(document["counts"][state] for state in list(document["counts"])[1:])
    issued = signed_tests(one.platform, f"{now.year}", one.told.append)
    assert {**issued.document, "at": document["at"]}.items() >= document.items()
    text = period_page(issued, "SOC")
    assert run in text
    assert "A1.3" in text
    assert "DORA" not in text
    for made in (one, two):
        made.close()


# ---------------------------------------------------------------- how sure


@pytest.mark.parametrize(
    ("good", "of", "share"),
    [(0, 5, 0.0), (1, 1, 0.05), (3, 3, 0.3684), (20, 20, 0.8609), (59, 59, 0.9505), (9, 10, 0.6058), (95, 100, 0.8977)],
)
def test_the_bound_is_that_of_clopper_and_pearson(good, of, share):
    """Of published tables, and for all good 0.05 to the power of 1/n."""
    assert at_least(good, of) == pytest.approx(share, abs=6e-4)


@given(of=st.integers(1, 400), data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_share_below_the_bound_would_show_so_many_in_one_of_twenty_cases_at_most(of, data):
    good = data.draw(st.integers(0, of))
    bound = at_least(good, of)
    assert 0 <= bound <= good / of
    if good:
        exact = sum(math.comb(of, i) * bound**i * (1 - bound) ** (of - i) for i in range(good, of + 1))
        assert exact == pytest.approx(0.05, abs=1e-6)


def test_failures_keep_no_promise_and_the_trend_is_told():
    found = kept([10, 20, None, 40, 400], 100)
    assert (found.samples, found.kept, found.median, found.worst, found.trend) == (5, 3, 30, 400, 205)
    assert found.sentence == "kept in 3 of 5: holds in at least 19% of cases, with 95% confidence"
    assert kept([], 100).at_least is None
    with pytest.raises(ValueError, match="no count"):
        at_least(3, 2)
