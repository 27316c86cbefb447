"""Retention carried out."""

import datetime as dt

import pytest

from holdfast.model import Entry
from holdfast.storage import StorageUnreachable
from holdfast.storage.memory import MemoryStorage
from holdfast.storage.wrappers.faults import Fault, Faulty
from holdfast.vault import prune
from holdfast.vault.errors import Condemned, RoleLacking, SessionAborted
from holdfast.vault.keys.keyring import Keyring
from holdfast.vault.points import holds
from holdfast.vault.points.retention import Keep
from tests.vault_care.conftest import CHEAP, Depot, files

UTC = dt.UTC
NONE = dt.timedelta(0)


def planned(vault, keep=None, **options):
    return prune.make(vault, {"orders": keep or Keep(last=1)}, zone=UTC, grace=options.pop("grace", NONE), **options)


def test_what_is_dropped_goes_and_what_is_kept_comes_back(depot):
    old = depot.take(files(1))
    new = depot.take(files(2))
    packs = len(depot.names("packs/"))
    vault = depot.open()
    plan = planned(vault)
    assert plan.drop == (old.id,)
    assert 0.3 < plan.share < 0.7
    done = prune.run(vault, plan, most=0.9)
    assert (done.points, done.packs) == (1, len(plan.packs))
    assert depot.require_whole() == [new.id]
    for number in (0, 1):
        assert len(depot.names("packs/", number)) == packs - done.packs
        assert len(depot.names("index/", number)) == 1
        assert depot.names("sessions/", number) == []
    depot.require_no_open_list()
    again = planned(depot.open())
    assert (again.drop, again.packs, again.freed) == ((), (), 0)


def test_packs_that_a_kept_point_shares_stay(depot):
    base = depot.take(files(1))
    child = depot.take(files(1) | files(2), base=base.id)
    vault = depot.open()
    prune.run(vault, planned(vault), most=1)
    assert depot.require_whole() == [child.id]


def test_a_plan_changes_nothing(depot):
    depot.take(files(1))
    depot.take(files(2))
    before = [dict(storage.objects) for storage in depot.storages]
    plan = planned(depot.open())
    assert [storage.objects for storage in depot.storages] == before
    document = plan.to_json()
    assert document["points"]["orders"][0]["reasons"] == ["the newest (last)"]
    assert document["drop"] == list(plan.drop)


def test_another_systems_points_are_kept_without_a_policy(depot):
    depot.take(files(1), system="events")
    depot.take(files(2), system="events")
    depot.take(files(3))
    plan = planned(depot.open())
    assert plan.unruled == ("events",)
    assert (plan.drop, plan.packs) == ((), ())


def test_holds_and_keep_until(depot):
    held = depot.take(files(1))
    kept = depot.take(files(2), keep_until=depot.clock.now() + dt.timedelta(days=1))
    depot.take(files(3))
    vault = depot.open()
    hold = holds.place(vault.locations, vault.notary, vault.clock, held.id, "asked for by audit")
    assert planned(vault).drop == ()
    assert [one.reason for one in holds.current(vault.locations, vault.notary)] == ["asked for by audit"]
    holds.release(vault.locations, vault.notary, vault.clock, hold.id, "done")
    depot.clock.added = dt.timedelta(days=2)
    assert set(planned(depot.open()).drop) == {held.id, kept.id}
    with pytest.raises(holds.HoldUnknown):
        holds.release(vault.locations, vault.notary, vault.clock, hold.id, "again")


def test_a_hold_placed_between_plan_and_run_counts(depot):
    old = depot.take(files(1))
    depot.take(files(2))
    vault = depot.open()
    plan = planned(vault)
    holds.place(vault.locations, vault.notary, vault.clock, old.id, "")
    prune.run(vault, plan, most=1)
    assert old.id in depot.require_whole()


def test_a_share_is_not_exceeded_unasked(depot):
    for seed in range(4):
        depot.take(files(seed))
    vault = depot.open()
    plan = planned(vault)
    with pytest.raises(prune.PruneTooMuch):
        prune.run(vault, plan)
    assert len(depot.require_whole()) == 4
    prune.run(vault, plan, most=0.9)
    assert len(depot.require_whole()) == 1


def test_young_unneeded_packs_wait(depot):
    depot.take(files(1))
    vault = depot.open()
    with vault.begin(system="orders", kind="postgres") as writer:
        writer.add(Entry("big", size=9_000_000), bytes(range(250)) * 36_000)
        writer.flush()
    before = len(depot.names("packs/"))
    plan = planned(depot.open(), grace=dt.timedelta(days=1))
    assert (plan.packs, plan.freed) == ((), 0)
    depot.clock.added = dt.timedelta(days=2)
    vault = depot.open()
    prune.run(vault, planned(vault, grace=dt.timedelta(days=1)), most=1)
    assert len(depot.names("packs/")) <= before
    assert len(depot.require_whole()) == 1


