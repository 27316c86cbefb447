"""Suites judged by Great Expectations itself: what passes, what fails and why, and that nothing passes which looked at nothing."""

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from holdfast.errors import MissingExtra
from holdfast.model import SystemClock
from holdfast.systems.contract import TableUnknown
from holdfast.systems.postgres.view import PostgresView
from holdfast.systems.shared.tabular import FilesNoTable, FilesUnreadable, of_files
from holdfast.validation import Check, Report, SuiteBroke, ask, run
from holdfast.validation import expectations as ge
from holdfast.validation.expectations import process
from holdfast.validation.expectations.run import told_of
from tests.validation.tables import COLUMNS, Copy, expect, suite

CLOCK = SystemClock()


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    return Copy(tmp_path_factory.mktemp("copy"))


@pytest.fixture(scope="module")
def healthy(copy):
    """What is expected of the copy, with room."""
    return derived(copy, 0.1)["expectations"]


def judged(view, *expectations, table="orders", **more):
    """Results by what is expected."""
    document = {"name": "s", "expectations": list(expectations), **more}
    found = ge.outcomes(ge.parse(json.dumps(document).encode(), "s", "s.json"), view, table, CLOCK, name="s")
    return {one.name.removeprefix("s: "): one for one in found}


def states(view, *expectations, **more):
    return [one.state for one in judged(view, *expectations, **more).values()]


def derived(view, slack, table="orders"):
    facts = ge.profile(view, table, distinct=ge.DISTINCT)
    return ge.derive(facts, name=table, where={"coordinate": ge.coordinate(view.reached, table)}, slack=slack)


# ---------------------------------------------------------------- derived from a healthy table


def test_what_is_derived_holds_where_it_was_and_fails_where_rows_were_lost(copy, healthy, tmp_path):
    for expectations in (healthy, derived(copy, None)["expectations"]):
        found = judged(copy, *expectations)
        assert {one.state for one in found.values()} == {"passed"}
        assert len({name.partition(" ")[0] for name in found}) > 8
    grown = Copy(tmp_path / "grown", 1040)
    assert set(states(grown, *healthy)) == {"passed"}
    lost = judged(Copy(tmp_path / "lost", 700), *healthy)
    assert lost["table_row_count_to_be_between"].state == "failed"
    assert lost["table_row_count_to_be_between"].expected == {"min_value": 900, "max_value": 1100}
    assert lost["table_row_count_to_be_between"].actual == 700
    assert lost["column_sum_to_be_between amount"].state == "failed"


@pytest.mark.parametrize(
    ("right", "wrong", "found"),
    [
        ("i AS id,", "CASE WHEN i = 9 THEN NULL ELSE i END AS id,", "column_values_to_not_be_null id"),
        ("i AS id,", "i // 2 AS id,", "column_values_to_be_unique id"),
        ("(i % 1000) / 10.0::DOUBLE", "-(i % 1000) / 10.0::DOUBLE", "column_min_to_be_between amount"),
        ("(i % 1000) / 10.0::DOUBLE", "(i % 1000) / 5.0::DOUBLE", "column_sum_to_be_between amount"),
        ("(i % 1000) / 10.0::DOUBLE", "((i % 1000) / 10.0)::VARCHAR", "column_values_to_be_of_type amount"),
        ("(i % 5) AS code", "(i % 7) AS code", "column_distinct_values_to_be_in_set code"),
        ("i % 10 = 0 THEN", "i % 3 = 0 THEN", "column_values_to_not_be_null opt"),
        ("'2026-01-01'", "'1970-01-01'", "column_min_to_be_between at"),
        (", CAST(NULL AS VARCHAR) AS none", "", "table_columns_to_match_set"),
    ],
)
def test_each_kind_of_damage_is_found_with_expected_and_actual(healthy, tmp_path, right, wrong, found):
    assert right in COLUMNS
    results = judged(Copy(tmp_path, columns=COLUMNS.replace(right, wrong)), *healthy)
    assert results[found].state == "failed"
    assert results[found].expected
    assert results[found].actual is not None or results[found].detail


def test_exact_values_are_skipped_on_a_copy_that_stands_elsewhere(copy, tmp_path):
    exact = derived(copy, None)
    assert exact["meta"]["holdfast"]["coordinate"] == {"version": 7}
    [one] = judged(Copy(tmp_path, version=8), *exact["expectations"], meta=exact["meta"]).values()
    assert (one.state, one.expected) == ("skipped", {"version": 7})
    assert Report((one,)).verdict == "inconclusive"


