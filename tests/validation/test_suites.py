"""Suites as files: which are read, which are refused and how; and what is derived from a table's figures."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.plan.errors import BadValue
from holdfast.plan.shape.systems.common import CheckSpec
from holdfast.validation.expectations import SuiteDamaged, SuiteEmpty, SuiteMissing, belongs, coordinate, derive, parse, read, suites_in
from tests.validation.tables import expect, suite


def test_both_formats_say_the_same(tmp_path):
    new = read(suite(tmp_path / "new.json", expect("column_sum_to_be_between", column="a", min_value=1)))
    old = {
        "expectation_suite_name": "orders",
        "ge_cloud_id": None,
        "expectations": [{"expectation_type": "expect_column_sum_to_be_between", "kwargs": {"column": "a", "min_value": 1}, "meta": {}}],
        "meta": {"great_expectations_version": "0.18.22"},
    }
    assert parse(json.dumps(old).encode(), "old", "old.json") == new
    assert new.expectations[0].label == "column_sum_to_be_between a"


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ('{"name": "orders", "expectations": [{"type"', SuiteDamaged, "is no JSON"),
        ("\x00\x01", SuiteDamaged, "is no JSON"),
        ("[" * 100_000, SuiteDamaged, "is no JSON"),
        ("[]", SuiteDamaged, "no list of expectations"),
        ('{"name": "orders"}', SuiteDamaged, "no list of expectations"),
        ('{"expectations": {}}', SuiteDamaged, "no list of expectations"),
        ('{"expectations": [7]}', SuiteDamaged, "Expectation 1"),
        ('{"expectations": [{"type": "expect_x", "kwargs": []}]}', SuiteDamaged, "Expectation 1"),
        ('{"expectations": [{"kwargs": {}}]}', SuiteDamaged, "Expectation 1"),
        ('{"name": "orders", "expectations": []}', SuiteEmpty, "expects nothing"),
    ],
)
def test_what_is_no_suite_is_refused(tmp_path, text, error, said):
    file = tmp_path / "suite.json"
    file.write_text(text)
    with pytest.raises(error, match=said):
        read(file)


def test_bytes_that_are_no_text_are_no_suite(tmp_path):
    file = tmp_path / "suite.json"
    file.write_bytes(b'{"name": "\xff\xfe\xfa"}')
    with pytest.raises(SuiteDamaged, match="is no JSON"):
        read(file)


def test_another_file_of_the_library_is_told_apart(tmp_path):
    file = tmp_path / "checkpoint.json"
    file.write_text('{"name": "c", "validation_definitions": []}')
    with pytest.raises(SuiteDamaged) as raised:
        read(file)
    assert "checkpoint" in raised.value.hint


def test_nothing_there(tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(SuiteMissing) as raised:
            read(path)
        assert "holdfast expectations" in raised.value.hint


def test_a_folder_of_suites_names_tables_by_its_files(tmp_path):
    (tmp_path / "sales").mkdir()
    (tmp_path / ".ipynb_checkpoints").mkdir()
    for name in ("orders", "sales/eu", ".ge_store_backend_id", ".ipynb_checkpoints/orders"):
        suite(tmp_path / f"{name}.json", expect("column_to_exist", column="a"))
    assert [table for table, _ in suites_in(tmp_path)] == ["orders", "sales/eu"]
    assert suites_in(tmp_path / "none") == []


def test_a_check_of_the_plan_has_a_suite_and_its_table_and_no_answer_besides():
    assert CheckSpec(name="a", suite="s.json", table="orders").table == "orders"
    for wrong in (
        {"suite": "s.json"},
        {"table": "orders", "sql": "select 1", "expect": 1},
        {"suite": "s.json", "table": "orders", "sql": "select 1"},
        {"suite": "s.json", "table": "orders", "expect": 1},
        {"suite": "s.json", "table": "orders", "compare": "source"},
    ):
        with pytest.raises((BadValue, ValueError)):
            CheckSpec(name="a", **wrong)


def test_exact_values_belong_to_one_moment():
    assert coordinate({"versions": {"orders": 7, "other": 2}}, "orders") == {"version": 7}
    assert coordinate({"versions": {"sales/orders": 7, "other": 2}}, "orders") == {"version": 7}
    assert coordinate({"versions": {"": 7}}, "table") == {"version": 7}
    assert coordinate({"lsn": "0/1", "timeline": 1, "time": "now"}, "orders") == {"lsn": "0/1", "timeline": 1}
    assert coordinate({"point": "p1", "time": "now"}, "/x.csv") == {"point": "p1"}
    assert belongs({"version": 7}, {"versions": {"orders": 7}}, "orders")
    assert not belongs({"version": 7}, {"versions": {"orders": 8}}, "orders")
    assert not belongs({"version": 7}, {"lsn": "0/1"}, "orders")


# ---------------------------------------------------------------- derived


def figures(low, high, total, rows=100, kind="number", **more):
    column = {"name": "a", "type": "DOUBLE PRECISION", "kind": kind, "nulls": 0, "minimum": low, "maximum": high, "sum": total, **more}
    return {"rows": rows, "columns": [column]}


def arguments(derived):
    return {one["type"]: one["kwargs"] for one in derived["expectations"]}


numbers = st.integers(-(10**12), 10**12) | st.floats(-1e12, 1e12, allow_nan=False)


@given(st.lists(numbers, min_size=2, max_size=2), numbers, st.none() | st.floats(0, 1), st.sampled_from(["integer", "number"]))
def test_a_healthy_table_lies_within_what_is_derived_from_it(ends, total, slack, kind):
    if kind == "integer":
        ends, total = [int(one) for one in ends], int(total)
    low, high = sorted(ends)
    for_type = arguments(derive(figures(low, high, total, kind=kind), name="t", where={}, slack=slack))
    for what, value in (("min", low), ("max", high), ("sum", total)):
        bounds = for_type[f"expect_column_{what}_to_be_between"]
        assert bounds.get("min_value", value) <= value <= bounds.get("max_value", value)


def test_what_grows_is_not_bounded_above():
    key = arguments(derive(figures(1, 100, 5050, kind="integer", unique=True), name="t", where={}, slack=0.1))
    assert key["expect_column_min_to_be_between"] == {"column": "a", "min_value": 1}
    assert "expect_column_max_to_be_between" not in key
    assert "expect_column_sum_to_be_between" not in key
    assert "expect_column_values_to_be_unique" in key
    time = arguments(derive(figures("2026-01-01", "2026-02-01", None, kind="time"), name="t", where={}, slack=0.1))
    assert "expect_column_max_to_be_between" not in time
    exact = arguments(derive(figures("2026-01-01", "2026-02-01", None, kind="time"), name="t", where={}, slack=None))
    assert exact["expect_column_max_to_be_between"]["max_value"] == "2026-02-01"


def test_the_suite_says_where_it_comes_from():
    derived = derive(figures(0, 1, 2), name="orders", where={"coordinate": {"version": 3}, "table": "orders"}, slack=None)
    assert derived["meta"]["holdfast"] == {"coordinate": {"version": 3}, "table": "orders", "exact": True}
    assert parse(json.dumps(derived).encode(), "x", "x").coordinate == {"version": 3}
    loose = derive(figures(0, 1, 2), name="orders", where={"coordinate": {"version": 3}}, slack=0.1)
    assert parse(json.dumps(loose).encode(), "x", "x").coordinate == {}