def test_beside_a_running_backup_it_drops_and_condemns_and_the_next_one_deletes(depot):
    old = depot.take(files(1))
    kept = depot.take(files(2))
    vault = depot.open()
    writer = depot.open().begin(system="events", kind="postgres")
    plan = planned(vault)
    assert (plan.live, plan.drop) == ((writer.session,), (old.id,))
    packs = depot.names("packs/")
    done = prune.run(vault, plan, most=1)
    assert (done.points, done.packs, done.behind) == (1, 0, (writer.session,))
    assert done.waiting > 0
    assert depot.names("packs/") == packs
    writer.abort()
    again = prune.run(vault, planned(vault), most=1)
    assert (again.packs, again.waiting) == (done.waiting, 0)
    assert depot.require_whole() == [kept.id]


def test_a_backup_commits_what_was_condemned_beside_it_and_the_prune_pardons(depot):
    """Its base was dropped while it ran: it names the base's packs all the same, and comes back whole."""
    base = depot.take(files(1))
    depot.take(files(2))
    vault = depot.open()
    writer = vault.begin(system="orders", kind="postgres", base=vault.point(base.id))
    for path, data in files(1).items():
        writer.add(Entry(path, size=len(data)), data)
    writer.flush()
    other = depot.open()
    assert prune.run(other, planned(other), most=1).waiting > 0
    point = writer.commit(kind="postgres", start={}, stop={})
    depot.points[point.id] = files(1)
    packs = depot.names("packs/")
    done = prune.run(other, planned(other, Keep(last=2)), most=1)
    assert done.pardoned > 0
    assert len(depot.names("packs/")) > len(packs) - 3
    depot.require_whole()
    # What was pardoned is reused again.
    again = depot.take(files(1), base=point.id)
    assert again.totals.new == 0


def test_a_session_that_begins_during_the_prune_reuses_nothing_that_is_condemned(depot):
    base = depot.take(files(1))
    kept = depot.take(files(2))
    begun = []

    def begin(call, name):
        writer = depot.open().begin(system="orders", kind="postgres", base=reader)
        for path, data in files(1).items():
            writer.add(Entry(path, size=len(data)), data)
        writer.flush()
        begun.append(writer)

    def wrap(storage):
        return Faulty(storage, Fault("delete", act=begin, prefix="packs/")) if storage is depot.storages[0] else storage

    reader = depot.open().point(base.id)
    vault = depot.open(wrap)
    plan = planned(vault)
    prune.run(vault, plan, most=1)
    assert begun
    point = begun[0].commit(kind="postgres", start={}, stop={})
    depot.points[point.id] = files(1)
    assert depot.require_whole() == [kept.id, point.id]


def test_an_expired_session_is_aborted_and_can_no_longer_commit(depot):
    depot.take(files(1))
    vault = depot.open()
    writer = vault.begin(system="orders", kind="postgres")
    writer.add(Entry("late", size=4), b"late")
    depot.clock.added = dt.timedelta(hours=2)
    pruner = depot.open()
    plan = planned(pruner)
    assert plan.abort == (writer.session,)
    done = prune.run(pruner, plan, most=1)
    assert done.aborted == 1
    with pytest.raises(SessionAborted):
        writer.commit(kind="postgres", start={}, stop={})
    assert len(depot.require_whole()) == 1


def test_a_damaged_point_in_any_location_stops_it(depot):
    depot.take(files(1))
    depot.take(files(2))
    depot.damage(depot.names("points/")[0], number=1)
    with pytest.raises(prune.PruneUnsure):
        planned(depot.open())


def test_a_silent_location_is_told_and_pruned_another_time(depot):
    old = depot.take(files(1))
    new = depot.take(files(2))
    packs = depot.names("packs/")

    def wrap(storage):
        return Faulty(storage, Fault("*", times=10**6)) if storage is depot.storages[1] else storage

    vault = depot.open(wrap)
    plan = planned(vault)
    assert list(plan.silent) == [depot.storages[1].url]
    assert prune.run(vault, plan, most=1).points == 1
    assert len(depot.names("packs/")) < len(packs)
    assert depot.names("packs/", 1) == packs
    # It stays, whole, where nobody could ask; and goes when that location is back.
    assert depot.require_whole() == [old.id, new.id]
    vault = depot.open()
    prune.run(vault, planned(vault), most=1)
    assert depot.require_whole() == [new.id]
    assert depot.names("packs/") == depot.names("packs/", 1)


def test_no_location_answers(depot):
    depot.take(files(1))
    vault = depot.open(lambda storage: Faulty(storage, Fault("list", prefix="points/", times=10**6)))
    with pytest.raises(StorageUnreachable):
        planned(vault)


