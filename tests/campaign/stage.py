"""One vault in small folders (or prefixes of a bucket), its ledger, and the ways into it."""

import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from holdfast.model import SystemClock
from holdfast.storage.contract import Storage
from holdfast.storage.local import LocalStorage
from holdfast.storage.posix import FileSystem
from holdfast.vault import Vault
from holdfast.vault.keys.slots import PassphraseCost
from tests.campaign.ledger import Ledger

CHEAP = PassphraseCost(memory_kib=8, passes=1)
SECRET = "open sesame"
BOTH = ("a", "b")
"""The vault's locations; "c" is where it is copied to."""
CLOCK = SystemClock()
SCOPES = {"pii": "the key of people's data"}
SCOPED = {"people": "pii"}
"""A system that has a key of its own."""

Wrap = Callable[[Storage], Storage]
Files = Callable[[str], FileSystem | None]


def plain(storage: Storage) -> Storage:
    return storage


def copy_all(source: Path, target: Path) -> None:
    """With times and hard links; into a folder that is there or not."""
    target.mkdir(exist_ok=True)
    subprocess.run(["cp", "-a", f"{source}/.", target], check=True)


class Stage:
    """``folder`` holds the locations ``a b c``, ``cache`` and the ledger. ``wrap`` goes round each storage, ``files`` below a folder.

    ``bucket``: the locations are prefixes of it instead (``{"name", "endpoint", "key", "secret", "prefix"}``).
    """

    def __init__(self, folder: Path, *, wrap: Wrap = plain, files: Files = lambda _: None, bucket: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.wrap = wrap
        self.files = files
        self.bucket = bucket
        self.ledger = Ledger(folder / "ledger")

    def storage(self, name: str) -> Storage:
        if self.bucket is None:
            return self.wrap(LocalStorage(str(self.folder / name), create=True, files=self.files(str(self.folder / name))))
        from holdfast.storage.objects import open_objects
        from holdfast.storage.wrappers.retry import Retrying

        options = {
            "endpoint": self.bucket["endpoint"],
            "region": "us-east-1",
            "credentials": {"access_key_id": self.bucket["key"], "secret_access_key": self.bucket["secret"]},
        }
        made = open_objects("s3", self.bucket["name"], f"{self.bucket['prefix']}/{name}", options)
        return self.wrap(Retrying(made, CLOCK, patience=20))

    def open(self, names: Sequence[str] = BOTH, *, secret: str = SECRET, cache: str = "cache") -> Vault:
        storages = [self.storage(name) for name in names]
        scopes = SCOPES if self.ledger.lines("scope") else {}
        return Vault.open(storages, secret, clock=CLOCK, cache=self.folder / cache, scopes=scopes, systems=SCOPED)

    def create(self) -> Vault:
        vault, recovery = Vault.create([self.storage(name) for name in BOTH], SECRET, clock=CLOCK, cache=self.folder / "cache", cost=CHEAP)
        self.ledger.say("key", secret=recovery, state="there")
        return vault

    def said_committed(self, point: str, lacking: Iterable[str]) -> None:
        """Into the ledger; ``lacking``: addresses of the locations that did not get the point."""
        where = [name for name in BOTH if not any(url.endswith(f"/{name}") for url in lacking)]
        self.ledger.say("committed", id=point, where=where)

    def plainly(self) -> "Stage":
        """The same place with nothing between."""
        return Stage(self.folder, bucket=self.bucket)

    def clone(self, folder: Path) -> "Stage":
        """A copy to hurt, with the times that the stores put on their objects."""
        copy_all(self.folder, folder)
        return Stage(folder, bucket=self.bucket)

    def settle(self) -> None:
        """A bucket tells its time in whole seconds: what was stored in this one is not older than now until the next."""
        if self.bucket is not None:
            time.sleep(1.05)

    def age(self, hours: float) -> None:
        """Time passes for the stores: every object is that much older."""
        shift = hours * 3600
        for name in "abc":
            for path in (self.folder / name).rglob("*"):
                if path.is_file():
                    found = path.stat()
                    os.utime(path, (found.st_atime - shift, found.st_mtime - shift))

    def facts(self) -> dict[str, Any]:
        return {"folder": str(self.folder), "bucket": dict(self.bucket) if self.bucket else None}

    @classmethod
    def of(cls, facts: Mapping[str, Any], **options: Any) -> "Stage":
        return cls(Path(facts["folder"]), bucket=facts["bucket"], **options)


def wait_until_older(seconds: float = 0.01) -> None:
    """Ids of sessions begin with the time in ms: two of one stage must differ in order."""
    time.sleep(seconds)
