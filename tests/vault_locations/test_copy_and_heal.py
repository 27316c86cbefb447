"""Copies and heals: out of several sources, byte for byte, resumable; what was removed on purpose stays removed."""

import datetime as dt

import pytest

from holdfast.model import Entry
from holdfast.storage import StorageFull, StorageUnreachable
from holdfast.storage.memory import MemoryStorage
from holdfast.storage.wrappers.faults import Fault, Faulty
from holdfast.vault import prune
from holdfast.vault.check import Check
from holdfast.vault.copy import ask, behind, complete, copy
from holdfast.vault.errors import ObjectDamaged, VaultMixed, WrongKey
from holdfast.vault.keys.keyring import Keyring
from holdfast.vault.logs import body
from holdfast.vault.points.retention import Keep
from holdfast.vault.status import status
from tests.vault_care.conftest import CHEAP, Depot, files
from tests.vault_locations.test_backup_and_restore import alone, listed, lost, wrapped

CONTENT = files(1, 2, 3000)
OTHER = CONTENT | files(2, 2, 3000)


def pruned(depot, vault=None):
    vault = vault or depot.open()
    return prune.run(vault, prune.make(vault, {"orders": Keep(last=1)}, zone=dt.UTC, grace=dt.timedelta(0)), most=1)


def setting_back(depot, number):
    """Remembers a location's state; the returned function restores it, as a restored disk image would."""
    older = dict(depot.storages[number].objects)

    def back():
        depot.storages[number].objects.clear()
        depot.storages[number].objects.update(older)

    return back


# ------------------------------------------------------------ lost, added, rebuilt


def test_a_location_that_was_lost_is_rebuilt_out_of_what_the_others_hold_together(depot):
    """Neither of the two others is whole: each lacks a pack that the other has."""
    depot.take(CONTENT)
    depot.log(0, b"log" * 100)
    third = MemoryStorage(depot.clock, "third")
    assert copy(depot.storages, third).refused == []
    first, second, *_ = depot.names("packs/")
    depot.storages[0].delete(first)
    depot.damage(second, 1)
    rebuilt = MemoryStorage(depot.clock, "rebuilt")
    done = copy(depot.storages, rebuilt)
    assert (done.refused, done.points) == ([], 1)
    assert {name: data for name, (data, _) in rebuilt.objects.items()} == {name: data for name, (data, _) in third.objects.items()}
    depot.storages = [rebuilt]
    depot.require_whole()
    assert Check(depot.open(), share=1).run().ok


def test_a_rebuilt_location_keeps_the_signed_times_of_its_points(depot):
    """All its objects are of one day; retention judges by the time at which a point was committed."""
    points = []
    for day in range(4):
        depot.clock.added = dt.timedelta(days=day)
        points.append(depot.take(files(day, 1, 500)))
    depot.clock.added = dt.timedelta(days=5)
    rebuilt = MemoryStorage(depot.clock, "rebuilt")
    copy(depot.storages, rebuilt)
    depot.storages = [rebuilt]
    vault = depot.open()
    assert [point.committed_at for point in vault.points()] == [point.committed_at for point in points]
    plan = prune.make(vault, {"orders": Keep(daily=3)}, zone=dt.UTC, grace=dt.timedelta(0))
    assert plan.drop == (points[0].id,)
    assert len(plan.decisions["orders"]) == 4


def test_sources_that_fall_silent_are_told_and_the_others_serve(depot):
    depot.take(CONTENT)
    silent = Faulty(depot.storages[0], Fault("get", act=lost(StorageUnreachable), prefix="packs/", times=10**6))
    target = MemoryStorage(depot.clock, "target")
    done = copy([silent, depot.storages[1]], target)
    assert (list(done.silent), done.refused) == (["memory:near"], [])
    depot.storages = [target]
    depot.require_whole()
    with pytest.raises(StorageUnreachable):
        copy([Faulty(target, Fault("list", act=lost(StorageUnreachable), prefix="packs/", times=10**6))], MemoryStorage())


def test_what_a_tier_keeps_elsewhere_is_not_copied(depot):
    kept = depot.take(CONTENT)
    other = depot.take(OTHER, system="events")
    depot.log(0, b"orders" * 10)
    depot.log(0, b"events" * 10, system="events")
    target = MemoryStorage(depot.clock, "target")
    copy(depot.storages, target, without=depot.open().tags("events"))
    depot.storages = [target]
    assert depot.require_whole() == [kept.id]
    assert other.id not in str(target.objects.keys())
    assert depot.open().logs("orders").branches() == ["main"]
    assert depot.open().logs("events").branches() == []


def test_a_location_with_a_damaged_configuration_is_not_taken_for_ours(depot, tmp_path):
    depot.take(CONTENT)
    depot.damage("config", 1)
    with pytest.raises(ObjectDamaged):
        copy(depot.storages[0], depot.storages[1])
    other = Depot(tmp_path / "other", lambda clock: [MemoryStorage(clock, "other")])
    other.take(OTHER)
    other.storages[0].delete("config")
    with pytest.raises(VaultMixed):
        copy(depot.storages[0], other.storages[0])


