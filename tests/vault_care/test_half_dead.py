"""Packs that hold little of what is still needed are used no more by later backups, so that they go with the points that fill them."""

import datetime as dt
import random
from functools import partial

import pytest

from holdfast.model import Entry
from holdfast.storage.memory import MemoryStorage
from holdfast.vault import prune
from holdfast.vault.capture import writer
from holdfast.vault.capture.reuse import thin
from holdfast.vault.capture.reuse.thin import Thin
from holdfast.vault.keys.keyring import Keyring
from holdfast.vault.packs.sink import PackSink
from holdfast.vault.points.retention import Keep
from tests.vault.kit import Bytes
from tests.vault_care.conftest import CHEAP, SECRET, Depot

PACK = 160 << 10
FILE = 8 << 10


@pytest.fixture
def small_packs(monkeypatch):
    """Packs of 160 KiB, worth the trouble from 16 KiB on: what takes months with packs of 32 MiB takes days with these."""
    monkeypatch.setattr(writer, "PackSink", partial(PackSink, target=PACK))
    monkeypatch.setattr(writer, "_TREE_PACK", PACK)
    monkeypatch.setattr(thin, "WORTH", 16 << 10)


@pytest.fixture
def without_cleaning(monkeypatch):
    monkeypatch.setattr(thin, "choose", lambda found, size: [])


def read_many(handles, buffer):
    """As the folders' capture: (path, bytes) of many small files."""
    done, at = [], 0
    for path, data in handles:
        buffer[at : at + len(data)] = data
        done.append((Entry(path, size=len(data)), at, at + len(data)))
        at += len(data)
    return done


def back_up(depot, content, base=None, secret=SECRET):
    """As a folder is captured: what is unchanged is taken over by ``keep`` unless the session wants to read it, the rest is read."""
    vault = depot.open(secret=secret)
    reader = vault.point(base) if base else None
    before = depot.points.get(base, {})
    with vault.begin(system="orders", kind="files", base=reader) as session:
        bulk = session.bulk(read_many)
        lines = {stored.path: stored for stored in reader.lines()} if reader else {}
        read = taken = 0
        for path, data in sorted(content.items()):
            if before.get(path) == data and path in lines and bulk.keep(lines[path]):
                continue
            read += before.get(path) == data
            bulk.small(path, len(data), (path, data))
            taken += 1
            if not taken % 16:
                bulk.flush()  # a frame fits into a pack
        bulk.flush()
        point = session.commit(kind="files", start={}, stop={})
    depot.points[point.id] = content
    return point, read


def stored(depot):
    return sum(info.size for info in depot.storages[0].list("packs/"))


def prune_all(depot, keep):
    vault = depot.open()
    prune.run(vault, prune.make(vault, {"orders": keep}, zone=dt.UTC, grace=dt.timedelta(0)), most=1.0)


class Life:
    """Days of a folder in which each day's files die after three days, but for one in sixteen that stays for ever: the worst kind."""

    def __init__(self, cache):
        self.depot = Depot(cache, lambda clock: [MemoryStorage(clock)])
        self.random = random.Random(3)
        self.content = {}
        self.base = None
        self.written = self.fresh = self.again = 0

    def day(self, number):
        self.content = {path: data for path, data in self.content.items() if path.endswith("for ever") or int(path[:3]) > number - 3}
        new = {
            f"{number:03d} {i:02d} {'for ever' if i == 7 else 'short'}": self.random.randbytes(FILE)
            for i in self.random.sample(range(16), 16)
        }
        self.content |= new
        point, read = back_up(self.depot, self.content, self.base)
        self.base = point.id
        self.written += point.totals.new
        self.fresh += sum(len(data) for data in new.values())
        self.again += read
        prune_all(self.depot, Keep(last=3))
        return point

    @property
    def live(self):
        """Bytes of different content in all points that are kept."""
        kept = [self.depot.points[point.id] for point in self.depot.open().points()]
        return sum(len(data) for data in {data for content in kept for data in content.values()})


DAYS = 36


def live_on(tmp_path):
    life = Life(tmp_path / "cache")
    for number in range(DAYS):
        life.day(number)
    return life


def test_what_is_stored_stays_within_twice_what_is_needed(small_packs, tmp_path):
    life = live_on(tmp_path)
    assert len(life.depot.require_whole()) == 3
    assert stored(life.depot) < 2.0 * life.live
    assert life.written < 1.25 * life.fresh, "what is stored again is a quarter of what is new at the most"
    assert life.again > DAYS / 2, "nothing was ever read again, so nothing was tried"


def test_without_it_what_is_stored_grows_with_all_that_ever_was(small_packs, without_cleaning, tmp_path):
    life = live_on(tmp_path)
    assert life.again == 0
    assert stored(life.depot) > 4.0 * life.live
    assert len(life.depot.require_whole()) == 3


CHUNK = 4096
CHUNKS = 1600


@pytest.fixture
def packs_of_a_run(monkeypatch):
    """Packs of 1.25 MiB: a run of a large file is one frame of up to a mebibyte."""
    monkeypatch.setattr(writer, "PackSink", partial(PackSink, target=5 << 18))
    monkeypatch.setattr(thin, "WORTH", 64 << 10)


