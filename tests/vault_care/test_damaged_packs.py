"""What a check found damaged in every location is relied on by no later backup, and is believed damaged no longer than it is."""

import datetime as dt
import threading

import pytest

from holdfast.errors import Damaged
from holdfast.model import Entry, Silent
from holdfast.storage.local import LocalStorage
from holdfast.storage.memory import MemoryStorage
from holdfast.storage.open import open_storage
from holdfast.storage.served.server import serve_socket
from holdfast.storage.wrappers.faults import Fault, Faulty
from holdfast.vault import prune
from holdfast.vault.capture.workers.worker import Worker
from holdfast.vault.check import Check
from holdfast.vault.copy import copy
from holdfast.vault.errors import ReusedDamaged
from holdfast.vault.format import names
from holdfast.vault.keys.keyring import Keyring
from holdfast.vault.packs import damage
from holdfast.vault.points.retention import Keep
from tests.servers.account import server_folder
from tests.vault_care.conftest import CHEAP, SECRET, Depot, files


class Told(Silent):
    """A progress that remembers its notes."""

    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def look(depot, secret=SECRET, **options):
    return Check(depot.open(secret=secret), **{"share": 1.0, **options}).run()


def packs(depot, kind, number=0):
    """Names of the packs of one kind, by their headers."""
    mark = f'"kind":"{kind}"'.encode()
    return [name for name in depot.names("packs/", number) if mark in depot.storages[number].get(name)[:4096]]


def spoil(depot, name):
    for number in range(len(depot.storages)):
        depot.damage(name, number)


def records(depot, number=0):
    return depot.names(names.DAMAGED, number)


def require_restored(depot, point):
    depot.require_whole([point.id])


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("kind", ["data", "tree"])
@pytest.mark.parametrize("places", ["one", "depot"])
def test_the_next_backup_stores_again_what_a_check_found_damaged(request, places, kind, full):
    depot = request.getfixturevalue(places)
    content = files(1) | {f"small/{i}": bytes([i]) * 500 for i in range(1, 40)}
    first = depot.take(content)
    (name,) = packs(depot, kind)
    spoil(depot, name)
    report = look(depot)
    assert report.damaged
    told = Told()
    second = depot.take(content, base=None if full else first.id, progress=told)
    require_restored(depot, second)
    if kind == "data" or not full:
        assert second.totals.avoided == 1
        assert any("1 packs were not reused" in note for note in told.notes)
    else:
        assert second.totals.avoided == 0  # nobody asked for its tree
    assert second.totals.new == (first.totals.new if kind == "data" else 0)
    if kind == "data":
        require_restored(depot, first)  # its chunks are found in the new pack
    assert depot.take(content, base=second.id).totals.new == 0


def test_what_another_location_holds_sound_is_not_recorded_and_is_reused(depot):
    first = depot.take(files(1))
    (name,) = packs(depot, "data")
    depot.damage(name)
    assert look(depot).damaged
    assert records(depot, 0) == records(depot, 1) == []
    assert look(depot, only=depot.storages[0].url).damaged
    assert records(depot, 0) == records(depot, 1) == []
    second = depot.take(files(1), base=first.id)
    assert second.totals.new == second.totals.avoided == 0
    require_restored(depot, second)


def test_each_location_that_holds_the_pack_gets_the_record_and_a_check_of_structure_tells_of_it(depot):
    depot.take(files(1))
    (name,) = packs(depot, "data")
    spoil(depot, name)
    look(depot, only=depot.storages[1].url)
    assert records(depot, 0) == records(depot, 1) == [f"damaged/{name.split('/')[-1]}"]
    again = look(depot, share=0)
    assert {(one.location, one.object) for one in again.found if one.severity == "damage"} == {
        (storage.url, name) for storage in depot.storages
    }
    assert look(depot, share=0).damaged


def test_the_record_goes_when_a_sound_copy_appeared(depot):
    first = depot.take(files(1))
    (name,) = packs(depot, "data")
    sound = depot.storages[0].get(name)
    spoil(depot, name)
    look(depot, heal=True)
    assert records(depot, 0)
    assert records(depot, 1)
    depot.storages[1].delete(name)
    depot.storages[1].put_if_absent(name, [sound])
    healed = look(depot, share=0, heal=True)
    assert healed.ok
    assert records(depot, 0) == records(depot, 1) == []
    second = depot.take(files(1), base=first.id)
    assert second.totals.new == second.totals.avoided == 0