# ---------------------------------------------------------------- bad days


def test_what_cannot_be_judged_fails_by_itself_and_the_rest_is_judged(copy):
    found = judged(
        copy,
        expect("column_sum_to_be_between", column="gone", min_value=0),
        expect("column_sum_to_be_betwen", column="amount", min_value=0),
        expect("column_max_to_be_between", columm="amount", min_value=0),
        expect("column_values_to_be_between", column={"odd": 1}, min_value=0),
        expect("column_sum_to_be_between", column="amount", min_value=0),
    )
    gone, unknown, misspelt, odd, right = found.values()
    assert [one.state for one in found.values()] == ["failed"] * 4 + ["passed"]
    assert "gone" in gone.detail
    assert "does not exist" in gone.detail
    assert "did you mean expect_column_sum_to_be_between?" in unknown.detail
    assert "columm" in misspelt.detail
    assert odd.detail
    assert right.actual == 49950


def test_nothing_passes_that_looked_at_nothing(copy, tmp_path):
    vacuous = (
        expect("column_values_to_be_in_set", column="code", value_set=["c0"]),
        expect("column_distinct_values_to_be_in_set", column="code", value_set=["c0"]),
        expect("column_values_to_not_be_null", column="code"),
        expect("column_values_to_be_unique", column="code"),
        expect("compound_columns_to_be_unique", column_list=["code", "id"]),
    )
    empty = Copy(tmp_path, 0)
    assert states(empty, *vacuous) == ["failed"] * 5
    # The suite itself says that the table may be empty: nothing was looked at all the same.
    allowed = expect("table_row_count_to_be_between", min_value=0, max_value=10)
    assert states(empty, *vacuous, allowed) == ["skipped"] * 5 + ["passed"]
    # Of its columns there is something to say.
    assert states(empty, expect("column_to_exist", column="code"), expect("column_values_to_be_of_type", column="id", type_="BIGINT")) == [
        "passed",
        "passed",
    ]
    # Rows, but none with a value; or none that the condition means.
    nulls = expect("column_values_to_be_in_set", column="none", value_set=["a"])
    distinct = expect("column_distinct_values_to_be_in_set", column="none", value_set=["a"])
    none = expect(
        "column_values_to_be_in_set",
        column="code",
        value_set=["c0"],
        row_condition='col("id") > 5000',
        condition_parser="great_expectations",
    )
    assert set(states(copy, nulls, distinct)) == {"skipped"}
    assert set(states(copy, none)) <= {"skipped", "failed"}
    assert states(copy, expect("column_values_to_be_null", column="none")) == ["passed"]


def test_patterns_are_found_anywhere_as_in_postgresql(copy):
    anywhere = expect("column_values_to_match_regex", column="code", regex="[0-4]$")
    nowhere = expect("column_values_to_not_match_regex", column="code", regex="^[0-9]")
    assert states(copy, anywhere, nowhere) == ["passed", "passed"]
    [one] = judged(copy, expect("column_values_to_match_regex", column="code", regex="0$")).values()
    assert one.actual == {"unexpected": 800, "of": 1000}
    assert one.detail.startswith("for example c")


def test_checks_of_the_plan_take_suites(copy, tmp_path):
    good = suite(tmp_path / "good.json", expect("table_row_count_to_equal", value=1000))
    bad = suite(tmp_path / "bad.json", expect("table_row_count_to_equal", value=7))
    damaged, none = tmp_path / "damaged.json", suite(tmp_path / "none.json")
    damaged.write_text("{")
    checks = [Check(file.stem, suite=file, table="orders", expect=[]) for file in (good, bad, damaged, none)]
    checks.append(Check("elsewhere", suite=good, table="order", expect=[]))
    found = run(checks, copy, {}, CLOCK)
    assert [one.state for one in found] == ["passed", "failed", "failed", "failed", "failed"]
    assert (found[1].expected, found[1].actual) == ({"value": 7}, 1000)
    assert "no JSON" in found[2].detail
    assert "expects nothing" in found[3].detail
    assert "Did you mean orders?" in found[4].detail
    assert ask(copy, checks[0]) == []
    assert ask(copy, checks[1]) == ["bad: table_row_count_to_equal: 1000"]


