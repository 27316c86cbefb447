"""A copy is a writer too: what it brings, or relies on, no prune of the target takes away; what came too late there it may still bring."""

import datetime as dt

import pytest

from holdfast.model import Entry
from holdfast.storage.memory import MemoryStorage
from holdfast.storage.wrappers.faults import Fault, Faulty
from holdfast.vault import prune
from holdfast.vault.copy import copy
from holdfast.vault.format import names
from holdfast.vault.packs import condemned
from holdfast.vault.points.retention import Keep
from holdfast.vault.prune import drop
from tests.vault_care.conftest import Depot, files

NONE = dt.timedelta(0)


@pytest.fixture
def two(tmp_path):
    return Depot(tmp_path / "cache", lambda clock: [MemoryStorage(clock, "near"), MemoryStorage(clock, "far")])


def alone(depot, number):
    """The same vault, as who knows one location only."""
    one = Depot.__new__(Depot)
    one.__dict__ |= depot.__dict__ | {"storages": [depot.storages[number]], "cache": depot.cache / str(number)}
    return one


def pruned(depot, last=1):
    vault = depot.open()
    return prune.run(vault, prune.make(vault, {"orders": Keep(last=last)}, zone=dt.UTC, grace=NONE), most=1)


def test_a_point_of_a_session_that_came_too_late_for_one_location_is_brought_there(two):
    vault = two.open()
    writer = vault.begin(system="orders", kind="postgres")
    content = files(1)
    for path, data in content.items():
        writer.add(Entry(path, size=len(data)), data)
    writer.flush()
    two.clock.added = dt.timedelta(hours=2)
    far = alone(two, 1)
    assert pruned(far).aborted == 1
    point = writer.commit(kind="postgres", start={}, stop={})
    two.points[point.id] = content
    assert far.open().points() == []
    assert copy(two.storages[0], two.storages[1]).points == 1
    assert far.require_whole() == [point.id]
    assert far.names("points/") == [names.point(point.id)]


def test_a_point_that_a_prune_dropped_is_not_brought_back(two):
    old = two.take(files(1))
    two.take(files(2))
    far = alone(two, 1)
    pruned(far)
    done = copy(two.storages[0], two.storages[1])
    assert (done.points, len(done.left)) == (0, 1)
    assert old.id not in far.require_whole()


def test_an_abort_of_one_location_is_not_spread(two):
    writer = two.open().begin(system="orders", kind="postgres")
    name = names.point(writer.session)
    two.storages[0].put_if_absent(name, [drop.make_abort(two.open(), writer.session, drop.LEASE)])
    copy(two.storages[0], two.storages[1])
    assert two.storages[1].head(name) is None
    two.storages[0].delete(name)
    writer.abort()


def test_what_a_prune_takes_out_of_the_target_while_it_is_looked_at_waits_for_the_next_copy(two):
    point = two.take(files(1))
    name = names.point(point.id)
    far = two.storages[1]
    far.delete(name)
    far.put_if_absent(name, [drop.make_abort(two.open(), point.id, drop.LEASE)])
    fault = Fault("get", act=lambda _call, name: far.delete(name), prefix=names.POINTS)
    done = copy(two.storages[0], Faulty(far, fault))
    assert (fault.fired, done.points, len(done.later)) == (1, 0, 1)
    assert copy(two.storages[0], far).points == 1
    assert point.id in alone(two, 1).require_whole()


@pytest.mark.parametrize(
    ("call", "prefix"), [("put", "points/"), ("list", "condemned/"), ("list", "packs/"), ("put", "packs/"), ("list", "points/")]
)
@pytest.mark.parametrize("late", [False, True])
def test_a_prune_of_the_target_at_any_call_of_the_copy(two, call, prefix, late):
    """Packs of the point lie there unneeded, its object does not: the prune may take them, or the copy may count on them, never both."""
    content = files(1)
    point = two.take(content)
    two.take(files(2), system="events")
    far = alone(two, 1)
    for after in range(4):
        two.storages[1].delete(names.point(point.id))
        fault = Fault(call, act=lambda *_: pruned(far), prefix=prefix, after=after, late=late)
        done = copy(two.storages[0], Faulty(two.storages[1], fault))
        assert (point.id in far.require_whole()) == (done.points == 1 or not done.later)
        if not fault.fired:
            return
        # A week later whatever a prune took there may come again.
        two.clock.added += dt.timedelta(days=8)
        pruned(far)
        copy(two.storages[0], two.storages[1])
        assert point.id in far.require_whole()


def test_what_is_staged_protects_until_the_point_has_come(two):
    point = two.take(files(1))
    two.storages[1].delete(names.point(point.id))
    far = alone(two, 1)
    with pytest.raises(RuntimeError):
        copy(two.storages[0], Faulty(two.storages[1], Fault("list", act=_die, prefix="condemned/")))
    assert far.names("points/") == [names.coming(point.id)]
    packs = far.names("packs/")
    far.take(files(2))
    pruned(far)
    assert set(packs) <= set(far.names("packs/"))
    copy(two.storages[0], two.storages[1])
    assert point.id in far.require_whole()
    assert [name for name in far.names("points/") if name.endswith(names.COMING)] == []


