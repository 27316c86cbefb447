"""What must never happen, each with the order of events that once made it happen."""

import datetime as dt
import os
import subprocess
import sys
import time

import pytest

from holdfast.model import Entry
from holdfast.storage.contract import StorageFull, StorageUnreachable
from holdfast.storage.local import LocalStorage
from holdfast.storage.memory import MemoryStorage
from holdfast.storage.wrappers.faults import Fault, Faulty
from holdfast.systems.postgres.lsn import replay_begins
from holdfast.vault import copy, prune
from holdfast.vault.capture.session.spill import SpillFolder
from holdfast.vault.errors import Condemned, KeyringPartly, NotBelieved, PackMissing, SessionAborted, SlotRemoved, WrongKey
from holdfast.vault.format import envelope, names
from holdfast.vault.format.text import from_json, to_json
from holdfast.vault.keys import slots
from holdfast.vault.keys.keyring import Keyring
from holdfast.vault.points import holds, stored
from holdfast.vault.points.retention import Keep
from holdfast.vault.prune import drop
from tests.vault_care.conftest import CHEAP, SECRET, Depot, files

NONE = dt.timedelta(0)
HOURS = dt.timedelta(hours=2)
CONTENT = files(1, 1, 5000)
OTHER = files(2, 1, 5000)


def planned(vault, keep=1, grace=NONE, **options):
    return prune.make(vault, {"orders": Keep(last=keep)}, zone=dt.UTC, grace=grace, **options)


def pruned(depot, **options):
    vault = depot.open()
    return prune.run(vault, planned(vault, **options), most=1)


def at(depot, call, prefix, act, *, number=0, late=False, times=1):
    """An open vault in which ``act()`` happens ``times`` times, before (or ``late`` behind) the first such call on one location."""
    fault = Fault(call, act=lambda *_: act(), prefix=prefix, late=late, times=times)
    vault = depot.open(lambda storage: Faulty(storage, fault) if storage is depot.storages[number] else storage)
    return vault, fault


def begin(depot, content=CONTENT, base=None):
    vault = depot.open()
    writer = vault.begin(system="orders", kind="postgres", base=vault.point(base) if base else None)
    for path, data in content.items():
        writer.add(Entry(path, size=len(data)), data)
    writer.flush()
    return writer


def finish(depot, writer, content=CONTENT):
    """True when it committed."""
    try:
        point = writer.commit(kind="postgres", start={}, stop={})
    except (Condemned, PackMissing, SessionAborted):
        return False
    depot.points[point.id] = content
    return True


def require_whole_in_each(depot):
    """Every location by itself lists only what it can restore."""
    for storage in depot.storages:
        alone = Depot.__new__(Depot)
        alone.__dict__ |= depot.__dict__ | {"storages": [storage], "cache": depot.cache / storage.url[-4:]}
        alone.require_whole()
    return depot.require_whole()


SPILLS = """
import pathlib, sys
from holdfast.vault.capture.session.spill import SpillFolder
folder = SpillFolder(pathlib.Path(sys.argv[1]), "killed")
folder.path.mkdir()
(folder.path / "x").write_text("x")
print("there", flush=True)
input()
"""


class Crash(BaseException):
    """Nothing catches it, as nothing catches a kill."""


@pytest.mark.parametrize("late", [False, True])
def test_a_session_that_begins_during_the_deletions_commits_nothing_that_they_took(depot, late):
    depot.take(CONTENT)
    depot.take(OTHER)
    begun = []
    vault, fault = at(depot, "delete", "packs/", lambda: begun.append(begin(depot)), late=late)
    prune.run(vault, planned(vault), most=1)
    assert fault.fired
    finish(depot, begun[0])
    require_whole_in_each(depot)


def test_a_session_that_chose_before_the_list_and_whose_lease_ends_behind_the_first_look_is_aborted(depot):
    base = depot.take(CONTENT)
    depot.take(OTHER)
    sleeper = begin(depot, base=base.id)

    def time_passes():
        depot.clock.added += HOURS

    vault, fault = at(depot, "put", "condemned/", time_passes)
    plan = planned(vault)
    plan = prune.PrunePlan(**{name: getattr(plan, name) for name in plan.__slots__} | {"live": ()})  # it began behind the plan
    outcome = []

    def commit():
        outcome.append(finish(depot, sleeper))

    vault.locations.storages[0].faults.append(Fault("delete", act=lambda *_: commit(), prefix="packs/"))
    prune.run(vault, plan, most=1)
    assert fault.fired
    assert outcome == [False]
    require_whole_in_each(depot)


