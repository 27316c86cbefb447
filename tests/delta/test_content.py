"""Hashes of content recorded by captures: only new files are read for them, and a proof needs no source."""

import shutil

import pytest

from holdfast.model import Silent, SystemClock
from holdfast.recovery import verify
from holdfast.systems.delta.data import rowsum, scan, sql
from holdfast.systems.delta.data.view import source_view
from holdfast.systems.delta.errors import FileBroken
from tests.delta import golden
from tests.delta.kit import Lake, write


@pytest.fixture
def lake(tmp_path):
    one = Lake(tmp_path, content=True)
    yield one
    one.close()


def orders(lake):
    return lake.root / "orders"


def digest(lake, tmp_path, number: int = 0):
    with source_view(lake.settings, None, tmp_path / f"box{number}") as view:
        return view.digest()


@pytest.mark.parametrize("name", [one for one in golden.names() if one != "variant"])
def test_our_scan_and_duckdb_read_the_same_rows_of_every_version(lake, tmp_path, name):
    golden.unpack(name, lake.root)
    for version in golden.expected(name)["versions"]:
        with source_view(lake.settings, {name: int(version)}, tmp_path / f"box{version}") as view:
            table = view.tables[name]
            columns = ", ".join(sql.name(one["name"]) for one in sql.fields(table.pinned.snapshot.metadata))
            view.query(f"select 1 from {sql.name(name)} limit 0")
            found = view._connection().sql(f"select {columns} from {sql.name(name)}").to_arrow_table()
            assert scan.sums(table) == rowsum.added([rowsum.sums(batch) for batch in found.to_batches()]), version


def test_a_point_says_what_its_rows_hash_to(lake, tmp_path):
    write(orders(lake), a=[1, 2], b=["x", None])
    write(orders(lake), a=[3], b=["y"])
    point = lake.backup()
    found = digest(lake, tmp_path)["orders"]
    assert {name: point.expected["orders"][name] for name in ("rows", "hash")} == {"rows": 3, "hash": found["hash"]}


def test_only_new_files_are_read_for_it(lake, tmp_path):
    from deltalake import DeltaTable

    for number in range(4):
        write(orders(lake), a=[number])
    lake.backup()
    lake.reads.clear()
    write(orders(lake), a=[9])
    opened: list[str] = []
    real, scan.file_sums = scan.file_sums, lambda source, *given: opened.append(str(source)) or real(source, *given)
    try:
        point = lake.backup()
    finally:
        scan.file_sums = real
    assert len(opened) == 1
    assert point.expected["orders"]["rows"] == 5
    assert point.expected["orders"]["hash"] == digest(lake, tmp_path)["orders"]["hash"]
    DeltaTable(str(orders(lake))).delete("a = 2")
    point = lake.backup()
    assert point.expected["orders"]["hash"] == digest(lake, tmp_path, 1)["orders"]["hash"]


@pytest.mark.parametrize("name", ["vectors", "mapped", "partitions", "types"])
def test_every_version_of_one_table_in_turn(lake, tmp_path, name):
    """Each commit is captured beside the sums of the one before, and hashes to what a full scan finds."""
    golden.unpack(name, tmp_path / "whole")
    target = lake.root / name
    shutil.copytree(tmp_path / "whole" / name, target)
    log = target / "_delta_log"
    kept = {one.name: one.read_bytes() for one in log.iterdir() if one.is_file()}
    versions = sorted(int(one) for one in golden.expected(name)["versions"])
    for other in log.iterdir():
        if other.is_file():
            other.unlink()
    object.__setattr__(lake.settings, "tables", (name,))
    for version in versions:
        (log / f"{version:020}.json").write_bytes(kept[f"{version:020}.json"])
        point = lake.backup()
        assert point.stop["versions"] == {name: version}
        with source_view(lake.settings, {name: version}, tmp_path / f"box{version}") as view:
            assert point.expected[name]["hash"] == view.digest()[name]["hash"], version


