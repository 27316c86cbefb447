"""What compared nothing has not passed: every kind of check that there is."""

import json
from pathlib import Path
from types import MappingProxyType

import pytest

from holdfast.model import SystemClock
from holdfast.systems.contract import Draw, Sampled, Structural
from holdfast.validation import Check, Known, Sampling, Stored, against_snapshot, compare, fresh, joined, run, structure
from holdfast.validation.sampling import SampleUsage, bound
from holdfast.validation.sampling import compare as compare_sampled

CLOCK = SystemClock()


class Copy:
    """A copy that answers what it is told to."""

    connection = "here"
    reached = MappingProxyType({})

    def __init__(self, rows=(), digest=None, sample=None, structural=()):
        self.rows, self.content, self.drawn, self.structural = rows, digest or {}, sample or {}, structural

    def query(self, statement, *, database=None, timeout=None):
        return self.rows

    def digest(self, selection=()):
        return self.content

    def sample(self, draw, selection=()):
        return self.drawn

    def structure(self, progress=None):
        return iter(self.structural)


def states(results):
    return [one.state for one in results]


@pytest.mark.parametrize("nothing", [[], [(None,)], [(None, None)], [("",)]])
def test_a_query_that_gave_nothing_on_either_side(nothing):
    answered = [] if not nothing else list(nothing[0]) if len(nothing[0]) > 1 else nothing[0][0]
    [found] = run([Check("paid", sql="…", compare=True)], Copy(nothing), {"paid": answered}, CLOCK)
    assert found.state == "failed"
    assert "nothing was compared" in found.detail


def test_a_query_without_a_row_where_one_was_expected():
    [found] = run([Check("paid", sql="…", expect=0)], Copy([]), {}, CLOCK)
    assert (found.state, found.detail) == ("failed", "the query returned no row")
    # Where the plan itself expects no row, none is the answer; and a count of zero is a number.
    assert states(run([Check("orphans", sql="…", expect=[])], Copy([]), {}, CLOCK)) == ["passed"]
    assert states(run([Check("paid", sql="…", compare=True)], Copy([(0, None)]), {"paid": [0, None]}, CLOCK)) == ["passed"]


def test_a_command_that_printed_nothing_on_either_side():
    [found] = run([Check("files", command="true", compare=True)], Copy(), {"files": ""}, CLOCK)
    assert (found.state, found.detail) == ("failed", "neither side gave a value: nothing was compared")
    assert states(run([Check("files", command="echo 3", compare=True)], Copy(), {"files": "3"}, CLOCK)) == ["passed"]


def test_a_check_to_compare_without_a_source_is_skipped_and_alone_proves_nothing():
    found = run([Check("paid", sql="…", compare=True)], Copy([(1,)]), {}, CLOCK, "the source could not be asked")
    assert [(one.state, one.detail) for one in found] == [("skipped", "the source could not be asked")]
    assert joined(found).verdict == "inconclusive"
    assert joined([]).verdict == "inconclusive"


def test_an_empty_suite_and_a_folder_of_none(tmp_path):
    empty = tmp_path / "empty.json"
    empty.write_text(json.dumps({"name": "empty", "expectations": [], "meta": {}}))
    for suite in (empty, tmp_path, Path("/nonexistent/suite.json")):
        [found] = run([Check("suite", expect=[], suite=suite, table="orders")], Copy(), {}, CLOCK)
        assert (found.state, found.kind) == ("failed", "expectation")


def test_a_structure_without_anything_to_look_at():
    assert states(structure(Copy(), CLOCK)) == ["failed"]
    assert states(structure(Copy(structural=[Structural("scan", "unheard of")]), CLOCK)) == ["failed"]