@pytest.mark.parametrize("count", [1, 2])
def test_a_dropped_point_does_not_come_back_whenever_the_prune_dies_and_the_commit_is_repeated(tmp_path, count):
    """It dies before each change, which is behind the one before. The commit is repeated in each location, right after that and after the
    next prune.
    """
    for after in range(200):
        depot = Depot(tmp_path / f"{after}", lambda clock: [MemoryStorage(clock, f"far{number}") for number in range(count)])
        old = depot.take(CONTENT)
        body = depot.storages[0].get(f"points/{old.id}")
        new = depot.take(OTHER)
        left = [after]

        def crash(call, name, left=left):
            if call in {"put", "delete"}:
                left[0] -= 1
                if left[0] < 0:
                    raise Crash

        vault = depot.open(lambda storage, crash=crash: Faulty(storage, Fault("*", act=crash, times=10**9)))
        try:
            prune.run(vault, planned(depot.open()), most=1)
        except Crash:
            over = False
        else:
            over = True
        for moment in range(2):
            for storage in depot.storages:
                if storage.head(f"points/{old.id}") is None:
                    storage.put_if_absent(f"points/{old.id}", [body])
            require_whole_in_each(depot)
            if not moment:
                pruned(depot)
        assert require_whole_in_each(depot) == [new.id]
        for number in range(count):
            assert [name for name in depot.names("points/", number) if name.endswith(names.DROPPED)] == []
        if over:
            assert after > 8
            return
    raise AssertionError("the prune never came to its end")


def test_a_commit_repeated_while_its_point_is_dropped_is_taken_away_again(depot):
    old = depot.take(CONTENT)
    body = depot.storages[0].get(f"points/{old.id}")
    new = depot.take(OTHER)
    vault, fault = at(depot, "delete", f"points/{old.id}", lambda: depot.storages[0].put_if_absent(f"points/{old.id}", [body]), late=True)
    prune.run(vault, planned(vault), most=1)
    assert fault.fired
    assert require_whole_in_each(depot) == [new.id]


@pytest.mark.parametrize("grace", [NONE, dt.timedelta(days=1)])
@pytest.mark.parametrize(("call", "prefix"), [("delete", "packs/"), ("list", "points/"), ("head", "condemned/")])
def test_two_prunes_one_of_which_sleeps(depot, call, prefix, grace):
    """The other one finishes meanwhile, a backup reuses what still lies there, then the first one wakes up."""
    depot.take(CONTENT)
    depot.take(OTHER)
    begun = []

    def meanwhile():
        pruned(depot, grace=grace)
        begun.append(begin(depot))

    for after in range(12):
        fault = Fault(call, act=lambda *_: meanwhile(), prefix=prefix, after=after)
        vault = depot.open(lambda storage, fault=fault: Faulty(storage, fault) if storage is depot.storages[0] else storage)
        prune.run(vault, planned(depot.open()), most=1)
        if not fault.fired:
            break
        while begun:
            finish(depot, begun.pop())
        require_whole_in_each(depot)
        depot.take(OTHER)
    pruned(depot)
    depot.require_no_open_list()
    require_whole_in_each(depot)


def test_a_list_that_a_dead_prune_left_is_finished_whatever_the_age_of_its_packs(depot):
    depot.take(CONTENT)
    depot.take(OTHER)
    vault, _ = at(depot, "delete", "packs/", lambda: (_ for _ in ()).throw(Crash()))
    with pytest.raises(Crash):
        prune.run(vault, planned(vault), most=1)
    packs = depot.names("packs/")
    assert depot.names("condemned/")
    pruned(depot, grace=dt.timedelta(days=30))
    depot.require_no_open_list()
    assert len(depot.names("packs/")) < len(packs)
    require_whole_in_each(depot)