def test_a_log_is_completed_without_what_a_compacted_one_doubles(depot):
    depot.take(CONTENT)
    for at in range(0, 90, 30):
        depot.log(at, bytes([at]) * 30)
    name = next(iter(depot.names("logs/")))
    folder = name.rsplit("/", 1)[0]
    vault = depot.open()
    data = b"".join(bytes([at]) * 30 for at in range(0, 90, 30))
    joined = f"{folder}/{0:016x}-{90:016x}"
    sealed = body.seal(vault.notary, joined, system="orders", branch="main", data=data, meta={}, at=vault.now())
    depot.storages[0].put_if_absent(joined, [sealed])
    target = MemoryStorage(depot.clock, "target")
    copy(depot.storages[0], target)
    assert [name for name in target.objects if name.startswith("logs/")] == [joined]
    depot.storages = [target]
    assert b"".join(bytes(piece) for _, piece in depot.open().logs("orders").reader("main").stream(0)) == data
    # And a location that has the small ones needs the large one no more.
    assert behind([ask(target), ask(depot.storages[0])], []) == behind([ask(target), ask(target)], [])


# ------------------------------------------------------------ removed on purpose


def test_a_removed_key_does_not_come_back(depot):
    vault = depot.open()
    keys = Keyring(vault.locations, vault.notary, CHEAP)
    slot = keys.add("second", label="second", now=depot.clock.now())
    back = setting_back(depot, 1)
    keys.remove("second")
    assert depot.names("keys/slots/", 0) == depot.names("keys/slots/", 1)
    back()
    done = complete(depot.storages)
    assert f"keys/slots/{slot.id}" not in depot.names("keys/slots/", 0)
    assert any(slot.id in sentence for sentence in done["memory:near"].left)
    Check(depot.open(), heal=True).run()
    assert f"keys/slots/{slot.id}" not in depot.names("keys/slots/", 0)
    with pytest.raises(WrongKey):
        depot.open(secret="second")
    rebuilt = MemoryStorage(depot.clock, "rebuilt")
    copy(depot.storages, rebuilt)
    assert f"keys/slots/{slot.id}" not in rebuilt.objects
    depot.storages = [rebuilt]
    depot.open()


@pytest.mark.parametrize("number", [0, 1])
def test_what_a_prune_removed_does_not_come_back_from_an_older_copy(depot, number):
    depot.take(CONTENT)
    kept = depot.take(files(5, 2, 3000))
    back = setting_back(depot, number)
    pruned(depot)
    left = set(depot.names("packs/", 1 - number))
    back()
    other = depot.storages[1 - number]
    before = set(other.objects)
    done = complete(depot.storages)
    assert set(depot.names("packs/", 1 - number)) == left
    assert {name for name in set(other.objects) - before if not name.startswith("index/")} == set()
    assert done[other.url].left
    report = Check(depot.open(), share=1, heal=True).run()
    assert set(depot.names("packs/", 1 - number)) == left, report.found
    rebuilt = MemoryStorage(depot.clock, "rebuilt")
    copy(depot.storages, rebuilt)
    assert {name for name in rebuilt.objects if name.startswith("packs/")} == left
    depot.storages = [rebuilt]
    assert depot.require_whole() == [kept.id]


def test_a_pack_that_a_prune_is_deleting_is_not_brought_back(depot):
    """The prune stopped between its verdict and the deletion; what it condemned may be gone the next moment."""
    old = depot.take(CONTENT)
    depot.take(files(5, 2, 3000))

    def die(*_):
        raise KeyboardInterrupt

    broken = depot.open(lambda storage: Faulty(storage, Fault("delete", act=die, prefix="packs/", times=10**6)))
    with pytest.raises(KeyboardInterrupt):
        pruned(depot, broken)
    assert depot.names("condemned/")
    depot.storages[0].delete(depot.names("packs/")[0])
    present = set(depot.names("packs/"))
    Check(depot.open(), share=1, heal=True).run()
    brought = set(depot.names("packs/")) - present
    points = depot.open().points()
    assert old.id not in [point.id for point in points]
    # What came back, if anything did, is needed by the point that is left.
    vault = depot.open()
    envelope = vault.notary.check(f"points/{points[0].id}", depot.storages[0].get(f"points/{points[0].id}"))
    needed = {envelope.packs[at : at + 16].hex() for at in range(0, len(envelope.packs), 48)}
    assert {name.split("/")[2][:32] for name in brought} <= needed
    pruned(depot)
    depot.require_whole()


# ------------------------------------------------------------ heal


