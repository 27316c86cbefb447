"""What a capture takes, what it leaves alone, and what it does while others write and vacuum."""

import json
import shutil
from pathlib import Path

import pytest

from holdfast.systems.delta.capture.pin import pin
from holdfast.systems.delta.capture.run import opener, stream_place
from holdfast.systems.delta.errors import FeatureUnknown, LogBroken, NothingFound, RaceLost, TableMissing, TablesNested
from holdfast.systems.delta.log import vectors
from holdfast.systems.delta.log.listing import StoredLog
from holdfast.systems.delta.log.snapshot import replay
from holdfast.systems.delta.settings import DeltaSettings
from holdfast.systems.delta.store import LocalStore
from tests.delta import golden
from tests.delta.kit import delta_rows, write


def orders(lake):
    return lake.root / "orders"


def test_the_next_version_fetches_only_what_is_new(lake):
    for number in range(4):
        write(orders(lake), a=[number], b=[f"row {number}"])
    first = lake.backup()
    assert first.method == "full"
    before = set(lake.reads)
    lake.reads.clear()
    write(orders(lake), a=[9], b=["new"])
    known = {thing.key for thing in LocalStore(lake.root).things("")}
    second = lake.backup()
    assert second.method == "incremental"
    fetched = [key for key in lake.reads if not key.endswith(".json")]
    [new] = [key for key in known - before if key.endswith(".parquet")]
    assert fetched == [new]
    assert second.facts["fetched"] == 2  # the file and its commit
    assert lake.reads.count("orders/_delta_log/00000000000000000004.json") == 2  # replayed, then copied
    lake.restore(lake.folder / "out")
    assert delta_rows(lake.folder / "out" / "orders") == delta_rows(orders(lake))


def test_an_unchanged_lake_fetches_nothing(lake):
    write(orders(lake), a=[1])
    lake.backup()
    assert lake.backup().facts["fetched"] == 0


def test_a_writer_commits_all_through_the_capture(lake):
    from deltalake import DeltaTable

    write(orders(lake), a=[1, 2, 3])
    write(orders(lake), a=[4])
    expected = delta_rows(orders(lake))
    written = []

    def commit(key: str) -> None:
        if len(written) < 3:
            written.append(key)
            write(orders(lake), a=[100 + len(written)])
            DeltaTable(str(orders(lake))).delete(f"a = {len(written)}")
            DeltaTable(str(orders(lake))).create_checkpoint()

    lake.before[".parquet"] = commit
    point = lake.backup()
    assert written
    assert point.facts["tables"]["orders"]["version"] == 1
    lake.before.clear()
    lake.restore(lake.folder / "out")
    assert delta_rows(lake.folder / "out" / "orders") == expected
    # The hint of a checkpoint that the copy lacks is not copied.
    assert (orders(lake) / "_delta_log" / "_last_checkpoint").exists()
    assert not (lake.folder / "out" / "orders" / "_delta_log" / "_last_checkpoint").exists()


def test_a_vacuum_that_wins_is_told_and_the_capture_starts_again(lake):
    from deltalake import DeltaTable

    for number in range(3):
        write(orders(lake), a=[number])
    done = []

    def vacuum(key: str) -> None:
        if not done:
            done.append(key)
            table = DeltaTable(str(orders(lake)))
            table.optimize.compact()
            table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)

    lake.before[".parquet"] = vacuum
    point = lake.backup()
    assert done
    assert point.facts["tries"] == 2
    assert any("Starting again at a newer version" in note for note in lake.said.notes)
    assert not point.findings
    lake.restore(lake.folder / "out")
    assert delta_rows(lake.folder / "out" / "orders") == [[0], [1], [2]]


def test_a_race_that_is_lost_again_and_again_ends(lake):
    from deltalake import DeltaTable

    write(orders(lake), a=[1])

    def vacuum(key: str) -> None:
        write(orders(lake), a=[1], mode="overwrite")
        DeltaTable(str(orders(lake))).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)

    lake.before[".parquet"] = vacuum
    with pytest.raises(RaceLost, match="each of 5 tries"):
        lake.backup()
    assert not lake.history.points()


def test_a_file_that_is_gone_for_good_is_named_with_its_rows(lake):
    write(orders(lake), a=[1, 2, 3])
    write(orders(lake), a=[4])
    victim = next(path for path in orders(lake).glob("*.parquet") if len(_rows(path)) == 3)
    victim.unlink()
    point = lake.backup()
    [finding] = point.findings
    assert finding.code == "delta-file-lost"
    assert victim.name in finding.message
    assert "3 rows are lost" in finding.message
    assert lake.plan(lake.folder / "out").warnings