def test_a_session_in_the_second_location_only_counts_as_alive_and_can_be_aborted(depot):
    """A system whose tier names only one of the vault's locations."""
    first = depot.take(CONTENT)
    depot.take(OTHER)
    far = Depot.__new__(Depot)
    far.__dict__ |= depot.__dict__ | {"storages": depot.storages[1:], "cache": depot.cache / "far"}
    writer = begin(far, base=first.id)
    vault = depot.open()
    assert planned(vault).live == (writer.session,)
    depot.clock.added += HOURS
    assert pruned(depot).aborted == 1
    with pytest.raises(SessionAborted):
        writer.commit(kind="postgres", start={}, stop={})
    require_whole_in_each(depot)


def test_a_reused_pack_that_one_location_lost_stops_the_commit(depot):
    base = depot.take(CONTENT)
    writer = begin(depot, base=base.id)
    for pack in depot.names("packs/", 1):
        depot.storages[1].delete(pack)
    with pytest.raises(PackMissing) as caught:
        writer.commit(kind="postgres", start={}, stop={})
    assert caught.value.details["url"] == depot.storages[1].url
    assert [one.id for one in depot.open().points()] == [base.id]


def test_the_logs_of_a_point_that_was_held_behind_the_plan_stay(depot):
    depot.log(0, b"a" * 100)
    old = depot.take(CONTENT)
    depot.clock.added = dt.timedelta(hours=1)
    depot.take(OTHER)
    vault = depot.open()
    plan = planned(vault)
    assert len(plan.logs) == 1
    holds.place(vault.locations, vault.notary, vault.clock, old.id, "")
    assert prune.run(vault, plan, most=1).logs == 0
    assert len(depot.names("logs/")) == 1


def test_logs_stay_as_far_back_as_a_points_replay_begins(depot):
    """Taken on a replica, it begins at the last restart point: before the backup, sometimes by hours."""
    depot.log(0, b"a" * 100)
    depot.log(100, b"b" * 100)
    depot.clock.added = dt.timedelta(hours=3)
    depot.take(CONTENT)
    assert len(planned(depot.open()).logs) == 2
    plan = planned(depot.open(), begins=lambda point: 100)
    assert [name.rpartition("/")[2] for name in plan.logs] == [f"{0:016x}-{100:016x}"]


def test_a_hold_comes_too_late_when_the_point_is_going(depot):
    old = depot.take(CONTENT)
    depot.take(OTHER)
    caught = []

    def hold():
        vault = depot.open()
        with pytest.raises(holds.HoldTooLate):
            holds.place(vault.locations, vault.notary, vault.clock, old.id, "")
        caught.append(1)

    vault, _ = at(depot, "delete", f"points/{old.id}", hold)
    prune.run(vault, planned(vault), most=1)
    assert caught
    assert len(require_whole_in_each(depot)) == 1


def test_a_hold_placed_just_before_the_record_of_the_drop_keeps_the_point(depot):
    old = depot.take(CONTENT)
    depot.take(OTHER)

    def hold():
        vault = depot.open()
        holds.place(vault.locations, vault.notary, vault.clock, old.id, "")

    vault, fault = at(depot, "put", names.dropped(old.id), hold)
    assert prune.run(vault, planned(vault), most=1).points == 0
    assert fault.fired
    assert old.id in require_whole_in_each(depot)
    assert depot.names(names.dropped(old.id)) == []


def test_a_writers_key_makes_no_point_vanish(depot):
    point = depot.take(CONTENT)
    vault = depot.open()
    name = names.dropped(point.id)
    vault.notary.bundle = vault.notary.bundle.for_role("owner", None)
    writer = vault.notary.bundle.writer
    clear = {"kind": "drop", "vault": vault.id, "writer": writer.id, "at": vault.now().isoformat(), "session": point.id}
    depot.storages[0].put_if_absent(name, [envelope.build(name, clear, vault=vault.notary.vault, sign_private=writer.sign)])
    fresh = depot.open()
    assert [one.id for one in fresh.points()] == [point.id]
    assert [type(error) for error in fresh.damaged] == [NotBelieved]
    with pytest.raises(prune.PruneUnsure):
        planned(depot.open())