@pytest.mark.parametrize("prefix", ["packs/", "index/", "points/", "logs/"])
@pytest.mark.parametrize("number", [0, 1])
def test_what_is_missing_is_healed_from_another_location(depot, prefix, number):
    depot.take(CONTENT)
    depot.log(0, b"log" * 100)
    before = {name: data for name, (data, _) in depot.storages[number].objects.items()}
    for name in depot.names(prefix, number):
        depot.storages[number].delete(name)
    report = Check(depot.open(), share=1, heal=True).run()
    assert report.ok, report.found
    assert {name: data for name, (data, _) in depot.storages[number].objects.items()} == before
    listed(depot, number)


def test_a_damaged_object_is_put_aside_and_replaced_only_by_sound_bytes(depot):
    depot.take(CONTENT)
    name = depot.names("packs/")[0]
    sound = depot.storages[0].get(name)
    depot.damage(name)
    rotten = depot.storages[0].get(name)
    # The other location's copy is rotten too: nothing is replaced, nothing is put aside.
    depot.damage(name, 1, at=len(sound) // 3)
    before = dict(depot.storages[0].objects)
    report = Check(depot.open(), share=1, heal=True).run()
    assert not report.ok
    assert {one.unhealed for one in report.found if one.object == name} == {"No other location holds a sound copy."}
    now = depot.storages[0].objects
    assert {one: data for one, data in now.items() if not one.startswith("damaged/")} == before
    assert len(depot.names("damaged/")) == 1
    depot.damage(name, 1, at=len(sound) // 3)
    assert Check(depot.open(), share=1, heal=True).run().ok
    assert depot.storages[0].get(name) == sound
    [aside] = depot.names("aside/")
    assert (aside.startswith(f"aside/{name}."), depot.storages[0].get(aside)) == (True, rotten)


def test_a_full_location_is_not_robbed_of_what_it_holds(depot):
    """Without room to put the damaged object aside it stays where it is."""
    depot.take(CONTENT)
    name = depot.names("packs/")[0]
    depot.damage(name)
    rotten = depot.storages[0].get(name)
    vault, _ = wrapped(depot, 0, Fault("put", act=lost(StorageFull), times=10**6))
    report = Check(vault, share=1, heal=True).run()
    assert [one.unhealed for one in report.found if one.object == name] == ["away"]
    assert depot.storages[0].get(name) == rotten


@pytest.mark.parametrize("late", [False, True])
def test_a_heal_that_is_cut_off_anywhere_is_finished_by_the_next(depot, late):
    depot.take(CONTENT)
    depot.log(0, b"log" * 100)
    names = [depot.names(prefix)[0] for prefix in ("packs/", "index/", "points/", "logs/", "keys/writers/", "config")]
    sound = {name: depot.storages[0].get(name) for name in names}
    after = 0
    while True:
        for name in names:
            depot.damage(name)
        faults = [Fault(call, after=after // 2, late=late) for call in (("put", "delete")[after % 2],)]
        vault, faulty = wrapped(depot, 0, *faults)
        Check(vault, share=1, heal=True).run()
        assert Check(depot.open(), share=1, heal=True).run().ok
        assert {name: depot.storages[0].get(name) for name in names} == sound
        for aside in depot.names("aside/"):
            depot.storages[0].delete(aside)
        if not faulty.faults[0].fired and after % 2:
            break
        after += 1
    assert after > 8


# ------------------------------------------------------------ how far behind


def test_status_tells_how_far_each_location_is_behind(depot):
    base = depot.take(CONTENT)
    depot.log(0, b"log" * 100)
    assert all(one.behind.level for one in status(depot.open()).locations)
    vault, _ = wrapped(depot, 1, Fault("*", act=lost(StorageUnreachable), times=10**6))
    with vault.begin(system="orders", kind="postgres", base=vault.point(base.id)) as writer:
        writer.add(Entry("more", size=9000), bytes(range(250)) * 36)
        writer.commit(kind="postgres", start={}, stop={}, logs="main")
    depot.clock.added = dt.timedelta(minutes=5)
    with vault.logs("orders").writer("main", "backup") as appended:
        appended.append(300, b"more" * 100, {})
    near, far = status(depot.open()).locations
    assert near.behind.level
    assert (far.behind.points, far.behind.packs, far.behind.log_increments) == (1, 2, 1)
    lacking = set(depot.names("packs/")) - set(depot.names("packs/", 1))
    assert far.behind.bytes == sum(len(depot.storages[0].get(name)) for name in lacking)
    assert 290 < far.behind.log_seconds < 400
    assert status(depot.open()).to_json()["locations"][1]["behind"]["points"] == 1
    # A location that does not answer is told apart from one that is level, and the other is still described.
    one, other = status(vault).locations
    assert (one.behind.unknown, other.behind.unknown) == ("", "away")
    assert not other.behind.level
    complete(depot.storages)
    assert all(one.behind.level for one in status(depot.open()).locations)
    assert len(alone(depot, 1).points()) == 2