def test_content_of_a_source_that_has_some_and_a_copy_that_has_none():
    assert states(compare({}, Copy(), CLOCK)) == ["failed"]
    full, none = {"orders": {"rows": 3, "hash": "a"}}, {"orders": {"rows": 0, "hash": "0"}}
    assert states(compare(full, Copy(digest={}), CLOCK)) == ["failed"]
    assert states(compare(full, Copy(digest=none), CLOCK)) == ["failed"]
    # Two empty things are alike, and that proves nothing.
    assert states(compare(none, Copy(digest=none), CLOCK)) == ["passed", "skipped"]
    assert states(compare({"app": {"entries": 0, "hash": "0"}}, Copy(digest={"app": {"entries": 0, "hash": "0"}}), CLOCK))[-1] == "skipped"
    moved = against_snapshot(full, Copy(digest=none), CLOCK)
    assert states(moved) == ["skipped"]
    assert "as of a snapshot" in moved[0].detail
    same = against_snapshot(full, Copy(digest=full), CLOCK)
    assert (same[0].state, "equal" in same[0].detail, "as of a snapshot" in same[0].detail) == ("passed", False, True)


def sampled(expected, actual, sampling=None):
    return compare_sampled(expected, Copy(sample=actual), Draw("seed", 3), sampling or Sampling(), CLOCK)


def test_samples():
    some = {"orders": Sampled("rows", 10_000, 3, {str(i): "h" for i in range(2995)})}
    [found] = sampled(some, some)
    assert found.state == "passed"
    assert found.detail == "2995 rows of 10000 compared, none differed: with 95 % confidence fewer than 0.1 % differ"
    drawn = {"orders": Sampled("rows", 10_000, 3, {})}
    assert states(sampled(drawn, drawn)) == ["failed"], "nothing was drawn of ten thousand"
    assert states(sampled({}, {})) == ["failed"]
    assert states(sampled(some, {})) == ["failed"]
    none = {"orders": Sampled("rows", 0, 1, {})}
    assert states(sampled(none, none)) == ["passed", "skipped"]
    assert states(sampled(some, none)) == ["failed"]
    other = {"orders": Sampled("rows", 10_000, 3, {**some["orders"].drawn, "7": "other"})}
    [found] = sampled(some, other)
    assert found.state == "failed"
    assert "1 differ: for example 7 (changed)" in found.detail
    fewer = {"orders": Sampled("rows", 9_999, 3, some["orders"].drawn)}
    assert sampled(some, fewer)[0].detail == "9999 rows instead of 10000"


def test_how_large_a_sample_is_and_what_it_proves():
    # The rule of three, and tables of the binomial distribution.
    assert Sampling().wanted == 2995
    assert Sampling(0.95, 0.01).wanted == 299
    assert Sampling(0.99, 0.01).wanted == 459
    assert bound(0.95, 299) < 0.01 < bound(0.95, 298)
    assert bound(0.95, 0) == 1.0
    assert Sampling.parse("99:0.5") == Sampling(0.99, 0.005)
    assert Sampling.parse("95%").wanted == 2995
    for text in ("100", "12", "sure", "95:0", "95:80", ""):
        with pytest.raises(SampleUsage):
            Sampling.parse(text)


class History:
    def __init__(self, points=(), ends=None):
        self._points, self._ends = points, ends or {}

    def points(self):
        return self._points

    def logs(self):
        return self

    def branches(self):
        return list(self._ends)

    def reader(self, branch):
        return self._Reader(self._ends[branch])

    class _Reader:
        def __init__(self, end):
            self._end = end

        def coverage(self, start=0):
            return [(0, self._end)]


class Point:
    def __init__(self, id_, at):
        self.id, self.started_at, self.committed_at = id_, at, at


def test_an_older_state_of_the_vault_is_told_and_a_newer_one_is_not_accused():
    import datetime as dt

    early, late, latest = (dt.datetime(2026, 1, day, tzinfo=dt.UTC) for day in (1, 2, 3))
    known = Known("b", late, {"one": Stored(100, late, "0/64")})
    a, b, c = Point("a", early), Point("b", late), Point("c", latest)
    assert states(fresh(History([a, b], {"one": 100}), known)) == ["passed", "passed"]
    assert states(fresh(History([a], {"one": 100}), known)) == ["failed", "passed"]
    assert states(fresh(History([], {}), known)) == ["failed", "failed"]
    assert states(fresh(History([a, b], {"one": 99}), known)) == ["passed", "failed"]
    # Pruned since, and a newer point was made: then neither the old point nor its log need be there.
    assert states(fresh(History([c], {}), known)) == ["passed"]
    assert fresh(History([a]), Known()) == []