@pytest.mark.parametrize("column", [None, "p"], ids=["flat", "partitioned"])
def test_a_file_that_vanished_after_it_was_copied_is_told_and_put_back_as_the_finding_says(lake, column):
    import pyarrow as pa
    from deltalake import write_deltalake

    for number in (1, 2):
        table = pa.table({"a": [number, number, number], "p": [f"x {number}"] * 3})
        write_deltalake(str(orders(lake)), table, mode="append", partition_by=[column] if column else None)
    expected = delta_rows(orders(lake))
    first = lake.backup()
    victim = min(orders(lake).rglob("*.parquet"))
    whole = victim.read_bytes()
    victim.unlink()
    for _ in range(2):
        point = lake.backup()
        [finding] = point.findings
        assert finding.code == "delta-file-vanished"
        assert victim.name in finding.message
        assert "3 rows cannot be read there" in finding.message
        assert f"--into {lake.root} --to version:orders@1 --rewind" in finding.message
        assert point.facts["kept"] >= first.facts["fetched"] - 1
    lake.restore(lake.folder / "out")
    assert delta_rows(lake.folder / "out" / "orders") == expected
    lake.restore(lake.root, "version:orders@1", rewind=True)
    assert victim.read_bytes() == whole
    assert not lake.backup().findings
    assert delta_rows(orders(lake)) == expected


def test_what_a_commit_and_a_vacuum_took_meanwhile_is_not_told_as_vanished(lake):
    from deltalake import DeltaTable

    for number in range(3):
        write(orders(lake), a=[number])
    lake.backup()
    write(orders(lake), a=[9])
    done = []

    def vacuum(key: str) -> None:
        if not done:
            done.append(key)
            table = DeltaTable(str(orders(lake)))
            table.delete("a = 1")
            table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)

    # Once all data is in the point: only the new commit is still to be read.
    lake.before["00000000000000000003.json"] = vacuum
    lake.backup()
    assert done
    assert not lake.vault.points("lake")[-1].findings


@pytest.mark.parametrize("damage", ["cut", "zeroed"])
def test_a_damaged_data_file_is_named_with_what_it_costs_and_read_again_when_repaired(lake, damage):
    write(orders(lake), a=[1, 2, 3])
    [victim] = orders(lake).glob("*.parquet")
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-20] if damage == "cut" else whole[:-20] + bytes(20))
    point = lake.backup()
    [finding] = point.findings
    assert finding.code == "delta-file-broken"
    assert victim.name in finding.message
    assert "3 rows" in finding.message
    victim.write_bytes(whole)
    assert not lake.backup().findings
    lake.restore(lake.folder / "out")
    assert delta_rows(lake.folder / "out" / "orders") == [[1], [2], [3]]


def test_a_log_that_lacks_a_commit_is_told_with_what_can_still_be_read(lake):
    for number in range(4):
        write(orders(lake), a=[number])
    (orders(lake) / "_delta_log" / "00000000000000000002.json").unlink()
    with pytest.raises(LogBroken, match="lacks the commit 2") as caught:
        lake.backup()
    assert "version 1 or older" in caught.value.hint
    [probe] = [one for one in lake.system().probe() if one.state == "fail"]
    assert "lacks the commit 2" in probe.detail


def test_a_cut_off_commit_is_told(lake):
    write(orders(lake), a=[1])
    commit = orders(lake) / "_delta_log" / "00000000000000000000.json"
    commit.write_bytes(commit.read_bytes()[:-30])
    with pytest.raises(LogBroken, match="cut off or damaged"):
        lake.backup()


def test_a_damaged_checkpoint_is_gone_round_and_told(lake):
    from deltalake import DeltaTable

    for number in range(3):
        write(orders(lake), a=[number])
    DeltaTable(str(orders(lake))).create_checkpoint()
    write(orders(lake), a=[3])
    [checkpoint] = (orders(lake) / "_delta_log").glob("*.checkpoint.parquet")
    checkpoint.write_bytes(checkpoint.read_bytes()[:200])
    point = lake.backup()
    [finding] = point.findings
    assert finding.code == "delta-checkpoint-damaged"
    assert checkpoint.name in finding.message
    assert point.facts["tables"]["orders"]["rows"] == 4
    (orders(lake) / "_delta_log" / "00000000000000000001.json").unlink()
    with pytest.raises(LogBroken, match=r"checkpoint.*is damaged.*commits 1 .*gone"):
        lake.backup()