# ---------------------------------------------------------------- the process


def test_no_connection_is_attempted(copy, monkeypatch):
    """With analytics asked for, and a proxy that would see any request."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        seen = []

        def listen():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                seen.append(connection.recv(100))
                connection.close()

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "GX_CLOUD_BASE_URL"):
            monkeypatch.setenv(name, address)
        monkeypatch.setenv("GX_ANALYTICS_ENABLED", "True")
        monkeypatch.setenv("GX_CLOUD_ACCESS_TOKEN", "token")
        worker = process.Worker()
        try:
            wanted = [{"type": "expect_table_row_count_to_equal", "kwargs": {"value": 1000}}]
            question = {"ask": "run", "relation": told_of(copy.relation("orders")), "expectations": wanted, "memory": process.MEMORY}
            answer = worker.ask(question, 250)
            assert answer["results"][0]["outcome"]["success"] is True
            assert answer["attempts"] == []
            held = [str(fd.readlink()) for fd in Path(f"/proc/{worker.pid}/fd").iterdir()]
            assert not [one for one in held if one.startswith("socket")]
        finally:
            worker.close()
        assert seen == []
        # The same listener sees what does ask; and what is kept apart is refused even so.
        ask_it = f"import urllib.request, sys; urllib.request.urlopen('{address}', timeout=5)"
        first = "from holdfast.validation.expectations.worker import apart, ATTEMPTS; apart()"
        apart = f"{first}\ntry:\n    {ask_it}\nexcept OSError:\n    print(ATTEMPTS)"
        env = {"PATH": os.environ["PATH"]}
        refused = subprocess.run([sys.executable, "-c", apart], env=env, capture_output=True, text=True, check=True)
        assert "socket." in refused.stdout
        assert seen == []
        subprocess.run([sys.executable, "-c", ask_it], env=env, capture_output=True, check=False)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        assert len(seen) == 1


@pytest.fixture
def another(monkeypatch):
    """A process of the test's own."""
    monkeypatch.setattr(process, "_kept", [])
    yield
    process.close()


def stub(folder, text):
    (folder / "great_expectations").mkdir()
    (folder / "great_expectations" / "__init__.py").write_text(text)
    return str(folder)