def test_a_copy_is_proved_though_the_source_is_gone(lake):
    write(orders(lake), a=[1, 2, 3])
    lake.backup()
    shutil.rmtree(lake.root)
    lake.root.mkdir()
    found = verify(lake.recovery(), lambda: lake.history, [], progress=Silent(), clock=SystemClock(), patience=0)
    [one] = [one for one in found.report.results if one.kind == "structure"]
    assert (one.state, "as captured" in one.detail) == ("passed", True)


def test_a_copy_that_differs_from_what_was_captured_fails(lake, monkeypatch):
    write(orders(lake), a=[1, 2, 3])
    lake.backup()
    real = rowsum.compiled
    assert real is not None

    def other(schema, array, skipped):
        rows, low, high = real(schema, array, skipped)
        return rows, low ^ 1, high

    monkeypatch.setattr(rowsum, "compiled", other)
    found = verify(lake.recovery(), lambda: lake.history, [], progress=Silent(), clock=SystemClock(), patience=0)
    [one] = [one for one in found.report.results if one.kind == "structure"]
    assert one.state == "failed"
    assert "was captured" in one.detail


def test_a_damaged_page_is_found_by_the_capture(lake):
    write(orders(lake), a=list(range(1000)))
    [file] = orders(lake).glob("*.parquet")
    whole = file.read_bytes()
    file.write_bytes(whole[:40] + bytes(160) + whole[200:])
    point = lake.backup()
    [finding] = point.findings
    assert finding.code == "delta-file-broken"
    assert file.name in finding.message
    assert "1000 rows" in finding.message
    assert "hash" not in point.expected["orders"]
    file.write_bytes(whole)
    assert "hash" in lake.backup().expected["orders"]


def test_a_file_without_ids_in_a_table_mapped_by_ids_is_refused(lake, tmp_path):
    write(orders(lake), a=[1])
    with source_view(lake.settings, None, tmp_path / "box") as view:
        table = view.tables["orders"]
        table.pinned.snapshot.metadata["configuration"] = {"delta.columnMapping.mode": "id"}
        with pytest.raises(FileBroken, match="bear no ids"):
            scan.sums(table)


def test_a_large_file_is_cut_between_its_groups_of_rows(lake, tmp_path, monkeypatch):
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    write(orders(lake), a=list(range(100)))
    [file] = orders(lake).glob("*.parquet")
    pq.write_table(pa.table({"a": list(range(100))}), file, row_group_size=7)
    with source_view(lake.settings, None, tmp_path / "box") as view:
        table = view.tables["orders"]
        whole = scan.sums(table)
        monkeypatch.setattr(scan, "_SPLIT", table.pinned.snapshot.size // 5)
        cut: list[object] = []
        real = scan.file_sums
        monkeypatch.setattr(scan, "file_sums", lambda *given: cut.append(given[-1]) or real(*given))
        assert scan.sums(table) == whole
        assert len(cut) > 3
    metadata = table.pinned.snapshot.metadata
    gone = np.array([0, 6, 7, 8, 50, 99], np.uint64)
    left = real(str(file), metadata, {}, gone)
    assert left[0] == 94
    assert left == rowsum.added([real(str(file), metadata, {}, gone, range(i, i + 1)) for i in range(15)])
    gone_by_themselves = real(str(file), metadata, {}, np.setdiff1d(np.arange(100, dtype=np.uint64), gone))
    assert rowsum.added([left, gone_by_themselves]) == whole


@pytest.mark.parametrize("name", ["types", "mapped-id", "widened"])
def test_what_was_not_compiled_finds_the_same(lake, tmp_path, monkeypatch, name):
    golden.unpack(name, lake.root)
    with source_view(lake.settings, {name: max(map(int, golden.expected(name)["versions"]))}, tmp_path / "box") as view:
        fast = scan.sums(view.tables[name])
        monkeypatch.setattr(rowsum, "compiled", None)
        assert scan.sums(view.tables[name]) == fast