def test_a_damaged_deletion_vector_is_named_with_what_it_costs_until_it_is_mended(lake):
    golden.unpack("vectors", lake.root)
    descriptor = next(iter(pin(LocalStore(lake.root), "vectors").snapshot.descriptors()))
    victim = lake.root / "vectors" / (vectors.relative_key(descriptor) or "")
    whole = victim.read_bytes()
    at = descriptor["offset"] + 4 + descriptor["sizeInBytes"] // 2
    victim.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
    object.__setattr__(lake.settings, "tables", ("vectors",))
    findings = lake.backup().findings
    assert {one.code for one in findings} == {"delta-vector-broken"}
    assert {one.where["path"].rpartition("/")[2] for one in findings} == {victim.name}
    assert all("checksum" in one.message and "is not known; by the log" in one.message for one in findings)
    victim.write_bytes(whole)
    lake.reads.clear()
    assert not lake.backup().findings
    assert any(key.endswith(victim.name) for key in lake.reads)
    lake.reads.clear()
    assert not lake.backup().findings
    assert not [key for key in lake.reads if key.endswith(".bin")]


@pytest.mark.parametrize("name", ["sidecars-json", "sidecars-parquet"])
def test_a_damaged_sidecar_is_gone_round_by_the_commits_and_told_with_what_it_costs(lake, name):
    golden.unpack(name, lake.root)
    object.__setattr__(lake.settings, "tables", (name,))
    rows = delta_rows(lake.root / name)
    for sidecar in (lake.root / name / "_delta_log" / "_sidecars").iterdir():
        sidecar.write_bytes(sidecar.read_bytes()[:-9])
    point = lake.backup()
    assert {one.code for one in point.findings} == {"delta-checkpoint-damaged"}
    assert all("no row is lost" in one.message for one in point.findings)
    lake.restore(lake.folder / "out")
    for left in (lake.folder / "out" / name / "_delta_log").glob("*checkpoint*"):
        left.unlink()  # delta-rs cannot go round it by itself
    assert delta_rows(lake.folder / "out" / name) == rows
    (lake.root / name / "_delta_log" / f"{1:020}.json").unlink()
    with pytest.raises(LogBroken, match=r"is damaged.*commits 1 .*gone") as caught:
        lake.backup()
    assert "up to the next whole checkpoint is lost" in caught.value.hint


def test_a_log_that_is_cleaned_up_while_it_is_copied_is_captured_at_a_newer_version(lake):
    from deltalake import DeltaTable

    for number in range(4):
        write(orders(lake), a=[number])
    done = []

    def clean(key: str) -> None:
        # Each commit is read once to pin; the second time it is copied.
        if not done and lake.reads.count(key) == 2:
            done.append(key)
            write(orders(lake), a=[9])
            DeltaTable(str(orders(lake))).create_checkpoint()
            for version in range(4):
                (orders(lake) / "_delta_log" / f"{version:020}.json").unlink()

    lake.before["00000.json"] = clean
    point = lake.backup()
    assert done
    assert point.facts["tries"] == 2
    assert point.stop["versions"] == {"orders": 4}
    assert not point.findings
    lake.restore(lake.folder / "out")
    assert delta_rows(lake.folder / "out" / "orders") == [[0], [1], [2], [3], [9]]


def test_a_log_that_was_cleaned_up_is_captured_from_its_checkpoint(lake):
    from deltalake import DeltaTable

    for number in range(4):
        write(orders(lake), a=[number])
    DeltaTable(str(orders(lake))).create_checkpoint()
    write(orders(lake), a=[4])
    for version in range(3):
        (orders(lake) / "_delta_log" / f"{version:020}.json").unlink()
    point = lake.backup()
    assert point.facts["tables"]["orders"]["first"] == 3
    lake.restore(lake.folder / "out")
    assert delta_rows(lake.folder / "out" / "orders") == [[0], [1], [2], [3], [4]]