def test_without_the_library_one_sentence_names_the_extra(another, copy, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", stub(tmp_path, "raise ModuleNotFoundError('No module named great_expectations')"))
    with pytest.raises(MissingExtra) as raised:
        ge.profile(copy, "orders", distinct=3)
    assert raised.value.message == "Judging by Great Expectations needs the extra 'expectations', which is not installed."
    found = run([Check("s", suite=suite(tmp_path / "s.json", expect("column_to_exist", column="id")), table="orders")], copy, {}, CLOCK)
    assert [one.state for one in found] == ["failed"]
    assert "holdfast[expectations]" in found[0].detail


def test_a_library_of_the_old_kind_is_told(another, copy, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", stub(tmp_path, "__version__ = '0.18.22'"))
    with pytest.raises(SuiteBroke, match=r"0\.18\.22 is installed, and 1\.24 or newer is needed"):
        ge.profile(copy, "orders", distinct=3)


def test_a_process_that_ends_or_hangs_is_told(another, copy):
    slow = process.Worker()
    try:
        with pytest.raises(SuiteBroke, match=r"longer than 0\.01 s"):
            slow.ask({"ask": "load", "memory": process.MEMORY}, 0.01)
    finally:
        slow.close()
    dead = process.Worker()
    process._kept.append(dead)
    os.kill(dead.pid, 9)
    with pytest.raises(SuiteBroke, match="ended by signal 9"):
        ge.profile(copy, "orders", distinct=3)
    assert process._kept == []


def test_memory_is_bounded(another, copy):
    """Far too little even to load the library: the process says so, or is ended by a library that does not expect it; the rest of the
    machine's memory is not touched.
    """
    with pytest.raises(SuiteBroke, match=r"needs more than 64 MiB|ended (by signal|with status)|failed: "):
        process.ask({"ask": "profile", "relation": told_of(copy.relation("orders")), "distinct": 3}, memory=64 << 20)


# ---------------------------------------------------------------- other kinds of tables


@pytest.mark.postgres
def test_the_same_suite_says_the_same_of_the_same_rows_in_postgresql(copy, healthy, pg15):
    pg15.execute("create schema lake")
    try:
        pg15.execute(
            "create table lake.orders as select i::bigint as id, (i % 1000) / 10.0::float8 as amount, ('c' || (i % 5))::varchar as code,"
            " case when i % 10 = 0 then null else i::bigint end as opt, timestamptz '2026-01-01 UTC' + i * interval '1 second' as at,"
            " i::numeric(18, 2) as dec, null::varchar as none from generate_series(0, 999) i"
        )
        pg15.execute("create type lake.pair as (a int, b int)")
        pg15.execute("create table lake.odd as select 1 as id, row(1, 2)::lake.pair as pair, array[1, 2] as many, '{}'::jsonb as doc")
        view = PostgresView(pg15.dsn, {"lsn": "0/1", "timeline": 1})
        with pytest.raises(TableUnknown):
            view.relation("orders")
        here = judged(view, *healthy, table="lake.orders")
        assert {name: one.state for name, one in here.items()} == dict.fromkeys(here, "passed")
        there = judged(copy, *derived(view, 0.1, "lake.orders")["expectations"])
        assert {name: one.state for name, one in there.items()} == dict.fromkeys(there, "passed")
        assert {name: one.actual for name, one in here.items() if "match_set" not in name and " at" not in name} == {
            name: one.actual for name, one in there.items() if "match_set" not in name and " at" not in name
        }
        odd = judged(view, *derived(view, 0.1, "lake.odd")["expectations"], table="lake.odd")
        assert {name: one.state for name, one in odd.items()} == dict.fromkeys(odd, "passed")
        # Reading only.
        broken = judged(
            view,
            {"type": "unexpected_rows_expectation", "kwargs": {"unexpected_rows_query": "delete from lake.orders"}},
            table="lake.orders",
        )
        assert [one.state for one in broken.values()] == ["failed"]
        assert pg15.value("select count(*) from lake.orders") == 1000
    finally:
        pg15.execute("drop schema lake cascade")


class Folder:
    connection = "nowhere"
    reached = {"point": "p"}  # noqa: RUF012

    def __init__(self, root):
        self.root = root

    def relation(self, table, database=None):
        return of_files(self.root, table, self.root.parent)


def test_files_of_a_copy_are_tables(copy, tmp_path):
    root = tmp_path / "root"
    (root / "data").mkdir(parents=True)
    for number in (1, 2):
        Copy(tmp_path / str(number), 10)
        (tmp_path / str(number) / "orders.parquet").rename(root / "data" / f"it's {number}.parquet")
    (root / "data" / "few.csv").write_text("id,name\n1,a\n2,b\n")
    (root / "data" / "broken.parquet").write_bytes(b"PAR1 nothing PAR1")
    outside = tmp_path / "outside.csv"
    outside.write_text("id\n1\n")
    (root / "data" / "link.csv").symlink_to(outside)
    view = Folder(root)
    assert states(view, expect("table_row_count_to_equal", value=20), table="/data/it's*.parquet") == ["passed"]
    assert states(view, expect("column_sum_to_be_between", column="id", min_value=3, max_value=3), table="/data/few.csv") == ["passed"]
    for table, error in {
        "/data/none.parquet": TableUnknown,
        "/data/link.csv": TableUnknown,
        "/../outside.csv": FilesNoTable,
        "/data": FilesNoTable,
        "/data/*.parquet": FilesUnreadable,
    }.items():
        with pytest.raises(error):
            view.relation(table)


def test_what_the_library_leaves_behind_closes_nothing_that_is_still_asked(copy):
    """Its engine closes connections when it is collected, whenever that is."""
    wanted = [expect("table_row_count_to_equal", value=1000), expect("column_values_to_not_be_null", column="id")]
    script = f"""
import gc
from holdfast.validation.expectations import _library as library
opened = library.Opened({{"engine": "duckdb", "address": {copy.address!r}, "table": "orders", "schema": None}}, 1 << 30)
wanted = {wanted!r}
results = library.run(opened, wanted)
assert all(one["outcome"]["success"] for one in results), results
gc.collect()
assert library.facts(opened, wanted)["rows"] == 1000
opened.close()
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=240)