def test_a_staged_point_that_needs_what_is_dead_already_waits_and_stops_no_prune(two):
    """Its verdict stands and its packs lie there still, since the prune died before it deleted them."""
    point = two.take(files(1))
    two.take(files(2), system="events")
    two.storages[1].delete(names.point(point.id))
    far = alone(two, 1)
    two.clock.added = dt.timedelta(hours=2)
    dying = far.open(lambda storage: Faulty(storage, Fault("delete", act=_die, prefix="packs/")))
    with pytest.raises(RuntimeError):
        prune.run(dying, prune.make(dying, {"orders": Keep(last=1)}, zone=dt.UTC, grace=NONE), most=1)
    done = copy(two.storages[0], two.storages[1])
    assert (done.points, len(done.later)) == (0, 1)
    assert pruned(far).packs > 0
    two.clock.added = dt.timedelta(days=8)
    pruned(far)
    assert copy(two.storages[0], two.storages[1]).points == 1
    assert point.id in far.require_whole()


def test_a_staged_point_that_was_dropped_goes(two):
    point = two.take(files(1))
    two.storages[1].delete(names.point(point.id))
    with pytest.raises(RuntimeError):
        copy(two.storages[0], Faulty(two.storages[1], Fault("list", act=_die, prefix="condemned/")))
    new = two.take(files(2))
    pruned(two)
    assert two.require_whole() == [new.id]
    assert [name for name in two.names("points/", 1) if name.endswith(names.COMING)] == []
    assert two.names("packs/") == two.names("packs/", 1)


def test_lists_that_cannot_be_read_let_nobody_reuse_anything_and_the_next_prune_replaces_them(two):
    base = two.take(files(1))
    two.take(files(2))
    vault = two.open()
    list_name = condemned.name("0" * 32)
    two.storages[1].put_if_absent(list_name, [b"no list"])
    again = two.take(files(1), base=base.id)
    assert again.totals.new > 400_000
    assert condemned.read(two.storages[1], vault.notary).unknown
    pruned(two, last=5)
    assert not condemned.read(two.storages[1], vault.notary).unknown
    assert two.storages[1].head(list_name) is None
    two.require_whole()


def _die(*_):
    raise RuntimeError("killed")


def test_a_prune_that_does_not_know_where_a_copy_comes_from_trims_no_log_that_it_brought(two):
    """The copy takes days: the log lies there, the point that needs it does not, and what is kept there is younger than both."""
    near, far = two.storages
    alone(two, 0).log(0, b"a" * 100)
    point = alone(two, 0).take(files(1))

    def days_go_by(*_):
        two.clock.added += dt.timedelta(days=9)
        alone(two, 1).take(files(2))
        vault = alone(two, 1).open()
        prune.run(vault, prune.make(vault, {"orders": Keep(last=1)}, zone=dt.UTC, grace=dt.timedelta(hours=1)), most=1)

    fault = Fault("put", act=days_go_by, prefix="logs/", late=True)
    assert copy(near, Faulty(far, fault)).points == 1
    assert fault.fired == 1
    assert point.id in alone(two, 1).require_whole()
    assert two.names("logs/", 1) == two.names("logs/") != []
    assert [name for name in two.names("points/", 1) if name.endswith(names.COMING)] == []


def test_a_rebuilt_location_is_no_day_old_under_keep(tmp_path):
    """All of its objects bear one date; the points and the log are as old as they were."""
    depot = Depot(tmp_path / "cache", lambda clock: [MemoryStorage(clock, "near"), MemoryStorage(clock, "far")])
    depot.log(0, b"a" * 100)
    taken = []
    for _ in range(3):
        depot.clock.added += dt.timedelta(days=1)
        depot.log(100 * (len(taken) + 1), b"b" * 100)
        taken.append(depot.take(files(len(taken))))
    depot.clock.added += dt.timedelta(days=3)
    keep = {"orders": Keep(daily=2)}

    def planned():
        return prune.make(depot.open(), keep, zone=dt.UTC, grace=dt.timedelta(hours=1))

    before = planned()
    depot.storages[1] = MemoryStorage(depot.clock, "anew")
    copy(depot.storages[0], depot.storages[1])
    after = planned()
    assert after.decisions == before.decisions
    assert after.drop == before.drop == (taken[0].id,)
    assert after.logs == before.logs != ()
    vault = depot.open()
    prune.run(vault, after, most=1)
    assert depot.require_whole() == [one.id for one in taken[1:]]
    assert depot.names("logs/") == depot.names("logs/", 1)