def test_an_unknown_feature_is_refused_before_anything_is_copied(lake):
    write(orders(lake), a=[1])
    log = orders(lake) / "_delta_log" / "00000000000000000001.json"
    action = {
        "protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["fromTheFuture"], "writerFeatures": ["fromTheFuture"]}
    }
    log.write_text(json.dumps(action) + "\n")
    with pytest.raises(FeatureUnknown, match="fromTheFuture"):
        lake.backup()
    assert not [key for key in lake.reads if key.endswith(".parquet")]


def test_a_path_that_leads_out_of_the_table_is_refused(lake):
    write(orders(lake), a=[1])
    log = orders(lake) / "_delta_log" / "00000000000000000001.json"
    log.write_text(json.dumps({"add": {"path": "../secret", "size": 1, "partitionValues": {}, "modificationTime": 1, "dataChange": True}}))
    with pytest.raises(LogBroken, match="outside of the table"):
        lake.backup()


def test_a_table_made_again_under_its_name_is_read_whole_and_told(lake):
    write(orders(lake), a=[1])
    lake.backup()
    old = replay(StoredLog(LocalStore(lake.root), "orders/")).id
    shutil.rmtree(orders(lake))
    write(orders(lake), a=[7])
    write(orders(lake), a=[8])
    point = lake.backup()
    assert point.facts["tables"]["orders"]["id"] != old
    assert any("dropped and made again" in note for note in lake.said.notes)
    assert point.facts["kept"] == 0
    lake.restore(lake.folder / "out")
    assert delta_rows(lake.folder / "out" / "orders") == [[7], [8]]


def test_names_patterns_and_what_is_not_there(lake):
    for name in ("a/one", "a/two", "b/one"):
        write(lake.root / name, x=[1])
    object.__setattr__(lake.settings, "tables", ("a/*",))
    assert sorted(lake.backup().facts["tables"]) == ["a/one", "a/two"]
    object.__setattr__(lake.settings, "tables", ("b/one", "b/three"))
    with pytest.raises(TableMissing, match="b/three"):
        lake.backup()
    object.__setattr__(lake.settings, "tables", ("c/*",))
    with pytest.raises(NothingFound):
        lake.backup()
    write(lake.root / "a" / "one" / "inner", x=[1])
    object.__setattr__(lake.settings, "tables", ("a/one", "a/one/inner"))
    with pytest.raises(TablesNested, match="a/one/inner lies inside"):
        lake.backup()


def test_all_tables_are_pinned_before_any_is_copied(lake):
    write(lake.root / "debits", a=[1])
    write(lake.root / "credits", a=[1])

    def pay(key: str) -> None:
        # One payment writes both tables; a copy that took them one after the other would see half of it.
        del key
        lake.before.clear()
        write(lake.root / "credits", a=[2])
        write(lake.root / "debits", a=[2])

    lake.before["credits/part-"] = pay
    point = lake.backup()
    assert {name: one["version"] for name, one in point.facts["tables"].items()} == {"debits": 0, "credits": 0}


def _rows(path):
    import pyarrow.parquet as pq

    return pq.read_table(path).to_pylist()


# ---------------------------------------------------------------- what lies elsewhere


@pytest.mark.parametrize(
    ("lake_url", "address", "opened", "key"),
    [
        ("s3://b/cur", "s3://b/cur/t/p%20q", None, "t/p q"),
        ("s3://b/cur", "s3a://b/cur/t/x", None, "t/x"),
        ("s3://b/cur", "s3://b/cur2/t/x", "s3://b", "cur2/t/x"),
        ("s3://bucket", "s3://buck/et/x", "s3://buck", "et/x"),
        ("s3://bucket", "s3://bucket/t/x", None, "t/x"),
        ("s3://b/cur", "file:/data/t/x", "/data/t", "x"),
    ],
)
def test_an_absolute_path_leads_to_its_own_place(lake_url, address, opened, key):
    class Place:
        def __init__(self, url: str) -> None:
            self.url = url

    own = Place(lake_url)
    store, found = opener(DeltaSettings(lake_url, open=Place), own)(address)
    assert (None if store is own else store.url, found) == (opened, key)


def test_two_checkpoints_of_one_name_in_two_places_stay_two():
    settings = DeltaSettings("/lake")
    first, second = (stream_place(settings, LocalStore(Path("/lake")), f"/{one}/_checkpoint")[0] for one in ("orders", "customers"))
    assert first != second
    assert stream_place(settings, LocalStore(Path("/lake")), "/lake/checkpoints/orders/")[0] == "checkpoints/orders"
