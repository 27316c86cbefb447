"""Backups into several locations: one that is away, fails on the way, hangs, is behind or is another vault's."""

import threading
import time

import pytest

from holdfast.errors import Unreachable
from holdfast.model import Entry
from holdfast.storage import StorageDenied, StorageFull, StorageUnreachable
from holdfast.storage.local import LocalStorage
from holdfast.storage.memory import MemoryStorage
from holdfast.storage.wrappers.base import Wrapper
from holdfast.storage.wrappers.breaker import Breaker
from holdfast.storage.wrappers.deadline import Deadline
from holdfast.storage.wrappers.faults import Fault, Faulty
from holdfast.vault import Vault
from holdfast.vault.copy import complete, copy
from holdfast.vault.errors import TooFewLocations, VaultMixed
from tests.vault_care.conftest import Depot, files

CONTENT = files(1, 2, 3000)
OTHER = CONTENT | files(2, 2, 3000)


def lost(kind):
    """An act that raises; a location is in this state for ever."""

    def act(*_):
        raise kind("away", hint="")

    return act


def wrapped(depot, number, *faults):
    """The depot's vault with faults in one location; returns (vault, the faulty storage)."""
    made = []

    def wrap(storage):
        if storage is not depot.storages[number]:
            return storage
        made.append(Faulty(storage, *faults))
        return made[0]

    return depot.open(wrap), made[0]


def alone(depot, number):
    """The vault as one location by itself has it."""
    return Vault.open([depot.storages[number]], "open sesame", clock=depot.clock, cache=depot.cache / f"alone{number}")


def listed(depot, number):
    """Points of one location by itself, each restored."""
    return depot.require_whole(vault=alone(depot, number))


def take(depot, vault, content, base=None, **options):
    """A point and what the writer says of where it is not."""
    reader = vault.point(base) if base else None
    with vault.begin(system="orders", kind="postgres", base=reader, **options) as writer:
        for path, data in content.items():
            writer.add(Entry(path, size=len(data)), data)
        point = writer.commit(kind="postgres", start={"lsn": "0/1"}, stop={"lsn": "0/2"}, logs="main")
    depot.points[point.id] = content
    return point, dict(writer.lacking)


@pytest.mark.parametrize("kind", [StorageUnreachable, StorageDenied, StorageFull])
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("prefix", ["packs/", "index/", "points/"])
def test_a_location_that_fails_on_the_way_does_not_lose_the_backup(depot, kind, number, prefix):
    base = depot.take(CONTENT)
    vault, faulty = wrapped(depot, number, Fault("put", act=lost(kind), prefix=prefix, times=10**6))
    point, lacking = take(depot, vault, OTHER, base=base.id)
    assert faulty.faults[0].fired
    assert list(lacking) == [depot.storages[number].url]
    assert listed(depot, 1 - number) == [base.id, point.id]
    assert listed(depot, number) == [base.id]
    # What is listed in the vault as a whole is listed once, and a copy makes up for all of it.
    assert depot.require_whole() == [base.id, point.id]
    assert copy(depot.storages[1 - number], depot.storages[number]).refused == []
    assert listed(depot, number) == [base.id, point.id]


@pytest.mark.parametrize("prefix", ["packs/", "points/"])
def test_when_the_deciding_location_is_lost_the_session_goes_on_under_another_name(depot, prefix):
    """An abort that a prune put where we cannot look must not meet our commit elsewhere."""
    vault, faulty = wrapped(depot, 0, Fault("put", act=lost(StorageUnreachable), prefix=prefix, times=10**6))
    writer = vault.begin(system="orders", kind="postgres")
    first = writer.session
    with writer:
        writer.add(Entry("f", size=5), b"bytes")
        point = writer.commit(kind="postgres", start={}, stop={})
    depot.points[point.id] = {"f": b"bytes"}
    assert faulty.faults[0].fired
    assert point.id != first
    assert point.id == writer.session
    assert listed(depot, 1) == [point.id]
    # Both sessions stand in the location that is left, so that a prune there waited for the choices of the first.
    assert {name.partition(".")[0] for name in depot.names("sessions/", 1)} >= {f"sessions/{first}", f"sessions/{point.id}"}


def test_the_last_location_is_not_given_up(depot):
    def wrap(storage):
        return Faulty(storage, Fault("put", act=lost(StorageFull), prefix="packs/", times=10**6))

    with pytest.raises(StorageFull):
        depot.take(CONTENT, vault=depot.open(wrap))
    assert depot.open().points() == []