@pytest.mark.parametrize("lie", ["id", "system", "writer"])
def test_a_point_whose_sealed_part_tells_of_another_one_is_not_believed(depot, lie):
    point = depot.take(CONTENT)
    vault = depot.open()
    session = "0" * 31 + "1"
    name = names.point(session)
    true = {"id": session, "system": "orders", "writer": vault.notary.writer}
    told = point.model_copy(update=true | {lie: {"id": point.id, "system": "events", "writer": "f" * 16}[lie]})
    fields = {"session": session, "system": vault.notary.tag("system", "orders"), "clock": "", "scope": "vault", "epoch": 1}
    vault.locations.put(name, [vault.notary.make(name, "point", vault.now(), fields, plain=stored.encode(told, []))])
    fresh = depot.open()
    assert [one.id for one in fresh.points()] == [point.id]
    assert [type(error) for error in fresh.damaged] == [NotBelieved]


def test_a_point_that_the_second_location_refuses_is_told_and_a_copy_completes_it(depot):
    def full(*_):
        raise StorageFull("no room", hint="")

    vault, _ = at(depot, "put", "points/", full, number=1)
    with vault.begin(system="orders", kind="postgres") as writer:
        for path, data in CONTENT.items():
            writer.add(Entry(path, size=len(data)), data)
        point = writer.commit(kind="postgres", start={}, stop={}).id
    assert writer.lacking == {depot.storages[1].url: "no room"}
    depot.points[point] = CONTENT
    held, silent = stored.places(depot.open().locations)
    assert (held[point], silent) == ({depot.storages[0].url}, [])
    assert stored.lacking(depot.open().locations, [point]) == {point: [depot.storages[1].url]}
    assert depot.require_whole() == [point]
    assert copy.copy(*depot.storages).refused == []
    assert stored.lacking(depot.open().locations, [point]) == {}
    assert require_whole_in_each(depot) == [point]


def test_each_location_decides_by_itself_and_the_point_of_any_counts(depot):
    """A session comes too late for one location only: it is aborted there, and its point counts where it is."""
    writer = begin(depot)
    name = names.point(writer.session)
    vault = depot.open()
    depot.storages[1].put_if_absent(name, [drop.make_abort(vault, writer.session, drop.LEASE)])
    assert finish(depot, writer)
    assert depot.require_whole() == [writer.session]
    assert depot.require_whole(vault=depot.open(lambda storage: storage)) == [writer.session]
    assert len(planned(depot.open()).decisions["orders"]) == 1


def test_a_key_is_removed_everywhere_or_said_to_be_left(depot):
    def down():
        raise StorageUnreachable("down", hint="")

    vault = depot.open()
    slot = Keyring(vault.locations, vault.notary, CHEAP).add("second", label="second", now=depot.clock.now())
    failing, _ = at(depot, "delete", names.SLOTS, down, number=1)
    with pytest.raises(KeyringPartly) as caught:
        failing.keys.remove("second")
    assert depot.storages[1].url in caught.value.message
    assert depot.storages[1].head(names.slot(slot.id))  # as was told; and yet it opens nothing where the keyring is known
    with pytest.raises(SlotRemoved):
        depot.open(secret="second")
    depot.open().keys.changes.complete()
    assert not any(storage.head(names.slot(slot.id)) for storage in depot.storages)
    with pytest.raises(Exception, match="opens none"):
        depot.open(secret="second")


def test_a_slot_that_is_sound_in_one_location_only_does_not_count_as_the_last_one(depot):
    vault = depot.open()
    Keyring(vault.locations, vault.notary, CHEAP).add("second", label="second", now=depot.clock.now())
    first = next(slot for slot in vault.slots() if slot.kind == "passphrase")
    for slot in vault.slots():
        if slot.id != first.id:
            depot.storages[1].delete(names.slot(slot.id))
    with pytest.raises(Exception, match="last"):
        depot.open().keys.remove(first.id)
    assert depot.open(secret=SECRET)


def test_the_decoder_hides_what_a_prune_is_removing(tmp_path):

    depot = Depot(tmp_path / "cache", lambda _clock: [LocalStorage(str(tmp_path / "v"), create=True)])
    old, new = depot.take(CONTENT), depot.take(OTHER)
    vault = depot.open()
    vault.locations.put(names.dropped(old.id), [vault.notary.make(names.dropped(old.id), "drop", vault.now(), {"session": old.id})])
    done = subprocess.run(
        [sys.executable, str(tmp_path / "v" / "decoder.py"), str(tmp_path / "v"), "--list"],
        env=os.environ | {"HOLDFAST_KEY": SECRET},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.split()[0] for line in done.stdout.splitlines()] == [new.id]
    assert [one.id for one in depot.open().points()] == [new.id]


