"""How answers are judged: expected and actual, never a pass for what was skipped or empty."""

import datetime as dt
import decimal
import time
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model import SystemClock
from holdfast.validation import Check, Report, Result, answer, run, same


class View:
    """Answers from a table of statements."""

    connection = "nowhere"
    reached = MappingProxyType({})

    def __init__(self, **answers):
        self.answers = answers

    def query(self, statement, *, database=None, timeout=None):
        return self.answers[statement]


@pytest.mark.parametrize(
    ("expected", "actual", "equal"),
    [
        (0, 0, True),
        (12.5, "12.50", True),
        ("12.50", decimal.Decimal("12.5"), True),
        (1, True, False),
        (None, 0, False),
        ([3, "7.00"], [3, 7], True),
        ([3], [3, 4], False),
        ("a", "a ", False),
        ("2026-01-01", dt.date(2026, 1, 1), True),
    ],
)
def test_same(expected, actual, equal):
    assert same(expected, actual) is equal


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3), max_leaves=6))
def test_everything_equals_itself(value):
    assert same(value, value)


def test_answers_are_as_small_as_they_can_be():
    assert answer([(1,)]) == 1
    assert answer([(1, decimal.Decimal("2.5"))]) == [1, "2.5"]
    assert answer([(1,), (2,)]) == [[1], [2]]
    assert answer([]) == []


def test_each_result_says_expected_and_actual_and_skipped_is_not_passed():
    view = View(one=[(1,)], none=[])
    checks = [
        Check("right", sql="one", expect=1),
        Check("wrong", sql="one", expect=2),
        Check("nothing", sql="none", expect=0),
        Check("empty wanted", sql="none", expect=[]),
        Check("compared", sql="one", compare=True),
        Check("no source", sql="one", compare=True),
        Check("command", command="echo 5", expect=5),
        Check("command fails", command="echo broken >&2; exit 3", expect=0),
    ]
    found = {one.name: one for one in run(checks, view, {"compared": 1}, SystemClock(), "the source moved")}
    states = {name: one.state for name, one in found.items()}
    assert states == {
        "right": "passed",
        "wrong": "failed",
        "nothing": "failed",
        "empty wanted": "passed",
        "compared": "passed",
        "no source": "skipped",
        "command": "passed",
        "command fails": "failed",
    }
    assert (found["wrong"].expected, found["wrong"].actual) == (2, 1)
    assert found["no source"].detail == "the source moved"
    assert "broken" in found["command fails"].detail


def test_a_command_that_takes_too_long_ends_with_all_that_it_started():
    began = time.monotonic()
    [found] = run([Check("slow", command="sleep 250 | cat; echo", expect="", timeout=0.3)], View(), {}, SystemClock())
    assert time.monotonic() - began < 200
    assert (found.state, found.detail) == ("failed", "The command took longer than 0.3 s.")


def test_what_a_command_leaves_behind_is_ended_too(tmp_path):
    left = tmp_path / "left"
    command = f"(sleep 600 >/dev/null 2>&1 & echo $! > {left}); printf 'a\\377b'"
    [found] = run([Check("odd", command=command, expect="a\ufffdb")], View(), {}, SystemClock())
    assert found.state == "passed", found.detail
    pid = int(left.read_text())
    end = time.monotonic() + 200
    while _runs(pid):
        assert time.monotonic() < end
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_report_of_nothing_is_inconclusive():
    assert Report().verdict == "inconclusive"
    assert Report((Result("x", "check", "skipped"),)).verdict == "inconclusive"
    assert Report((Result("x", "check", "passed"), Result("y", "check", "failed"))).verdict == "failed"
