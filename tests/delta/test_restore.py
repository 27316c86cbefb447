"""Back into a new place, in the damaged table's place, by a commit; what is refused; what streams see of it."""

import json
import os
import shutil
import uuid

import pytest

from holdfast.errors import HoldfastError
from holdfast.systems.delta.errors import NoVersion, RestoreUsage, RewindRefused, TableMoved, TargetTaken
from holdfast.systems.delta.log import vectors
from holdfast.systems.delta.log.listing import StoredLog
from holdfast.systems.delta.log.snapshot import Snapshot, replay
from holdfast.systems.delta.restore.place import parent
from holdfast.systems.delta.restore.rewind import Rewind, actions
from holdfast.systems.delta.restore.rewrite import rewritten
from holdfast.systems.delta.store import LocalStore
from tests.delta import golden
from tests.delta.kit import Lake, delta_rows, write


def orders(lake):
    return lake.root / "orders"


def state(lake, name="orders", version=None):
    return replay(StoredLog(LocalStore(lake.root), f"{name}/"), version)


def with_txn(path, app: str, batch: int, **columns) -> None:
    import pyarrow as pa
    from deltalake import CommitProperties, Transaction, write_deltalake

    write_deltalake(
        str(path), pa.table(columns), mode="append", commit_properties=CommitProperties(app_transactions=[Transaction(app, batch)])
    )


# ---------------------------------------------------------------- C: a new place


def test_any_version_whose_files_lie_in_some_point(lake):
    for number in range(4):
        write(orders(lake), a=[number])
    lake.backup()
    write(orders(lake), a=[99], mode="overwrite")
    lake.backup()
    for version, rows in ((0, [[0]]), (2, [[0], [1], [2]]), (4, [[99]])):
        done = lake.restore(lake.folder / f"out{version}", f"version:{version}")
        assert done.reached["versions"] == {"orders": version}
        assert delta_rows(lake.folder / f"out{version}" / "orders") == rows
        assert replay(StoredLog(LocalStore(lake.folder / f"out{version}"), "orders/")).version == version


def test_a_version_between_two_points_that_nobody_has_is_refused_with_those_that_are_there(lake):
    write(orders(lake), a=[1])
    lake.backup()
    write(orders(lake), a=[2], mode="overwrite")
    write(orders(lake), a=[3], mode="overwrite")
    lake.backup()
    with pytest.raises(NoVersion, match="Version 1 of orders") as caught:
        lake.plan(lake.folder / "out", "version:1")
    assert "version 0, 2" in caught.value.hint


def test_the_version_at_a_time_by_the_times_of_the_commits(lake):
    import datetime as dt

    for number in range(3):
        write(orders(lake), a=[number])
        commit = orders(lake) / "_delta_log" / f"{number:020}.json"
        os.utime(commit, (1_700_000_000 + 3600 * number,) * 2)
    lake.backup()
    moment = dt.datetime.fromtimestamp(1_700_000_000 + 3600 * 1.5, dt.UTC)
    done = lake.restore(lake.folder / "out", moment.isoformat())
    assert done.reached["versions"] == {"orders": 1}
    # The copy keeps the times, so that asking it for a time works there, too.
    copied = lake.folder / "out" / "orders" / "_delta_log" / f"{1:020}.json"
    assert copied.stat().st_mtime == 1_700_000_000 + 3600
    with pytest.raises(NoVersion, match="no version of orders from before"):
        lake.plan(lake.folder / "out2", "2020-01-01T00:00:00Z")


def test_what_is_there_is_never_written_over(lake):
    write(orders(lake), a=[1])
    lake.backup()
    (lake.folder / "out" / "orders").mkdir(parents=True)
    (lake.folder / "out" / "orders" / "mine").write_text("mine")
    assert lake.plan(lake.folder / "out").obstacles
    with pytest.raises(TargetTaken, match="mine"):
        lake.restore(lake.folder / "out")
    assert [path.name for path in (lake.folder / "out" / "orders").iterdir()] == ["mine"]


def test_one_table_goes_into_the_place_itself(lake):
    write(orders(lake), a=[1])
    write(lake.root / "two", a=[2])
    lake.backup()
    lake.restore(lake.folder / "out", tables=["two"])
    assert delta_rows(lake.folder / "out") == [[2]]


