"""A vault in a folder, a bucket on a real MinIO over it, and everything that a bucket holds."""

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from holdfast.connect.objects import Objects, Options, open_objects
from holdfast.model import RecoveryPoint, Silent, SystemClock
from holdfast.storage.local import LocalStorage
from holdfast.systems.bucket.recovery import BucketRecovery
from holdfast.systems.bucket.settings import BucketSettings
from holdfast.systems.bucket.system import BucketSystem
from holdfast.systems.contract import Restored, RestoreRequest
from holdfast.vault import Vault
from holdfast.vault.keys.slots import PassphraseCost
from tests.servers import MinioServer

CHEAP = PassphraseCost(memory_kib=8, passes=1)
SECRET = "open sesame"
NAME = "raw"


class History:
    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def points(self) -> Sequence[RecoveryPoint]:
        return self._vault.points(NAME)

    def open(self, point: str):
        return self._vault.point(point)

    def logs(self):
        raise AssertionError("buckets have no logs")


class Scene:
    """``url`` is protected; ``store`` is the bucket below it. ``options`` of the store may be changed before each use."""

    def __init__(self, folder: Path, url: str, options: Options, *, create: bool = True, **settings: Any) -> None:
        self.folder, self.url, self.options, self.more = folder, url, options, settings
        self.notes: list[str] = []
        place, clock, cache = str(folder / "vault"), SystemClock(), folder / "cache"
        if create:
            self.vault = Vault.create([LocalStorage(place, create=True)], SECRET, clock=clock, cache=cache, cost=CHEAP)[0]
        else:
            self.vault = Vault.open([LocalStorage(place)], SECRET, clock=clock, cache=cache)
        self.store = self.open(url)

    def open(self, url: str) -> Objects:
        return open_objects(url, self.options, note=self.notes.append)

    @property
    def settings(self) -> BucketSettings:
        return BucketSettings(self.url, self.open, **{"uploads": self.folder / "uploads", **self.more})

    @property
    def history(self) -> History:
        return History(self.vault)

    def system(self) -> BucketSystem:
        return BucketSystem(NAME, self.settings)

    def recovery(self) -> BucketRecovery:
        return BucketRecovery(NAME, self.settings, history=lambda: self.history)

    def backup(self, *, full: bool = False) -> RecoveryPoint:
        points = self.vault.points(NAME)
        base = self.vault.reader(points[-1]) if points and not full else None
        with self.vault.begin(system=NAME, kind="bucket", base=base) as writer:
            return self.system().capture(writer, Silent())

    def plan(self, into: str, until: Mapping[str, Any] | None = None, **options: Any):
        request = RestoreRequest(Path("/unused"), until or {"kind": "latest"}, {"address": into, **options})
        return self.recovery().plan_restore(self.history, request)

    def restore(self, into: str, until: Mapping[str, Any] | None = None, **options: Any) -> Restored:
        return self.recovery().restore(self.history, self.plan(into, until, **options), Silent())

    def verify(self, **options: Any):
        from holdfast.recovery import verify

        until = {"kind": "latest"} if "against" in options else None
        return verify(
            self.recovery(), lambda: self.history, [], progress=Silent(), clock=SystemClock(), until=until, patience=1, options=options
        )

    def close(self) -> None:
        self.store.close()
        self.vault.close()


def options_of(server: MinioServer, **more: Any) -> Options:
    credentials = {"access_key_id": server.access_key, "secret_access_key": server.secret_key}
    return Options(endpoint=server.endpoint, region=server.region, credentials=credentials, **more)


def new_bucket(server: MinioServer, **options: Any) -> str:
    return "s3://" + server.bucket(f"raw-{secrets.token_hex(5)}", **options)


def picture(store: Objects, prefix: str = "") -> dict[str, Any]:
    """Everything that belongs to an object, by key (without the prefix)."""
    found = {}
    for listed in store.list(prefix):
        data = bytearray(listed.size)
        told = store.read_into(listed.key, memoryview(data))
        tags = dict(store.tags(listed.key))
        found[listed.key.removeprefix(prefix)] = (bytes(data), dict(told.headers), dict(told.metadata), tags, listed.storage_class)
    return found


def noise(size: int) -> bytes:
    return os.urandom(size)