def test_a_writers_key_records_and_a_readers_says_that_it_cannot(one):
    keyring = Keyring(one.open().locations, one.open().notary, CHEAP)
    now = one.clock.now()
    writer = keyring.new_key("file", role="writer", now=now).text
    reader = keyring.new_key("file", role="reader", now=now).text
    one.take(files(1))
    (name,) = packs(one, "data")
    spoil(one, name)
    report = look(one, secret=reader)
    assert [found.object for found in report.found if found.code == "not-recorded"] == [name]
    assert records(one) == []
    look(one, secret=writer)
    assert len(records(one)) == 1
    second = one.take(files(1))
    assert second.totals.avoided == 1
    require_restored(one, second)


def test_what_nobody_signed_is_not_believed_makes_way_and_is_removed(one):
    first = one.take(files(1))
    (name,) = packs(one, "data")
    (tree,) = packs(one, "tree")
    planted = [f"damaged/{pack.split('/')[-1]}" for pack in (name, tree)]
    for record in planted:
        one.storages[0].put_if_absent(record, [b"damaged, believe me"])
    report = look(one)
    assert report.ok
    assert sorted(found.object for found in report.found if found.code == "record-not-believed") == sorted(planted)
    assert one.take(files(1), base=first.id).totals.avoided == 0
    spoil(one, name)
    assert look(one).damaged
    assert one.take(files(1), base=first.id).totals.avoided == 1
    vault = one.open()
    prune.run(vault, prune.make(vault, {"orders": Keep(last=10)}, zone=dt.UTC, grace=dt.timedelta(0)))
    assert records(one) == planted[:1]


def test_a_signed_lie_is_found_out_by_the_next_check(one):
    """A writer's key can make a backup store again what is sound: it costs space until a check has looked."""
    first = one.take(files(1))
    (name,) = packs(one, "data")
    vault = one.open()
    for found in (damage.BYTES, damage.CONTENT):
        damage.put(one.storages[0], vault.notary, b"".join(names.parse_pack(name)), found, one.clock.now())
        assert look(one, share=0).ok
        assert records(one) == []
    assert one.take(files(1), base=first.id).totals.avoided == 0


def test_a_prune_removes_records_of_packs_that_are_gone(depot):
    depot.take(files(1))
    (name,) = packs(depot, "data")
    spoil(depot, name)
    look(depot)
    depot.take(files(2))
    depot.clock.added = dt.timedelta(days=2)
    for _ in range(2):
        vault = depot.open()
        prune.run(vault, prune.make(vault, {"orders": Keep(last=1)}, zone=dt.UTC, grace=dt.timedelta(0)), most=1.0)
    assert name not in depot.names("packs/")
    assert records(depot, 0) == records(depot, 1) == []
    assert look(depot).ok


def test_what_is_found_damaged_while_a_backup_runs_is_not_committed(one):
    first = one.take(files(1))
    (name,) = packs(one, "data")
    vault = one.open()
    with vault.begin(system="orders", kind="postgres", base=vault.point(first.id)) as writer:
        for path, data in files(1).items():
            writer.add(Entry(path, size=len(data)), data)
        writer.flush()
        spoil(one, name)
        look(one)
        with pytest.raises(ReusedDamaged):
            writer.commit(kind="postgres", start={}, stop={})
    second = one.take(files(1), base=first.id)
    require_restored(one, second)


def wrongly_written(depot, content, monkeypatch):
    """A point whose pack holds, faithfully named, signed and sealed, other bytes than were hashed: memory failed in between."""
    store = Worker.store

    def failing(self, missing):
        self.buffer[missing[0][1]] ^= 1
        store(self, missing)

    with monkeypatch.context() as patch:
        patch.setattr(Worker, "store", failing)
        return depot.take(content)