def test_a_clones_absolute_paths_lead_to_the_copy(lake):
    golden.unpack("clone", lake.root)
    object.__setattr__(lake.settings, "tables", ("clone",))
    point = lake.backup()
    assert point.facts["tables"]["clone"]["absolute"]
    expected = golden.expected("clone")["versions"]
    shutil.rmtree(lake.root)
    lake.restore(lake.folder / "out")
    copied = replay(StoredLog(LocalStore(lake.folder / "out"), "clone/"))
    assert all(not path.startswith(("file:", "/")) for path in copied.paths())
    assert len(delta_rows(lake.folder / "out" / "clone")) == len(expected[max(expected, key=int)]["rows"])
    # Nor do its vectors: the copy can be moved, and read by whatever scheme its reader knows.
    kinds = [one["storageType"] for one in copied.descriptors()]
    assert kinds
    assert set(kinds) == {"u"}
    (lake.folder / "out").rename(lake.folder / "moved")
    assert len(delta_rows(lake.folder / "moved" / "clone")) == len(expected[max(expected, key=int)]["rows"])


def test_no_table_is_put_into_another_table(lake):
    write(orders(lake), a=[1])
    lake.backup()
    lake.restore(lake.folder / "out", tables=["orders"])
    with pytest.raises(TargetTaken, match="inside of a table"):
        lake.restore(lake.folder / "out")
    assert not (lake.folder / "out" / "orders").exists()


def test_what_came_there_since_the_plan_is_not_written_over(lake):
    write(orders(lake), a=[1])
    lake.backup()
    plan = lake.plan(lake.folder / "out")
    write(lake.folder / "out" / "orders", a=[7])
    with pytest.raises(TargetTaken):
        lake.recovery().restore(lake.history, plan, lake.said)
    assert delta_rows(lake.folder / "out" / "orders") == [[7]]


def test_absolute_paths_in_a_checkpoint_are_turned_towards_the_copy():
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    vector = {"storageType": "p", "pathOrInlineDv": "s3a://b/v.bin", "offset": 1}
    inline = {"storageType": "i", "pathOrInlineDv": "s3a://b/v.bi", "offset": None}
    adds = [
        {"path": "s3a://b/x", "deletionVector": vector},
        None,
        {"path": "y", "deletionVector": None},
        {"path": "z", "deletionVector": inline},
    ]
    out = io.BytesIO()
    pq.write_table(pa.table({"add": adds}), out)
    name = uuid.uuid4()
    relative = vectors.relative("from-elsewhere", name)
    found = rewritten("1.checkpoint.parquet", out.getvalue(), {"s3a://b/x": "from-elsewhere/x"}, {"s3a://b/v.bin": relative})
    first, *others = pq.read_table(io.BytesIO(found)).column("add").to_pylist()
    assert first == {"path": "from-elsewhere/x", "deletionVector": {"storageType": "u", "pathOrInlineDv": relative, "offset": 1}}
    assert others == adds[1:]
    assert vectors.relative_key(first["deletionVector"]) == f"from-elsewhere/deletion_vector_{name}.bin"


# ---------------------------------------------------------------- B: the damaged one moved aside


def test_what_is_above_a_place():
    assert parent("s3://bucket/lake/orders/") == ("s3://bucket/lake", "orders")
    assert parent("file:///lake") == ("file:///", "lake")
    assert parent("/lake") == ("/", "lake")


def test_in_place_moves_the_damaged_table_aside(lake):
    write(orders(lake), a=[1, 2])
    lake.backup()
    for path in orders(lake).glob("*.parquet"):
        path.write_bytes(b"ruined")
    plan = lake.plan(lake.root, in_place=True)
    assert any("move" in step for step in plan.steps)
    assert not plan.obstacles
    done = lake.restore(lake.root, in_place=True)
    assert delta_rows(orders(lake)) == [[1], [2]]
    [aside] = [path for path in lake.root.iterdir() if ".damaged-" in path.name]
    assert (aside / "_delta_log").exists()
    assert any(aside.name in note for note in done.notes)
    # What was moved aside is no table of the lake.
    assert list(lake.backup().facts["tables"]) == ["orders"]
    with pytest.raises(RestoreUsage, match="--in-place"):
        lake.plan(lake.folder / "other", in_place=True)