def test_only_an_owner_prunes(depot):
    depot.take(files(1))
    vault = depot.open()
    Keyring(vault.locations, vault.notary, CHEAP).add("read only", role="reader", label="auditor", now=depot.clock.now())
    with pytest.raises(RoleLacking):
        planned(depot.open(secret="read only"))


def test_logs_older_than_the_oldest_kept_point_go(depot):
    depot.log(0, b"a" * 100)
    depot.clock.added = dt.timedelta(hours=1)
    depot.take(files(1))
    depot.log(100, b"b" * 100)
    depot.clock.added = dt.timedelta(hours=2)
    depot.take(files(2))
    depot.log(200, b"c" * 100)
    first = planned(depot.open(), Keep(last=2))
    assert len(first.logs) == 1
    vault = depot.open()
    done = prune.run(vault, planned(vault), most=1)
    assert done.logs == 2
    logs = depot.open().logs("orders") if hasattr(vault, "logs") else None
    if logs is not None:
        assert logs.reader("main").coverage() == [(200, 300)]
    assert len(depot.names("logs/")) == len(depot.names("logs/", 1)) == 1


def test_logs_of_a_system_without_points_or_policy_stay(depot):
    depot.log(0, b"x", system="events")
    depot.log(0, b"x")
    depot.clock.added = dt.timedelta(days=1)
    depot.take(files(1), system="events")
    assert planned(depot.open()).logs == ()


def test_points_that_only_one_location_has_protect_their_packs(depot):
    first = depot.take(files(1))
    depot.take(files(2))
    depot.storages[0].delete(f"points/{first.id}")
    vault = depot.open()
    prune.run(vault, planned(vault, Keep(last=5)), most=1)
    assert len(depot.require_whole()) == 2


def test_a_session_that_slept_while_its_packs_went_cannot_commit(depot):
    base = depot.take(files(1))
    sleeper = depot.open().begin(system="orders", kind="postgres", base=depot.open().point(base.id))
    for path, data in files(1).items():
        sleeper.add(Entry(path, size=len(data)), data)
    sleeper.flush()
    newest = depot.take(files(2))
    depot.clock.added = dt.timedelta(hours=2)
    vault = depot.open()
    assert prune.run(vault, planned(vault), most=1).packs > 0
    with pytest.raises(SessionAborted):
        sleeper.commit(kind="postgres", start={}, stop={})
    assert depot.require_whole() == [newest.id]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(("call", "prefix"), [("put", "condemned/"), ("list", "points/"), ("delete", "packs/"), ("delete", "points/")])
def test_a_backup_of_the_same_content_at_the_worst_moment(depot, call, prefix, late):
    """It finds the chunks in the index, and the packs are about to go: it keeps them, stores anew, or is refused."""
    depot.take(files(1))
    depot.take(files(2))
    outcomes = []

    def back_up(_call, _name):
        try:
            outcomes.append(depot.take(files(1)).id)
        except Condemned:
            outcomes.append("refused")

    for after in range(12):
        fault = Fault(call, act=back_up, prefix=prefix, after=after, late=late)
        vault = depot.open(lambda storage, fault=fault: Faulty(storage, fault) if storage is depot.storages[0] else storage)
        prune.run(vault, planned(vault), most=1)
        depot.require_whole()
        if not fault.fired:
            break
        depot.take(files(2))
    assert outcomes


class Crash(BaseException):
    """Nothing catches it, as nothing catches a kill."""


def test_stopped_at_every_change_it_loses_nothing_and_the_next_one_finishes(tmp_path):
    for after in range(200):
        depot = Depot(tmp_path / str(after), lambda clock: [MemoryStorage(clock, "near"), MemoryStorage(clock, "far")])
        base = depot.take(files(1, 1, 5000))
        depot.log(0, b"old")
        depot.clock.added = dt.timedelta(hours=3)
        child = depot.take(files(1, 1, 5000) | files(2, 1, 5000), base=base.id)
        plan = planned(depot.open())
        left = [after]

        def crash(call, name, left=left):
            if call in {"put", "delete"}:
                left[0] -= 1
                if left[0] < 0:
                    raise Crash

        wrapped = depot.open(lambda storage, crash=crash: Faulty(storage, Fault("*", act=crash, times=10**9)))
        try:
            prune.run(wrapped, plan, most=1)
        except Crash:
            pass
        else:
            assert after > 15
            break
        assert child.id in depot.require_whole()
        vault = depot.open()
        prune.run(vault, planned(vault), most=1)
        assert depot.require_whole() == [child.id]
        depot.require_no_open_list()
        for number in (0, 1):
            assert depot.names("logs/", number) == []
        assert depot.names("packs/") == depot.names("packs/", 1)
    else:
        raise AssertionError("the prune never came to its end")