@pytest.mark.parametrize(
    ("lsn", "segment", "position"), [("0/5000028", 16 << 20, 0x5000000), ("2/5000028", None, 2 << 32), (None, None, None)]
)
def test_a_postgres_points_replay_begins_with_its_segment(depot, lsn, segment, position):
    point = depot.take(CONTENT).model_copy(update={"start": {"lsn": lsn}, "facts": {"segment_size": segment}})
    assert replay_begins(point) == position


@pytest.mark.parametrize(
    ("name", "value"), [("memory_kib", 4 << 20), ("passes", 10**6), ("lanes", 10**6), ("salt", ""), ("passes", "many")]
)
def test_a_planted_slot_exhausts_nobody_and_keeps_no_other_from_opening(one, name, value):
    vault = one.open()
    slot = next(slot for slot in vault.slots() if slot.kind == "passphrase")
    document = from_json(one.storages[0].get(names.slot(slot.id)))
    document["created"] = "2000-01-01T00:00:00.000000+00:00"
    document["kdf"][name] = value
    del document["check"]
    one.storages[0].put_if_absent(names.slot("0" * 16), [to_json(document | {"check": slots._check(document)})])
    began = time.monotonic()
    assert one.open()
    assert time.monotonic() - began < 100
    with pytest.raises(WrongKey):  # what the keyring does not list is no slot, and makes no wrong key look like damage
        one.open(secret="another one")


def test_what_killed_sessions_spilled_is_swept_and_what_living_ones_spilled_is_not(one):
    parent = one.open().cache / "sessions"
    living = SpillFolder(parent, "living")
    living.path.mkdir()
    killed = subprocess.Popen([sys.executable, "-c", SPILLS, str(parent)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert killed.stdout.readline() == "there\n"
    (parent / "forgotten").mkdir()
    one.take(CONTENT)
    assert sorted(path.name for path in parent.iterdir()) == ["killed", "killed.lock", "living", "living.lock"]
    killed.kill()
    killed.wait()
    killed.stdin.close()
    killed.stdout.close()
    one.take(CONTENT)
    assert sorted(path.name for path in parent.iterdir()) == ["living", "living.lock"]
    living.close()
    assert list(parent.iterdir()) == []


@pytest.mark.parametrize(("call", "prefix"), [("put", "sessions/"), ("put", "packs/"), ("put", "index/"), ("list", "packs/")])
def test_a_location_that_falls_silent_during_a_backup_is_left_out_and_completed_later(depot, call, prefix):
    """From the fault on it takes nothing; the point is whole in the other one, and a copy brings it."""
    base = depot.take(CONTENT)
    silent = []

    def fall(*_):
        silent.append(1)
        raise StorageUnreachable("down", hint="")

    fault = Fault(call, act=fall, prefix=prefix, times=10**9)
    broken = depot.open(lambda storage: Faulty(storage, fault) if storage is depot.storages[1] else storage)
    near = depot.take(OTHER, vault=broken, base=base.id)
    assert silent
    assert stored.lacking(depot.open().locations, [base.id, near.id]) == {near.id: [depot.storages[1].url]}
    depot.take(OTHER, base=near.id)
    assert copy.copy(*depot.storages).points == 2
    assert len(require_whole_in_each(depot)) == 3


def test_a_prune_whose_list_another_one_withdrew_deletes_no_pack(depot):
    """It slept behind its list; the other one finished the work, and whoever began since may reuse what still lies there."""
    depot.take(CONTENT)
    depot.take(OTHER)
    packs = depot.names("packs/")

    def withdraw():
        for storage in depot.storages:
            for name in depot.names("condemned/"):
                storage.delete(name)

    vault, fault = at(depot, "put", "condemned/", withdraw, late=True)
    prune.run(vault, planned(vault), most=1)
    assert fault.fired
    assert depot.names("packs/") == packs
    pruned(depot)
    assert len(require_whole_in_each(depot)) == 1