def test_a_table_that_was_dropped_comes_back_in_place(lake):
    write(orders(lake), a=[1])
    lake.backup()
    shutil.rmtree(orders(lake))
    lake.restore(lake.root, in_place=True)
    assert delta_rows(orders(lake)) == [[1]]


# ---------------------------------------------------------------- A: by a commit


def test_rewind_brings_rows_and_applications_back(lake):
    with_txn(orders(lake), "stream", 1, a=[1])
    with_txn(orders(lake), "stream", 2, a=[2])
    lake.backup()
    with_txn(orders(lake), "stream", 3, a=[3])
    with_txn(orders(lake), "later", 7, a=[4])
    plan = lake.plan(lake.root, "version:1", rewind=True)
    assert any("set application stream back from 3 to 2" in step for step in plan.steps)
    assert any("later" in warning for warning in plan.warnings)
    assert state(lake).version == 3  # planning wrote nothing
    lake.restore(lake.root, "version:1", rewind=True)
    assert delta_rows(orders(lake)) == [[1], [2]]
    from deltalake import DeltaTable

    table = DeltaTable(str(orders(lake)))
    assert table.version() == 4
    assert table.transaction_version("stream") == 2
    assert table.transaction_version("later") == -1
    assert table.history()[0]["operation"] == "RESTORE"


def test_a_plain_restore_by_delta_rs_leaves_the_trap_that_rewind_closes(lake):
    """Why the applications are set back: others' restore keeps their newer value, and a stream skips its batches."""
    from deltalake import DeltaTable

    with_txn(orders(lake), "stream", 1, a=[1])
    with_txn(orders(lake), "stream", 2, a=[2])
    table = DeltaTable(str(orders(lake)))
    table.restore(0)
    assert DeltaTable(str(orders(lake))).transaction_version("stream") == 2


def test_rewind_over_deletion_vectors_is_exact(lake):
    golden.unpack("vectors", lake.root)
    object.__setattr__(lake.settings, "tables", ("vectors",))
    lake.backup()
    known = golden.expected("vectors")["versions"]
    for version in sorted(map(int, known)):
        lake.restore(lake.root, f"version:{version}", rewind=True)
        now = state(lake, "vectors")
        assert now.files.keys() == state(lake, "vectors", version).files.keys()
        assert now.rows() == len(known[str(version)]["rows"])
        assert len(delta_rows(lake.root / "vectors")) == len(known[str(version)]["rows"])


def test_rewind_puts_back_what_a_vacuum_took(lake):
    from deltalake import DeltaTable

    write(orders(lake), a=[1])
    write(orders(lake), a=[2])
    lake.backup()
    write(orders(lake), a=[9], mode="overwrite")
    DeltaTable(str(orders(lake))).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    plan = lake.plan(lake.root, rewind=True)
    assert plan.bytes
    lake.restore(lake.root, rewind=True)
    assert delta_rows(orders(lake)) == [[1], [2]]


def test_identity_columns_go_on_behind_the_newest_value():
    def state(mark, step, files=()):
        metadata = {"delta.identity.start": 1, "delta.identity.step": step, **({"delta.identity.highWaterMark": mark} if mark else {})}
        fields = [{"name": "id", "type": "long", "metadata": metadata}, {"name": "é", "type": "string", "metadata": {}}]
        schema = json.dumps({"type": "struct", "fields": fields}, ensure_ascii=False)
        return Snapshot(1, metadata={"id": "t", "schemaString": schema, "configuration": {}}, files=dict(files))

    for then, now, step, expected in ((3, 9, 1, 9), (None, 9, 1, 9), (-3, -9, -1, -9), (9, 3, 1, 9)):
        made = Rewind("orders", 1, state(then, step), state(now, step), 0)
        found = [one["metaData"] for one in actions(made, 0) if "metaData" in one]
        schema = json.loads(found[0]["schemaString"] if found else made.live.metadata["schemaString"])
        assert schema["fields"][0]["metadata"]["delta.identity.highWaterMark"] == expected
        assert schema["fields"][1]["name"] == "é"