def test_a_location_that_is_away_from_the_beginning_is_told_and_left_out(depot):
    base = depot.take(CONTENT)
    vault, _ = wrapped(depot, 0, Fault("*", act=lost(StorageUnreachable), times=10**6))
    notes = []

    class Notes:
        phase = advance = lambda *_: None

        def note(self, text):
            notes.append(text)

    point, lacking = take(depot, vault, OTHER, base=base.id, copies=2, progress=Notes())
    assert list(lacking) == [depot.storages[0].url]
    assert any("takes no part" in note for note in notes)
    assert any("Only 1 of the 2 locations" in note for note in notes)
    assert point.method == "incremental"
    assert listed(depot, 1) == [base.id, point.id]


def test_without_any_location_nothing_begins(depot):
    down = []
    vault = depot.open(lambda storage: down.append(Faulty(storage)) or down[-1])
    for storage in down:
        storage.faults.append(Fault("get", act=lost(StorageUnreachable), prefix="config", times=10**6))
    with pytest.raises(TooFewLocations):
        vault.begin(system="orders", kind="postgres")


def test_a_location_that_is_behind_gets_the_packs_and_no_point(depot):
    """It was away while a point was taken: its packs must not decide what is reused, and a point without all packs must not stand there."""
    base = depot.take(CONTENT)
    vault, _ = wrapped(depot, 1, Fault("*", act=lost(StorageUnreachable), times=10**6))
    middle, _ = take(depot, vault, OTHER, base=base.id)
    last = OTHER | files(3, 1, 3000)
    point, lacking = take(depot, depot.open(), last, base=middle.id)
    assert "lacks earlier" in lacking[depot.storages[1].url]
    # Only what is new was stored, though the second location holds less.
    assert point.totals.new < sum(map(len, files(3, 1, 3000).values())) + 1000
    assert listed(depot, 1) == [base.id]
    new = set(depot.names("packs/")) - set(depot.names("packs/", 1))
    done = copy(depot.storages[0], depot.storages[1])
    assert (done.points, done.refused) == (2, [])
    assert listed(depot, 1) == [base.id, middle.id, point.id]
    # The packs of the last point were there already.
    assert 0 < len(new) < len(depot.names("packs/"))


def test_a_location_set_back_to_an_older_state_is_completed_and_brings_nothing_back(depot):
    base = depot.take(CONTENT)
    older = dict(depot.storages[1].objects)
    newer = depot.take(OTHER, base=base.id)
    depot.storages[1].objects.clear()
    depot.storages[1].objects.update(older)
    assert depot.require_whole() == [base.id, newer.id]
    point, lacking = take(depot, depot.open(), OTHER | {"x": b"more"}, base=newer.id)
    assert list(lacking) == [depot.storages[1].url]
    done = complete(depot.storages)
    assert done[depot.storages[0].url].objects == 0
    assert done[depot.storages[1].url].points == 2
    assert listed(depot, 1) == [base.id, newer.id, point.id]


def test_another_vault_is_never_mixed_in(depot, tmp_path):
    other = Depot(tmp_path / "other", lambda clock: [MemoryStorage(clock, "far")])
    vault = depot.open()
    depot.storages[1].objects.clear()
    depot.storages[1].objects.update(other.storages[0].objects)
    before = dict(depot.storages[1].objects)
    with pytest.raises(VaultMixed):
        vault.begin(system="orders", kind="postgres")
    with pytest.raises(VaultMixed):
        complete(depot.storages)
    assert depot.storages[1].objects == before


class Hanging(Wrapper):
    """From ``hang`` on no call returns until ``release``; ``timed`` is what gives it up then."""

    def __init__(self, inner):
        super().__init__(inner)
        self.hanging, self.release, self.met = threading.Event(), threading.Event(), threading.Event()
        self.timed = Deadline(self)

    def hang(self):
        # No earlier: a loaded machine may be as slow.
        self.timed._seconds = self.timed._brief = 0.3
        self.hanging.set()

    def _wait(self):
        if self.hanging.is_set():
            self.met.set()
            self.release.wait(60)
            raise StorageUnreachable("released", hint="")

    def put_if_absent(self, name, parts):
        self._wait()
        self.inner.put_if_absent(name, parts)

    def get(self, name, start=0, length=None):
        self._wait()
        return self.inner.get(name, start, length)

    def head(self, name):
        self._wait()
        return self.inner.head(name)

    def list(self, prefix="", after=""):
        self._wait()
        return self.inner.list(prefix, after)


@pytest.fixture
def hanging(depot):
    """The depot's first location, which hangs from the moment when ``hang`` is called, and the vault."""
    inner = Hanging(depot.storages[0])
    vault = depot.open(lambda storage: Breaker(inner.timed if storage is depot.storages[0] else Deadline(storage), depot.clock, first=60))
    yield inner, vault
    inner.release.set()


