"""Suites on copies of a lake: in its verification, and in the search of its history."""

import json

import pytest

from holdfast.errors import MissingExtra
from holdfast.model import Silent, SystemClock
from holdfast.recovery import by_check, search, verify
from holdfast.systems.delta.data.view import source_view
from holdfast.validation import Check
from holdfast.validation import expectations as ge
from tests.delta import golden
from tests.delta.kit import Lake, write
from tests.validation.tables import expect, suite

CLOCK = SystemClock()


@pytest.fixture
def lake(tmp_path):
    one = Lake(tmp_path)
    yield one
    one.close()


def searched(lake, check):
    return search(lake.recovery(), lake.history, by_check(check), options={}, progress=Silent(), clock=CLOCK, grown=True)


def test_a_lake_is_verified_and_its_history_searched_by_what_was_derived(lake, tmp_path):
    orders = lake.root / "orders"
    write(lake.root / "other", a=[1])
    write(orders, id=[0], amount=[5.0])
    write(orders, id=list(range(1, 50)), amount=[float(n) for n in range(1, 50)])
    lake.backup()
    with lake.recovery().isolate(lake.history, {"kind": "latest"}, {}, Silent()) as view:
        facts = ge.profile(view, "orders", distinct=20)
        where = {"coordinate": ge.coordinate(view.reached, "orders")}
        loose = ge.derive(facts, name="orders", where=where, slack=0.5)
        exact = ge.derive(facts, name="orders", where=where, slack=None)
        # What was made for the other process goes with the copy.
        boxes = list((tmp_path / "boxes").glob("*/relation-*"))
        assert len(boxes) == 1
    assert not boxes[0].exists()
    assert exact["meta"]["holdfast"]["coordinate"] == {"version": 1}
    files = {}
    for name, document in (("loose", loose), ("exact", exact)):
        files[name] = tmp_path / f"{name}.json"
        files[name].write_text(json.dumps(document))
    checks = [Check(name, suite=file, table="orders", expect=[]) for name, file in files.items()]
    found = verify(lake.recovery(), lambda: lake.history, checks, progress=Silent(), clock=CLOCK, patience=0)
    assert found.report.verdict == "passed"
    assert {one.state for one in found.report.results} == {"passed"}

    write(orders, id=[50], amount=[1.0])
    write(orders, id=[51], amount=[-1000.0])
    write(orders, id=[52], amount=[1.0])
    lake.backup()
    found = verify(lake.recovery(), lambda: lake.history, checks, progress=Silent(), clock=CLOCK, patience=0)
    assert found.report.verdict == "failed"
    by_name = {one.name: one for one in found.report.results}
    assert by_name["loose: column_min_to_be_between amount"].actual == -1000
    assert by_name["exact"].state == "skipped"

    # At first there was no table, then one too small; it became good, and bad again.
    when = searched(lake, checks[0])
    assert (when.state, when.good.shown["version"], when.bad.shown["version"]) == ("found", "orders@2", "orders@3")
    assert when.answers["good"] == []
    assert "loose: column_min_to_be_between amount: -1000" in when.answers["bad"]
    never = suite(tmp_path / "never.json", expect("table_row_count_to_equal", value=7))
    assert searched(lake, Check("never", suite=never, table="orders", expect=[])).state == "never-good"
    newest = suite(tmp_path / "newest.json", expect("table_row_count_to_equal", value=53))
    assert searched(lake, Check("newest", suite=newest, table="orders", expect=[])).state == "never-bad"


def test_what_cannot_be_judged_is_no_moment_of_history(lake, tmp_path, monkeypatch):
    """Without the library every moment would look bad."""

    def missing(*_, **__):
        raise MissingExtra("expectations", "Judging")

    write(lake.root / "orders", id=[1])
    lake.backup()
    monkeypatch.setattr("holdfast.validation.expectations.run.ask", missing)
    with pytest.raises(MissingExtra):
        searched(lake, Check("s", suite=suite(tmp_path / "s.json", expect("column_to_exist", column="id")), table="orders", expect=[]))


def test_tables_as_spark_writes_them_meet_what_is_derived_from_them(lake, tmp_path):
    """Every type, deletion vectors, mapped columns, partitions: read by the library as Spark read them."""
    for name in golden.names():
        if name == "variant":
            continue  # its rows cannot be read here
        golden.unpack(name, lake.root)
        known = golden.expected(name)["versions"]
        version = max(map(int, known))
        box = tmp_path / "boxes" / name
        box.mkdir(parents=True)
        with source_view(lake.settings, {name: version}, box) as view:
            facts = ge.profile(view, name, distinct=20)
            assert (name, facts["rows"]) == (name, len(known[str(version)]["rows"]))
            assert [one["name"] for one in facts["columns"]] == known[str(version)]["columns"]
            derived = json.dumps(ge.derive(facts, name=name, where={}, slack=None))
            found = ge.outcomes(ge.parse(derived.encode(), name, name), view, name, CLOCK, name=name)
            assert [one for one in found if one.state != "passed"] == []
