"""Bad days of a location on real stores: a MinIO that stops and comes back, an account that is disabled, a disk that fills up."""

import os
import subprocess
import time

import pytest

from holdfast.model import Entry
from holdfast.storage.local import LocalStorage
from holdfast.storage.open import impatient, open_storage
from holdfast.vault import Vault
from holdfast.vault.check import Check
from holdfast.vault.copy import complete
from holdfast.vault.status import status
from tests.servers import MinioServer, need
from tests.servers.minio_users import make_user, set_enabled
from tests.vault_care.conftest import SECRET, Depot, files

CONTENT = files(1, 2, 3000)


@pytest.fixture(scope="module")
def own_minio():
    """One that may be stopped."""
    with need():
        server = MinioServer.create()
    with server:
        yield server


class Stepping:
    """A source whose second half is read only after ``step`` was called: so that something happens in mid-backup."""

    def __init__(self, data, step):
        self.data, self.step, self.done = data, step, False

    def read_into(self, offset, buffer):
        if offset and not self.done:
            self.done = True
            self.step()
        piece = self.data[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self):
        pass


def take(depot, vault, content, large, step, base=None):
    """A point of some small files and one of many packs, in the middle of which ``step`` happens."""
    data = os.urandom(large)
    with vault.begin(system="orders", kind="postgres", base=vault.point(base) if base else None, workers=1) as writer:
        for path, small in content.items():
            writer.add(Entry(path, size=len(small)), small)
        writer.add(Entry("large", size=large), Stepping(data, step))
        point = writer.commit(kind="postgres", start={"lsn": "0/1"}, stop={"lsn": "0/2"}, logs="main")
    depot.points[point.id] = content | {"large": data}
    return point, dict(writer.lacking)


def opened(depot, storages):
    return Vault.open(storages, SECRET, clock=depot.clock, cache=depot.cache)


@pytest.fixture
def beside_s3(own_minio, tmp_path):
    """A folder and a bucket; ``s3(user)`` opens the bucket as an account."""
    bucket = own_minio.bucket()
    user = make_user(own_minio)

    def s3(clock, credentials=user):
        options = {"endpoint": own_minio.endpoint, "region": own_minio.region, "credentials": credentials}
        return open_storage(f"s3://{bucket}/vault", options, clock=clock, one_of_several=True)

    depot = Depot(
        tmp_path / "cache", lambda clock: [impatient(LocalStorage(str(tmp_path / "near"), create=True), clock, retry=False), s3(clock)]
    )
    depot.s3, depot.user = s3, user
    return depot


@pytest.mark.minio
def test_a_store_that_is_down_and_comes_back(own_minio, beside_s3, monkeypatch):
    """Backups go on, restores read from the other; when it is back one copy makes it whole."""
    depot = beside_s3
    base = depot.take(CONTENT)
    own_minio.stop()
    try:
        with monkeypatch.context() as patch:
            patch.setattr("holdfast.storage.open.LITTLE", 1.0)
            storages = [depot.storages[0], depot.s3(depot.clock)]
        vault = opened(depot, storages)
        began = time.monotonic()
        with vault.begin(system="orders", kind="postgres", base=vault.point(base.id), copies=2) as writer:
            writer.add(Entry("new", size=5), b"later")
            point = writer.commit(kind="postgres", start={}, stop={}, logs="main")
        depot.points[point.id] = {"new": b"later"}
        assert list(writer.lacking) == [storages[1].url]
        assert depot.require_whole(vault=vault) == [base.id, point.id]
        found = {one.url: one.behind for one in status(vault).locations}
        assert found[storages[1].url].unknown
        assert time.monotonic() - began < 150
    finally:
        own_minio.start()
    storages = [depot.storages[0], depot.s3(depot.clock)]
    assert status(opened(depot, storages)).locations[1].behind.points == 1
    assert complete(storages)[storages[1].url].points == 1
    assert depot.require_whole(vault=opened(depot, storages[1:])) == [base.id, point.id]


@pytest.mark.minio
def test_credentials_revoked_in_mid_backup(own_minio, beside_s3):
    """The account is disabled while packs are on their way: the point is whole in the other location, and it is said why not there."""
    depot = beside_s3
    base = depot.take(CONTENT)
    point, lacking = take(
        depot, opened(depot, depot.storages), CONTENT, 60 << 20, lambda: set_enabled(own_minio, depot.user, enabled=False), base=base.id
    )
    [why] = lacking.values()
    assert "refused" in why
    assert depot.require_whole(vault=opened(depot, depot.storages[:1])) == [base.id, point.id]
    set_enabled(own_minio, depot.user, enabled=True)
    again = [depot.storages[0], depot.s3(depot.clock)]
    assert complete(again)[again[1].url].points == 1
    assert depot.require_whole(vault=opened(depot, again[1:])) == [base.id, point.id]


@pytest.mark.minio
def test_a_store_stopped_in_mid_restore(own_minio, beside_s3):
    """The only location with sound packs left is asked last and serves; then the bad ones are named."""
    depot = beside_s3
    point, _ = take(depot, opened(depot, depot.storages), CONTENT, 40 << 20, lambda: None)
    # The bucket first in the plan, but the folder is nearer and is read first; half of its packs are gone.
    storages = [depot.s3(depot.clock), depot.storages[0]]
    packs = depot.names("packs/")
    held = {name: depot.storages[0].get(name) for name in packs[::2]}
    for name in held:
        depot.storages[0].delete(name)
    vault = opened(depot, storages)
    assert depot.require_whole(vault=vault) == [point.id]
    assert [(trouble.url, trouble.what) for trouble in vault.locations.troubles] == [(depot.storages[0].url, "missing")]
    # Whole again, and the bucket stops: the folder alone serves.
    for name, data in held.items():
        depot.storages[0].put_if_absent(name, [data])
    reader = vault.reader(point)
    stored = list(reader.entries())
    own_minio.stop()
    try:
        assert {one.entry.path: reader.read(one) for one in stored} == depot.points[point.id]
    finally:
        own_minio.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root; test_backup_and_restore fills stores without it")
def test_one_of_two_disks_fills_up_in_mid_backup(tmp_path):
    disk = tmp_path / "small"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m,mode=700", "tmpfs", str(disk)], check=True)
    try:
        depot = Depot(
            tmp_path / "cache",
            lambda _: [LocalStorage(str(disk / "vault"), create=True), LocalStorage(str(tmp_path / "large"), create=True)],
        )
        base = depot.take(CONTENT)
        point, lacking = take(depot, depot.open(), CONTENT, 60 << 20, lambda: None, base=base.id)
        assert list(lacking) == [depot.storages[0].url]
        assert "No room left" in lacking[depot.storages[0].url]
        assert depot.require_whole(vault=opened(depot, depot.storages[1:])) == [base.id, point.id]
        # The full one still restores what it lists, and a check finds nothing wrong in it.
        assert depot.require_whole(vault=opened(depot, depot.storages[:1])) == [base.id]
        assert Check(opened(depot, depot.storages[:1]), share=1).run().ok
        assert "No room left" in complete(depot.storages)[depot.storages[0].url].message
        subprocess.run(["mount", "-o", "remount,size=300m", str(disk)], check=True)
        assert complete(depot.storages)[depot.storages[0].url].refused == []
        assert depot.require_whole(vault=opened(depot, depot.storages[:1])) == [base.id, point.id]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
