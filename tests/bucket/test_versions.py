"""Every version and delete marker: captured once, restored as of any moment."""

import datetime as dt
import time
from dataclasses import replace

import pytest

from tests.bucket.kit import Scene, new_bucket, noise, options_of, picture
from tests.bucket.proxy import Faults


@pytest.fixture
def versioned(tmp_path, minio):
    one = Scene(tmp_path, new_bucket(minio, versions=True), options_of(minio), versions="all")
    yield one
    one.close()


def next_millisecond(store) -> str:
    """A moment behind everything that was written, and before all that is written from now on, by the store's own times."""
    last = max((one.modified_ns for one in store.versions()), default=0)
    moment = last // 1_000_000 + 1
    while time.time_ns() // 1_000_000 <= moment + 1:
        pass
    return dt.datetime.fromtimestamp(moment / 1000, dt.UTC).isoformat()


def test_any_moment_comes_back_from_one_point(versioned, minio):
    store = versioned.store
    pictures, moments = [], []
    for turn in range(4):
        store.put("always", noise(100 + turn))
        if turn == 1:
            store.put("comes", b"comes")
            store.put("large", noise(5 << 20))
        if turn == 2:
            store.delete(["comes", "always"])
        if turn == 3:
            store.put("comes", b"again")
            store.put("large", noise(6 << 20))
        pictures.append(picture(store))
        moments.append(next_millisecond(store))
    point = versioned.backup()
    assert (point.facts["objects"], point.facts["older"], point.facts["markers"]) == (3, 5, 2)
    for number, (moment, wanted) in enumerate(zip(moments, pictures, strict=True)):
        target = new_bucket(minio)
        done = versioned.restore(target, {"kind": "time", "time": moment})
        assert picture(versioned.open(target)) == wanted, number
        assert done.reached["time"] == moment
    target = new_bucket(minio)
    versioned.restore(target)
    assert picture(versioned.open(target)) == pictures[-1]


def test_a_version_is_fetched_once_in_its_life(versioned, minio):
    store = versioned.store
    for turn in range(3):
        store.put("a", noise(50 + turn))
    store.put("b", b"b")
    versioned.backup()
    store.put("a", b"newest")
    store.delete(["b"])
    with Faults(minio.endpoint, lambda _, first: "pass") as faults:
        versioned.options = replace(versioned.options, endpoint=faults.address)
        point = versioned.backup()
    assert (point.facts["unread"], point.facts["requests"]["get"]) == (4, 1)
    assert len([line for line in faults.seen if "versionId" in line]) == 1
    versioned.options = options_of(minio)
    assert versioned.verify().report.verdict == "passed"
    client = minio.client()
    bucket = versioned.url.removeprefix("s3://")
    listed = client.list_object_versions(Bucket=bucket)["Versions"]
    gone = next(one for one in listed if one["Key"] == "a" and one["Size"] == 51)
    client.delete_object(Bucket=bucket, Key="a", VersionId=gone["VersionId"])
    client.close()
    third = versioned.backup()
    assert (third.facts["unread"], third.facts["older"]) == (5, 3)
    paths = [line.path for line in versioned.vault.reader(third).lines()]
    assert not [path for path in paths if path.endswith(gone["VersionId"])]


def test_without_versions_in_the_plan_the_point_before_is_taken(scene, minio):
    scene.store.put("a", b"one")
    first = scene.backup()
    scene.store.put("a", b"two")
    second = scene.backup()
    target = new_bucket(minio)
    scene.restore(target, {"kind": "time", "time": first.committed_at.isoformat()})
    assert picture(scene.open(target))["a"][0] == b"one"
    plan = scene.plan(new_bucket(minio), {"kind": "point", "point": second.id[:10]})
    assert plan.point.id == second.id