def test_wrong_content_under_a_right_name_is_known_to_writers_and_to_copies(one, tmp_path, monkeypatch):
    keyring = Keyring(one.open().locations, one.open().notary, CHEAP)
    writer = keyring.new_key("file", role="writer", now=one.clock.now()).text
    content = {"a": files(1)[next(iter(files(1)))]}
    wrongly_written(one, content, monkeypatch)
    assert look(one, secret=writer).ok  # it cannot open the pack
    assert look(one).damaged
    (record,) = records(one)
    look(one, secret=writer)
    assert records(one) == [record]
    far = LocalStorage(str(tmp_path / "far"), create=True)
    copy(one.storages, far)
    assert [info.name for info in far.list(names.DAMAGED)] == [record]
    second = one.take(content)
    assert second.totals.avoided == 1
    require_restored(one, second)


def test_wrong_bytes_stay_where_they_are_and_so_does_their_record(depot):
    depot.take(files(1))
    (name,) = packs(depot, "data")
    depot.storages[1].delete(name)
    depot.damage(name)
    look(depot)
    assert len(records(depot, 0)) == 1
    assert records(depot, 1) == []  # nothing lies there that could be relied on
    copy([depot.storages[0]], depot.storages[1])
    assert records(depot, 1) == []


def test_an_append_only_location_takes_the_record_and_its_owner_takes_it_back(tmp_path):
    folder = server_folder("damaged")
    path, stop, ready = folder / "socket", threading.Event(), threading.Event()
    local = LocalStorage(str(folder / "vault"), create=True)
    thread = threading.Thread(target=serve_socket, args=(local, path, 0o600), kwargs={"ready": ready.set, "stop": stop})
    thread.start()
    assert ready.wait(30)
    try:
        served = open_storage(f"unix://{path}")
        depot = Depot(tmp_path / "cache", lambda _: [served])
        first = depot.take(files(1))
        (name,) = packs(depot, "data")
        file = folder / "vault" / name
        sound = file.read_bytes()
        file.chmod(0o600)
        file.write_bytes(bytes([sound[0] ^ 1]) + sound[1:])
        look(depot)
        assert len(records(depot)) == 1
        second = depot.take(files(1), base=first.id)
        assert second.totals.avoided == 1
        require_restored(depot, second)
        file.write_bytes(sound)
        told = look(depot)
        assert told.ok
        assert [one.code for one in told.found] == ["record-stays"]
        depot.storages = [local]
        assert look(depot).found == []
        assert records(depot) == []
        served.close()
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("kind", ["data", "tree"])
def test_who_meets_the_damage_is_told_of_the_check_that_finds_it(one, kind):
    """A check of structure reads no pack: it would call the vault whole."""
    point = one.take(files(1))
    (name,) = packs(one, kind)
    spoil(one, name)
    reader = one.open().point(point.id)
    with pytest.raises(Damaged) as met:
        [reader.read(stored) for stored in reader.entries()]
    assert "vault check --read all" in met.value.hint


class Crash(BaseException):
    """Nothing catches it, as nothing catches a kill."""


@pytest.mark.parametrize("healed", [False, True])
def test_a_check_that_is_stopped_at_any_change_is_made_good_by_the_next_one(tmp_path, healed):
    """While it writes records, and while it takes them back since sound copies appeared."""
    for after in range(50):
        depot = Depot(tmp_path / str(after), lambda clock: [MemoryStorage(clock, "near"), MemoryStorage(clock, "far")])
        first = depot.take(files(1, 1, 5000))
        names_of = depot.names("packs/")
        sound = {name: depot.storages[0].get(name) for name in names_of}
        for name in names_of:
            spoil(depot, name)
        if healed:
            look(depot)
            for name, data in sound.items():
                for storage in depot.storages:
                    storage.delete(name)
                    storage.put_if_absent(name, [data])
        left = [after]

        def crash(call, name, left=left):
            if call in {"put", "delete"}:
                left[0] -= 1
                if left[0] < 0:
                    raise Crash

        wrapped = depot.open(lambda storage, crash=crash: Faulty(storage, Fault("*", act=crash, times=10**9)))
        try:
            Check(wrapped, share=1.0).run()
        except Crash:
            pass
        else:
            assert after == 2 * len(names_of)
            break
        depot.require_whole([depot.take(files(3, 1, 5000), base=first.id).id] if healed else [])
        assert look(depot).ok == healed
        assert len(records(depot, 0)) == len(records(depot, 1)) == (0 if healed else len(names_of))
        require_restored(depot, depot.take(files(1, 1, 5000), base=first.id))
    else:
        raise AssertionError("the check never came to its end")