class Relation:
    """A file of which some chunks change each day, and the caller knows which: the others are not read."""

    def __init__(self, cache):
        self.depot = Depot(cache, lambda clock: [MemoryStorage(clock)])
        self.random = random.Random(5)
        self.data = bytearray(self.random.randbytes(CHUNK * CHUNKS))
        self.base = None
        self.secret = SECRET

    def day(self, share):
        changed = sorted(self.random.sample(range(CHUNKS // 2), int(CHUNKS // 2 * share))) if self.base else []
        for chunk in changed:
            self.data[chunk * CHUNK : (chunk + 1) * CHUNK] = self.random.randbytes(CHUNK)
        source = Bytes(bytes(self.data))
        entry = Entry("relation", size=len(source.data))
        vault = self.depot.open(secret=self.secret)
        with vault.begin(system="orders", kind="files", base=vault.point(self.base) if self.base else None, chunk_size=CHUNK) as session:
            ranges = [(chunk * CHUNK, (chunk + 1) * CHUNK) for chunk in changed]
            if ranges or not self.base or not session.reuse(entry, again=True):
                session.add(entry, source, changed=ranges if self.base else None)
            point = session.commit(kind="files", start={}, stop={})
        self.base = point.id
        self.depot.points[point.id] = {"relation": source.data}
        return {start // CHUNK for start, length in source.reads if length}, set(changed), sum(length for _, length in source.reads)


def thin_of(depot, point):
    return thin.parse(depot.open().point(point).thin)


@pytest.mark.parametrize("role", ["owner", "writer"])
def test_of_a_large_file_only_the_chunks_in_thin_packs_are_read_besides_what_changed(packs_of_a_run, tmp_path, role):
    one = Relation(tmp_path / "cache")
    if role == "writer":
        vault = one.depot.open()
        one.secret = Keyring(vault.locations, vault.notary, CHEAP).new_key("file", role="writer", now=one.depot.clock.now()).text
    one.day(0)
    extra = 0
    for _ in range(14):
        before = thin_of(one.depot, one.base)
        _, changed, read = one.day(0.3)
        again = read // CHUNK - len(changed)
        assert again >= 0
        assert before or not again
        assert again * CHUNK <= max(one_thin.used for one_thin in before) + CHUNK * CHUNKS // 20 if before else not again
        extra += again
        prune_all(one.depot, Keep(last=2))
        one.depot.require_whole()
    assert extra
    assert stored(one.depot) < 2.2 * CHUNK * CHUNKS


def test_an_unchanged_file_is_taken_over_unless_the_caller_can_read_it_again(packs_of_a_run, tmp_path):
    one = Relation(tmp_path / "cache")
    one.day(0)
    while not thin_of(one.depot, one.base):
        one.day(0.3)
    vault = one.depot.open()
    entry = Entry("relation", size=len(one.data))
    with vault.begin(system="orders", kind="files", base=vault.point(one.base), chunk_size=CHUNK) as session:
        assert not session.reuse(entry, again=True)
        assert session.reuse(entry)  # who has nothing to read it from loses nothing
        point = session.commit(kind="files", start={}, stop={})
    one.depot.points[point.id] = one.depot.points[one.base]
    one.depot.require_whole([point.id])
    assert thin_of(one.depot, point.id) == thin_of(one.depot, one.base)
    one.base = point.id
    reads, changed, _ = one.day(0)
    assert reads
    assert not changed
    one.depot.require_whole()


def test_the_thinnest_go_first_and_no_more_than_the_budget():
    def pack(number, used, whole=1000):
        return Thin(bytes([number] * 16), used, whole)

    some = [pack(1, 200), pack(2, 30), pack(3, 100), pack(4, 60)]
    assert thin.choose(some, 20 * 190) == [pack(n, 0).pack for n in (2, 4, 3)]
    assert thin.choose(some, 20 * 189) == [pack(n, 0).pack for n in (2, 4)]
    assert thin.choose(some, 0) == [pack(2, 0).pack], "one at least, or a small point would never begin"
    assert thin.choose([], 1 << 40) == []


def test_only_what_is_worth_the_trouble_is_thin():
    whole = {b"a" * 16: 8 << 20, b"b" * 16: 8 << 20, b"c" * 16: 1 << 20, b"d" * 16: 1 << 30}
    used = {b"a" * 16: (2 << 20) - 1, b"b" * 16: 2 << 20, b"c" * 16: 1, b"e" * 16: 1}
    assert [one.pack for one in thin.found(used, whole)] == [b"a" * 16]


def test_what_a_point_says_of_thin_packs_may_be_rubbish():
    for rows in (None, 7, "thin", [1], [["ab"]], [["zz", 1, 2]], [["ab" * 16, "x", 2]], {"a": 1}):
        assert thin.parse(rows) == []
    assert thin.parse([["ab" * 16, 5, 4], ["ab" * 16, -1, 4], ["cd" * 16, 1, 4]]) == [Thin(b"\xcd" * 16, 1, 4)]


def test_reading_again_has_a_budget(monkeypatch):
    monkeypatch.setattr(thin, "LEAST_READS", 100)
    one = thin.Cleaning([b"a" * 16], 0)
    assert not one.rather_read([b"b" * 16], 10)
    assert one.rather_read([b"b" * 16, b"a" * 16], 60)
    assert not one.rather_read([b"a" * 16], 60)
    assert one.rather_read([b"a" * 16], 40)
    assert not one.rather_read([b"a" * 16], 1)