def test_rewind_refuses_what_it_cannot_make_right(lake):
    write(orders(lake), a=[1])
    lake.backup()
    write(orders(lake), a=[2], mode="overwrite")
    [old] = [path for path in orders(lake).glob("*.parquet") if path.name in str(state(lake, version=0).paths())]
    old.write_bytes(b"cut")
    with pytest.raises(RewindRefused, match="3 bytes long where the log says") as caught:
        lake.restore(lake.root, "version:0", rewind=True)
    assert "--in-place" in caught.value.hint
    assert state(lake).version == 1
    shutil.rmtree(orders(lake))
    write(orders(lake), a=[5])
    with pytest.raises(RewindRefused, match="dropped and made again"):
        lake.restore(lake.root, rewind=True)
    with pytest.raises(RestoreUsage, match="do not go together"):
        lake.plan(lake.root, rewind=True, in_place=True)
    with pytest.raises(RestoreUsage, match="commits to the table itself"):
        lake.plan(lake.folder / "elsewhere", rewind=True)


def test_rewind_of_a_table_that_only_takes_appends_is_refused(lake):
    import pyarrow as pa
    from deltalake import write_deltalake

    write_deltalake(str(orders(lake)), pa.table({"a": [1]}), configuration={"delta.appendOnly": "true"})
    lake.backup()
    write(orders(lake), a=[2])
    with pytest.raises(RewindRefused, match="only takes appends"):
        lake.restore(lake.root, rewind=True)


def test_a_commit_between_plan_and_rewind_is_not_overwritten(lake):
    write(orders(lake), a=[1])
    lake.backup()
    write(orders(lake), a=[2])
    plan = lake.plan(lake.root, "version:0", rewind=True)
    write(orders(lake), a=[3])
    with pytest.raises(TableMoved, match="Nothing was changed"):
        lake.recovery().restore(lake.history, plan, lake.said)
    assert delta_rows(orders(lake)) == [[1], [2], [3]]


def test_in_commit_timestamps_go_on_and_metadata_comes_back(lake):
    golden.unpack("timed", lake.root)
    object.__setattr__(lake.settings, "tables", ("timed",))
    lake.backup()
    newest = state(lake, "timed")
    lake.restore(lake.root, f"version:{newest.version - 1}", rewind=True)
    commit = lake.root / "timed" / "_delta_log" / f"{newest.version + 1:020}.json"
    info = json.loads(commit.read_text().splitlines()[0])["commitInfo"]
    assert next(iter(info)) == "inCommitTimestamp"
    assert info["inCommitTimestamp"] > (newest.in_commit_time or 0)


# ---------------------------------------------------------------- streams


def checkpoint(folder, query: str, batches: int, *, done: int | None = None) -> None:
    for name in ("offsets", "commits", "sources/0", "state/0/0"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "metadata").write_text(json.dumps({"id": query}))
    for batch in range(batches):
        (folder / "offsets" / str(batch)).write_text(f"v1\n{batch}")
        (folder / "offsets" / f".{batch}.crc").write_text("crc")
        (folder / "state/0/0" / f"{batch + 1}.delta").write_text("state")
        if batch < (batches if done is None else done):
            (folder / "commits" / str(batch)).write_text("v1\n{}")


@pytest.fixture
def streamed(tmp_path):
    one = Lake(tmp_path, tables=("orders",), streams=("checkpoints/orders",))
    for batch in range(3):
        with_txn(orders(one), "query-1", batch, a=[batch])
    checkpoint(one.root / "checkpoints" / "orders", "query-1", 5)
    yield one
    one.close()


def test_a_checkpoint_is_never_ahead_of_its_table_nor_behind(streamed):
    """The stream is two batches further than the table when its checkpoint is read: what is captured ends with the table's batch."""
    point = streamed.backup()
    assert not point.findings
    assert point.facts["streams"]["checkpoints/orders"]["batch"] == 2
    streamed.restore(streamed.folder / "out")
    back = streamed.folder / "out" / "checkpoints" / "orders"
    assert sorted(path.name for path in (back / "offsets").glob("[0-9]*")) == ["0", "1", "2"]
    assert sorted(path.name for path in (back / "offsets").glob(".*")) == [".0.crc", ".1.crc", ".2.crc"]
    assert sorted(path.name for path in (back / "commits").iterdir()) == ["0", "1", "2"]
    assert sorted(path.name for path in (back / "state/0/0").iterdir()) == ["1.delta", "2.delta", "3.delta"]


