"""Between a put that finds its name taken and the look at what stands there, whoever put it may take it away."""

import contextlib

import pytest

from holdfast.storage.contract import ObjectExists, ObjectMissing, StorageUnreachable
from holdfast.storage.memory import MemoryStorage
from holdfast.storage.wrappers.base import Wrapper
from holdfast.storage.wrappers.retry import Retrying
from holdfast.vault import Vault
from holdfast.vault.errors import ObjectDamaged, VaultExists
from holdfast.vault.format import names
from holdfast.vault.locations import put_same
from holdfast.vault.logs import SystemLogs
from tests.vault.kit import CHEAP, CLOCK, SECRET, capture, create, restore


class TakenAway(Wrapper):
    """What stands below ``prefix`` goes before it is read, the first ``times`` times."""

    def __init__(self, inner, prefix, times=1):
        super().__init__(inner)
        self.prefix, self.times = prefix, times

    def get(self, name, start=0, length=None):
        if self.times and name.startswith(self.prefix):
            self.times -= 1
            self.inner.delete(name)
        return self.inner.get(name, start, length)


def test_what_was_taken_away_is_put():
    storage = TakenAway(MemoryStorage(), "a")
    storage.inner.put_if_absent("a", [b"other"])
    put_same(storage, "a", [b"mi", b"ne"])
    assert storage.inner.get("a") == b"mine"
    with pytest.raises(ObjectDamaged):
        put_same(storage, "a", [b"not this"])


def test_an_increment_that_was_doubled_is_stored_again(tmp_path):
    store = MemoryStorage()
    vault = create(tmp_path, store)

    def logs(storage):
        opened = Vault.open([storage], SECRET, clock=CLOCK, cache=tmp_path / "cache")
        return SystemLogs(opened.locations, opened.notary, CLOCK, "s")

    with logs(store).writer("main") as writer:
        writer.append(0, b"first", {})
    # Of a follower that slept: it does not know yet what stands there.
    slow = TakenAway(store, names.LOGS, 0)
    with logs(slow).writer("main") as writer:
        slow.times = 1
        writer.append(0, b"first and second", {})
    with logs(slow).writer("main") as writer:
        slow.times = 1
        writer._store(5, memoryview(b" and second"), {})
    assert vault.points() == []
    assert b"".join(bytes(data) for _, data in logs(store).reader("main").stream(0)) == b"first and second"


class Hollow(Wrapper):
    """A store that holds every increment's name and has nothing under it."""

    def put_if_absent(self, name, parts):
        if name.startswith(names.LOGS) and not name.endswith((".lease", ".marker")) and self.hollow:
            raise ObjectExists(name)
        self.inner.put_if_absent(name, parts)

    hollow = False


@pytest.mark.timeout(60)
def test_a_store_that_holds_a_name_and_nothing_under_it_is_not_asked_for_ever(tmp_path):
    store = Hollow(MemoryStorage())
    vault = create(tmp_path, store)
    with SystemLogs(vault.locations, vault.notary, CLOCK, "s").writer("main") as writer:
        store.hollow = True
        with pytest.raises(ObjectMissing):
            writer.append(0, b"first", {})
        store.hollow = False
        writer.append(0, b"first", {})


def test_of_a_put_whose_answer_was_lost_and_whose_object_went_the_name_is_told_as_taken():
    class Lost(Wrapper):
        calls = 0

        def put_if_absent(self, name, parts):
            self.calls += 1
            if self.calls == 1:
                raise StorageUnreachable("no answer", hint="")
            raise ObjectExists(name)

    with pytest.raises(ObjectExists):
        Retrying(Lost(MemoryStorage()), CLOCK, patience=30.0).put_if_absent("a", [b"mine"])


class Beside(Wrapper):
    """Somebody else's init goes through before the first put below ``prefix``."""

    def __init__(self, inner, prefix, act):
        super().__init__(inner)
        self.prefix, self.act = prefix, act

    def put_if_absent(self, name, parts):
        if self.act is not None and name.startswith(self.prefix):
            act, self.act = self.act, None
            act()
        self.inner.put_if_absent(name, parts)


@pytest.mark.parametrize("prefix", [names.WRITERS, names.EPOCHS, names.SLOTS, names.RINGS, names.CONFIG])
def test_of_two_inits_at_once_one_makes_the_vault_and_the_other_is_told(tmp_path, prefix):
    near, far = MemoryStorage(name="near"), MemoryStorage(name="far")
    made = []

    def other():
        try:
            made.append(Vault.create([near, far], SECRET, clock=CLOCK, cache=tmp_path / "a", cost=CHEAP))
        except VaultExists:
            return

    wrapped = [Beside(near, prefix, other), far]
    with contextlib.suppress(VaultExists):
        made.append(Vault.create(wrapped, SECRET, clock=CLOCK, cache=tmp_path / "b", cost=CHEAP))
    assert len(made) == 1
    vault, recovery = made[0]
    opened = Vault.open([near, far], recovery, clock=CLOCK, cache=tmp_path / "c")
    assert opened.id == vault.id
    point = capture(opened, {"a": b"content"})
    assert restore(opened.point(point.id)) == {"a": b"content"}
