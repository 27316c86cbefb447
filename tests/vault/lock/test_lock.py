"""What is locked for how long, what a commit locks again, and which version counts: on a real MinIO."""

import datetime as dt

import pytest

from holdfast.storage import ObjectLocked, versions_of
from holdfast.storage.local import LocalStorage
from holdfast.vault import names
from holdfast.vault.check import Check
from holdfast.vault.copy import copy
from holdfast.vault.lock import LOG_TERM, slack
from tests.vault.lock.conftest import MODES
from tests.vault_care.conftest import files

pytestmark = pytest.mark.minio
DAY = dt.timedelta(days=1)


@pytest.mark.parametrize("mode", MODES)
def test_every_object_is_locked_as_long_as_its_kind_demands(lock_bucket, mode):
    place = lock_bucket(mode, days=8)
    depot = place.depot
    before = depot.storages[0].now()
    point = depot.take(files(1))
    depot.log(100, b"log" * 1000)
    longest = 8 * DAY + slack(versions_of(depot.storages[0]).lock)
    expected = {
        "config": longest,
        "FORMAT.md": longest,
        "decoder.py": longest,
        "keys/": longest,
        "packs/": longest,
        "index/": longest,
        f"points/{point.id}": 8 * DAY,
        "logs/": LOG_TERM,
        "sessions/": None,
    }
    for info in list(depot.storages[0].list()):
        term = next(term for prefix, term in expected.items() if info.name.startswith(prefix))
        held = place.retention(info.name)
        if info.name.startswith(names.SHREDS):
            continue
        assert (held is None) == (term is None), info.name
        if term is not None:
            assert held["Mode"] == mode.upper()
            # By the store's time, not the host's; whole seconds. A commit may have extended what it needs besides.
            assert before + term - dt.timedelta(seconds=2) <= held["RetainUntilDate"] <= before + term + dt.timedelta(hours=2), info.name
    depot.require_whole()


def test_what_a_point_reuses_is_locked_anew_before_it_is_committed(lock_bucket):
    place = lock_bucket("compliance", days=2)
    depot = place.depot
    first = depot.take(files(1))
    packs = depot.names("packs/")
    before = {name: place.retention(name)["RetainUntilDate"] for name in [*packs, *depot.names("index/"), "config"]}
    # A day and a half later, as the store's time: the lock of the first point's packs would end before the second point's.
    layer = versions_of(depot.storages[0])
    true_time = layer.time
    layer.time = lambda: true_time() + 1.5 * DAY
    second = depot.take(files(1), base=first.id)
    until = place.retention(f"points/{second.id}")["RetainUntilDate"]
    for name, was in before.items():
        held = place.retention(name)["RetainUntilDate"]
        assert held >= until > was - slack(layer.lock), name
        assert held > was, name
    assert place.retention(f"points/{first.id}")["RetainUntilDate"] < until


def test_locks_that_are_long_enough_are_left(lock_bucket):
    place = lock_bucket("compliance", days=8)
    depot = place.depot
    first = depot.take(files(1))
    was = {name: place.retention(name)["RetainUntilDate"] for name in depot.names("packs/")}
    depot.take(files(1), base=first.id)
    assert {name: place.retention(name)["RetainUntilDate"] for name in was} == was


@pytest.mark.parametrize("mode", MODES)
def test_a_locked_object_is_not_removed_and_says_until_when(lock_bucket, mode):
    depot = lock_bucket(mode).depot
    point = depot.take(files(1))
    for name in (f"points/{point.id}", depot.names("packs/")[0], "config", depot.names("keys/slots/")[0]):
        with pytest.raises(ObjectLocked) as refused:
            depot.storages[0].delete(name)
        assert refused.value.details["until"] > dt.datetime.now(dt.UTC).isoformat()
    depot.require_whole()


def test_deleting_removes_versions_and_markers_for_good(lock_bucket):
    place = lock_bucket()
    storage = place.depot.storages[0]
    name = "sessions/" + "ab" * 16
    storage.put_if_absent(name, [b"first"])
    client = place.client()
    key = f"{place.prefix}/{name}"
    client.put_object(Bucket=place.bucket, Key=key, Body=b"second")
    client.delete_object(Bucket=place.bucket, Key=key)
    storage.delete(name)
    left = client.list_object_versions(Bucket=place.bucket, Prefix=key)
    client.close()
    assert not left.get("Versions")
    assert not left.get("DeleteMarkers")


def test_damage_in_a_locked_pack_is_healed_by_a_new_version(lock_bucket, tmp_path):
    """The rotten version stays where it is; the sound one beside it is found by its hash."""
    place = lock_bucket()
    depot = place.depot
    point = depot.take(files(1))
    near = LocalStorage(str(tmp_path / "near"), create=True)
    copy(depot.storages[0], near)
    name = depot.names("packs/")[0]
    rotten = bytearray(near.get(name))
    rotten[len(rotten) // 2] ^= 1
    place.prefix += "-rotten"
    place.url += "-rotten"
    client = place.client()
    client.put_object(
        Bucket=place.bucket,
        Key=f"{place.prefix}/{name}",
        Body=bytes(rotten),
        ObjectLockMode="COMPLIANCE",
        ObjectLockRetainUntilDate=dt.datetime.now(dt.UTC) + DAY,
    )
    client.close()
    far = place.storage()
    copy(near, far)
    assert far.get(name) == rotten
    depot.storages = [far, near]
    assert not Check(depot.open(), share=1).run().ok
    Check(depot.open(), share=1, heal=True).run()
    depot.storages = [place.storage()]
    assert Check(depot.open(), share=1).run().ok
    assert depot.require_whole() == [point.id]
