"""A capture whose work is shared: the same point as without, whoever stored it. By the pool in this process; Spark's: test_executor."""

import json

import pytest

from holdfast.assembly.executor.errors import ExecutorDiffers, ExecutorRole
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