def test_a_store_that_hangs_is_left_out_of_a_backup(depot, hanging):
    inner, vault = hanging
    base = depot.take(CONTENT, vault=vault)
    inner.hang()
    point, lacking = take(depot, vault, OTHER, base=base.id)
    assert inner.met.is_set()
    assert "did not" in lacking["memory:near"]
    assert listed(depot, 1) == [base.id, point.id]


def test_a_restore_falls_over_from_a_store_that_hangs_and_says_which(depot, hanging):
    inner, vault = hanging
    point = depot.take(CONTENT, vault=vault)
    reader = vault.reader(point)
    stored = list(reader.entries())
    assert reader.read(stored[0]) == CONTENT[stored[0].entry.path]
    inner.hang()
    began = time.monotonic()
    assert {one.entry.path: reader.read(one) for one in stored} == CONTENT
    assert time.monotonic() - began < 120
    assert inner.met.is_set()
    [trouble] = vault.locations.troubles
    assert (trouble.url, trouble.what) == ("memory:near", "unreachable")
    assert "memory:near" in trouble.sentence


def damage_all(depot, number, change):
    for name in depot.names("packs/", number):
        data = depot.storages[number].get(name)
        depot.storages[number].delete(name)
        if (changed := change(data)) is not None:
            depot.storages[number].put_if_absent(name, [changed])


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda _: None, "missing"),
        (lambda data: data[: len(data) // 2], "damaged"),
        (lambda data: data[:700] + bytes([data[700] ^ 1]) + data[701:], "damaged"),
    ],
)
def test_a_restore_falls_over_in_the_middle_and_says_which_location_was_bad(depot, change, what):
    point = depot.take(files(1, 2, 300_000))
    vault = depot.open()
    reader = vault.reader(point)
    stored = list(reader.entries())
    damage_all(depot, 0, change)
    assert {one.entry.path: reader.read(one) for one in stored} == depot.points[point.id]
    assert {trouble.url for trouble in vault.locations.troubles} == {"memory:near"}
    assert what in {trouble.what for trouble in vault.locations.troubles}
    # When the other one is gone too, the error says so.
    damage_all(depot, 1, lambda _: None)
    with pytest.raises(Exception, match=r"no location|damaged|restored"):
        [vault.reader(point).read(one) for one in stored]


def test_what_is_large_is_read_from_the_nearest(tmp_path):
    class Remote(MemoryStorage):
        reads: list[str]

        def get(self, name, start=0, length=None):
            self.reads.append(name)
            return super().get(name, start, length)

    def storages(clock):
        remote = Remote(clock, "remote")
        remote.url = "s3://far/vault"
        remote.reads = []
        return [remote, LocalStorage(str(tmp_path / "vault"), create=True)]

    depot = Depot(tmp_path / "cache", storages)
    depot.take(CONTENT)
    depot.storages[0].reads.clear()
    depot.require_whole()
    assert not [name for name in depot.storages[0].reads if name.startswith(("packs/", "logs/"))]


def test_points_of_a_silent_location_are_still_read_elsewhere(depot):
    point = depot.take(CONTENT)
    vault, _ = wrapped(depot, 0, Fault("*", act=lost(StorageUnreachable), times=10**6))
    assert depot.require_whole(vault=vault) == [point.id]
    assert {trouble.what for trouble in vault.locations.troubles} == {"unreachable"}
    with pytest.raises(Unreachable):
        depot.open(lambda storage: Faulty(storage, Fault("*", act=lost(StorageUnreachable), times=10**6)))


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("prefix", ["sessions/", "logs/"])
def test_a_backups_own_log_goes_on_without_a_location_and_a_followers_does_not(depot, number, prefix):
    fault = Fault("put", act=lost(StorageUnreachable), prefix=prefix, times=10**6, after=0 if prefix == "logs/" else number)
    vault, _ = wrapped(depot, number, fault)
    holds_the_lease = prefix == "sessions/" and number == 0
    if prefix == "logs/" or holds_the_lease:
        with pytest.raises(StorageUnreachable), vault.logs("orders").writer("main") as writer:
            writer.append(0, b"x" * 10, {})
    with vault.logs("orders").writer("main", "backup") as writer:
        writer.append(10, b"y" * 10, {})
    assert vault.logs("orders").branches() == ["main"]
    assert (10, 20) in [(one.start, one.end) for one in alone(depot, 1 - number).logs("orders").reader("main").increments(10)]
    complete(depot.storages)
    for each in (0, 1):
        assert alone(depot, each).logs("orders").reader("main").coverage(10) == [(10, 20)]
