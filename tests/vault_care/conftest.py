"""Small vaults with known content, in memory (time and faults at will) or in folders (for processes that are killed)."""

import datetime as dt
import random
from pathlib import Path

import pytest

from holdfast.model import Entry, SystemClock
from holdfast.storage.memory import MemoryStorage
from holdfast.vault import Vault
from holdfast.vault.format import names
from holdfast.vault.keys.slots import PassphraseCost
from holdfast.vault.logs import SystemLogs
from holdfast.vault.packs import condemned

CHEAP = PassphraseCost(memory_kib=8, passes=1)
SECRET = "open sesame"


class Shifted(SystemClock):
    """The real time, plus what was added."""

    def __init__(self):
        self.added = dt.timedelta(0)

    def now(self):
        return super().now() + self.added


def files(seed, count=3, size=150_000):
    """Path → bytes; names are not all ASCII."""
    made = random.Random(seed)
    return {f"base/{seed}-{number} é": made.randbytes(size + number) for number in range(count)} | {"empty": b"", "zeros": bytes(200_000)}


class Depot:
    """``points``: id → files of every point taken. ``wrap`` goes between each storage and the vault."""

    def __init__(self, cache, storages):
        self.cache = Path(cache)
        self.clock = Shifted()
        self.storages = storages(self.clock)
        self.points = {}
        vault, self.recovery = Vault.create(self.storages, SECRET, clock=self.clock, cache=self.cache, cost=CHEAP)
        self.logs_written = {}
        assert vault

    def open(self, wrap=lambda storage: storage, secret=SECRET):
        return Vault.open([wrap(storage) for storage in self.storages], secret, clock=self.clock, cache=self.cache)

    def take(self, content, system="orders", base=None, vault=None, start="0/1", stop="0/2", **options):
        vault = vault or self.open()
        reader = vault.point(base) if base else None
        with vault.begin(system=system, kind="postgres", base=reader, **options) as writer:
            for path, data in content.items():
                writer.add(Entry(path, size=len(data)), data)
            point = writer.commit(kind="postgres", start={"lsn": start}, stop={"lsn": stop}, logs="main")
        self.points[point.id] = content
        return point

    def log(self, start, data, system="orders", branch="main", **meta):
        vault = self.open()
        with SystemLogs(vault.locations, vault.notary, vault.clock, system).writer(branch) as writer:
            writer.append(start, data, meta)
        self.logs_written.setdefault((system, branch), []).append((start, data))

    def damage(self, name, number=0, at=None):
        """Flip a bit of an object in one location."""
        storage = self.storages[number]
        data = bytearray(storage.get(name))
        data[len(data) // 2 if at is None else at] ^= 1
        storage.delete(name)
        storage.put_if_absent(name, [bytes(data)])

    def require_no_open_list(self):
        """Every list of a prune in every location has its verdict, and nothing that is dead by it is stored any more."""
        vault = self.open()
        for storage in self.storages:
            known = condemned.read(storage, vault.notary)
            assert known.orphans == []
            stored = {names.parse_pack(info.name) for info in storage.list("packs/")}
            for one in known.lists:
                assert one.dead is not None
                assert not [entry for entry in one.dead if (entry[:16], entry[16:]) in stored]

    def names(self, prefix, number=0):
        return [info.name for info in self.storages[number].list(prefix)]

    def require_whole(self, ids=None, vault=None):
        """Every point that is listed comes back byte for byte; returns their ids."""
        vault = vault or self.open()
        found = [point.id for point in vault.points()]
        for point in found if ids is None else ids:
            reader = vault.point(point)
            got = {stored.entry.path: reader.read(stored) for stored in reader.entries()}
            assert got == self.points[point]
        return found


@pytest.fixture
def depot(tmp_path):
    """Two locations in memory."""
    return Depot(tmp_path / "cache", lambda clock: [MemoryStorage(clock, "near"), MemoryStorage(clock, "far")])


@pytest.fixture
def one(tmp_path):
    """One location in memory."""
    return Depot(tmp_path / "cache", lambda clock: [MemoryStorage(clock)])