def test_an_older_version_takes_its_stream_back_with_it(streamed):
    streamed.backup()
    done = streamed.restore(streamed.root, "version:1", rewind=True)
    assert any("goes on behind batch 1" in note for note in done.notes)
    back = streamed.root / "checkpoints" / "orders"
    assert sorted(path.name for path in (back / "offsets").glob("[0-9]*")) == ["0", "1"]
    assert state(streamed).txns["query-1"]["version"] == 1
    assert [path.name for path in (streamed.root / "checkpoints").iterdir() if ".before-" in path.name]


def test_a_checkpoint_that_lacks_the_tables_batch_is_told(streamed):
    (streamed.root / "checkpoints" / "orders" / "offsets" / "2").unlink()
    [finding] = streamed.backup().findings
    assert finding.code == "delta-stream-torn"
    assert "offsets/2" in finding.message
    assert any("cannot be put back" in warning for warning in streamed.plan(streamed.folder / "out").warnings)


def test_a_query_that_no_table_knows_is_told(streamed):
    checkpoint(streamed.root / "checkpoints" / "orders", "query-2", 4)
    [finding] = streamed.backup().findings
    assert finding.code == "delta-stream-unknown"


def test_every_error_has_a_hint_or_says_enough(lake):
    with pytest.raises(HoldfastError) as caught:
        lake.plan(lake.folder / "out")
    assert caught.value.hint


def test_export_and_a_plan_out_of_the_vault_alone(lake):
    from holdfast.assembly.vault.bare import bare_plan
    from holdfast.plan import load
    from holdfast.systems.delta.export import export

    write(orders(lake), a=[1, 2])
    point = lake.backup()
    done = export(point, lake.history, lake.folder / "out", lake.recovery(), lake.said)
    assert delta_rows(lake.folder / "out" / "orders") == [[1], [2]]
    assert "orders    version 0" in (done.folder / "README").read_text()
    with pytest.raises(TargetTaken):
        export(point, lake.history, lake.folder / "out", lake.recovery(), lake.said)
    page = lake.folder / "bare.yaml"
    page.write_text(bare_plan(f"file://{lake.folder}/vault", "KEY", endpoint=None, points=[point]))
    assert load(page).effective("lake").spec.url == f"file://{lake.root}"


# ---------------------------------------------------------------- one table of several, by what was found for all


@pytest.mark.parametrize("options", [{"rewind": True}, {"in_place": True}])
def test_versions_of_a_whole_lake_bring_back_only_the_table_that_is_named(lake, options):
    """A search through history names the version of every table; who repairs one leaves the others alone."""
    for name in ("orders", "billing"):
        for number in range(3):
            write(lake.root / name, a=[number])
    lake.backup()
    lake.restore(lake.root, "version:billing@0,orders@1", tables=["orders"], **options)
    assert delta_rows(lake.root / "orders") == [[0], [1]]
    assert delta_rows(lake.root / "billing") == [[0], [1], [2]]
    with pytest.raises(NoVersion, match="No version of orders was given"):
        lake.restore(lake.root, "version:billing@0", tables=["orders"], **options)


def test_a_rewind_says_beforehand_whether_the_table_is_already_what_it_was(lake):
    for number in range(3):
        write(orders(lake), a=[number])
    lake.backup()
    assert lake.plan(lake.root, "version:1", rewind=True).place["differs"] == 1
    lake.restore(lake.root, "version:1", rewind=True)
    assert lake.plan(lake.root, "version:1", rewind=True).place["differs"] == 0
    next(orders(lake).glob("*.parquet")).unlink()
    assert lake.plan(lake.root, "version:2", rewind=True).place["differs"] >= 1
    assert "differs" not in lake.plan(lake.root, "version:1", in_place=True).place
