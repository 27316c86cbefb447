"""A capture whose work is shared: the same point as without, whoever stored it. By the pool in this process; Spark's: test_executor."""

import json

import pytest

from holdfast.assembly.executor.errors import ExecutorDiffers, ExecutorRole
from holdfast.model import Silent
from holdfast.systems.delta.errors import FileBroken, SharedOdd, SharedUnseen
from tests.spark.shared import Desk, table


def picture(desk: Desk, point=None):
    """In the order of paths: which process stored what decides their order in the point."""
    return sorted(((entry.path, entry.size, entry.mtime_ns, entry.kind, digest) for entry, digest in desk.tree(point)))


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path)
    table(made.lake / "orders", 7)
    table(made.lake / "deep" / "people", 3, seed=2)
    return made


def test_what_the_base_holds_is_not_shared(desk):
    alone = desk.locally(least=1 << 40)
    assert alone.facts["fetched"]
    shared = desk.locally()
    # The base held everything: nothing was left to share.
    assert (shared.facts["kept"], shared.totals.new) == (alone.facts["fetched"], 0)
    assert picture(desk, shared) == picture(desk, alone)


def test_shards_are_stored_by_others_and_committed_by_the_driver(desk):
    point = desk.locally()
    files = sorted(path for path in desk.lake.rglob("*") if path.is_file())
    held = picture(desk, point)
    assert {path.removeprefix("tables/") for path, *_ in held} == {str(path.relative_to(desk.lake)) for path in files}
    assert point.facts["fetched"] == len(files)
    assert point.totals.bytes == sum(path.stat().st_size for path in files)
    assert not point.findings
    assert [one.id for one in desk.points()] == [point.id]
    assert picture(desk, desk.alone()) == held


def test_the_next_point_asks_for_new_files_alone(desk):
    desk.locally()
    table(desk.lake / "orders", 2, seed=3)
    asked = []

    def spy(text):
        asked.extend(one["path"] for one in json.loads(text)["shard"]["files"])
        return text

    second = desk.locally(spoil=spy)
    assert len(asked) == 2
    assert second.method == "incremental"
    assert len(picture(desk, second)) == len([path for path in desk.lake.rglob("*") if path.is_file()])


def test_little_is_copied_by_the_driver_alone(desk):
    def never(text):
        raise AssertionError("nothing was to be shared")

    assert desk.locally(least=1 << 30, spoil=never).facts["fetched"]


def test_a_scan_by_parts_is_the_scan_of_the_whole(desk):
    from deltalake import DeltaTable

    DeltaTable(str(desk.lake / "orders")).delete("id = 3")
    desk.locally()
    asked = []

    def spy(text):
        asked.append(json.loads(text))
        return text

    with desk.platform() as platform, platform.recovery("lake").source() as view:
        whole = view.digest()
    with desk.pooled(spoil=spy) as platform:
        history = platform.history("lake")
        with platform.recovery("lake").isolate(history, {"kind": "latest"}, {}, Silent()) as view:
            assert view.digest() == whole
            assert [one.state for one in view.structure()] == ["passed", "passed"]
            # What SQL asks for is fetched here.
            assert view.query("select count(*), min(id) from orders") == [(6, 0)]
        answer, _ = platform.recovery("lake").at_rest(lambda view: view.digest())
        assert answer == whole
    assert {one["work"] for one in asked} == {"scan"}
    assert {one["shard"]["side"] for one in asked} == {"point", "source"}
    assert len(asked) > 4


def test_a_broken_file_is_named_by_who_scans_it(desk):
    desk.locally()
    victim = min((desk.lake / "deep" / "people").glob("*.parquet"))
    victim.write_bytes(victim.read_bytes()[:-2000] + bytes(2000))
    with desk.pooled() as platform, platform.recovery("lake").source() as view:
        with pytest.raises(FileBroken, match=victim.name):
            view.digest()
        assert view.digest(("orders",))["orders"]["rows"] == 7


def test_files_that_only_this_machine_sees_are_told(desk):
    """A folder that is not mounted on the workers: nothing would be copied by them, and the driver would do it all."""

    def elsewhere(text):
        document = json.loads(text)
        return json.dumps({**document, "plan": document["plan"].replace(f"{desk.folder}/lake", f"{desk.folder}/not-mounted")})

    with pytest.raises(SharedUnseen, match="it is there"):
        desk.locally(spoil=elsewhere)
    assert not desk.points()


def test_a_worker_that_hands_over_other_files_is_not_believed(desk):
    def other(text):
        document = json.loads(text)
        document["shard"]["files"][0]["path"] = "tables/orders/_delta_log/00000000000000000007.json"
        return json.dumps(document)

    with pytest.raises(SharedOdd):
        desk.locally(spoil=other)
    assert not desk.points()


def test_a_worker_with_another_version_is_refused_before_it_stores_anything(desk):
    def older(text):
        return json.dumps({**json.loads(text), "version": "0.0.9"})

    with pytest.raises(ExecutorDiffers, match=r"0\.0\.9"):
        desk.locally(spoil=older)
    assert not desk.points()
    assert not [path for path in (desk.folder / "vault" / "packs").rglob("*") if path.is_file()]


def test_a_worker_whose_key_may_more_than_write_is_refused(desk):
    with pytest.raises(ExecutorRole, match=r"owner.*writer"):
        desk.locally(key="owner")
    assert not desk.points()
