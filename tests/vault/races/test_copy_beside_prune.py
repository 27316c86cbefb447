"""A copy and a prune of its target, in the orders in which a point could come to stand there without its packs."""

import datetime as dt
from collections.abc import Callable

import pytest

from holdfast.storage.wrappers.base import Wrapper
from holdfast.vault import Vault, prune
from holdfast.vault.copy import copy
from holdfast.vault.format import names
from holdfast.vault.points.retention import Keep
from holdfast.vault.prune.drop import LEASE, make_abort
from tests.vault.races.meddling import Changes
from tests.vault.races.scene import with_cut
from tests.vault_care.conftest import SECRET, depot, files

__all__ = ["depot"]


class Hooked(Wrapper):
    """``before`` and ``after`` hear of each call."""

    def __init__(self, inner, before: Callable[[str, str], None] = lambda *_: None, after: Callable[[str, str], None] = lambda *_: None):
        super().__init__(inner)
        self.before, self.after = before, after

    def get(self, name, start=0, length=None):
        self.before("get", name)
        return self.inner.get(name, start, length)

    def put_if_absent(self, name, parts):
        self.before("put", name)
        self.inner.put_if_absent(name, parts)

    def list(self, prefix="", after=""):
        self.before("list", prefix)
        found = list(self.inner.list(prefix, after))
        self.after("list", prefix)
        yield from found


class Lagging:
    """far holds the packs of ``point`` but not the point: it lacked an earlier one when that was taken."""

    def __init__(self, depot):
        self.depot = depot
        self.near, self.far = depot.storages
        alone = Vault.open([self.near], SECRET, clock=depot.clock, cache=depot.cache)
        depot.take(files(1, 2, 3000), vault=alone)
        self.point = depot.take(files(2, 2, 3000))
        self.name, self.coming = names.point(self.point.id), names.coming(self.point.id)
        assert self.name not in self.far.objects
        assert any(name.startswith(names.PACKS) for name in self.far.objects)
        self.data = self.near.get(self.name)

    def prune_far(self, wrap=lambda storage: storage):
        vault = Vault.open([wrap(self.far)], SECRET, clock=self.depot.clock, cache=self.depot.cache / "far")
        plan = prune.make(vault, {"orders": Keep(last=9)}, zone=dt.UTC, grace=dt.timedelta(0))
        prune.run(vault, plan, most=1)

    def require_whole(self):
        vault = Vault.open([self.far], SECRET, clock=self.depot.clock, cache=self.depot.cache / "judge")
        self.depot.require_whole(vault=vault)
        return {point.id for point in vault.points()}


@pytest.fixture
def lagging(depot):
    return Lagging(depot)


@pytest.mark.parametrize("torn", [False, True])
def test_a_staged_point_that_arrives_while_a_prune_reads_what_it_listed_is_needed(lagging, torn):
    """Staged behind the prune's first look and before its list; when the verdict is made the point takes the staged object's place."""

    def arrive():
        lagging.far.put_if_absent(lagging.name, [lagging.data])
        lagging.far.delete(lagging.coming)

    def before(verb, name):
        if verb == "put" and name.startswith(names.CONDEMNED) and "." not in name:
            lagging.far.put_if_absent(lagging.coming, [lagging.data])
        elif (verb, name) == ("get", lagging.coming) and not torn and lagging.coming in lagging.far.objects:
            arrive()

    def after(verb, name):
        if torn and (verb, name) == ("list", names.POINTS) and lagging.coming in lagging.far.objects:
            arrive()

    lagging.prune_far(lambda storage: Hooked(storage, before, after))
    assert lagging.coming not in lagging.far.objects
    assert lagging.point.id in lagging.require_whole()


class Torn(Wrapper):
    """The first listing of points after ``when`` is true is torn: points are told as they were, the rest as it is after ``act``."""

    def __init__(self, inner, when, act):
        super().__init__(inner)
        self.when, self.act = when, act

    def list(self, prefix="", after=""):
        found = list(self.inner.list(prefix, after))
        if prefix == names.POINTS and self.when():
            self.act()
            now = list(self.inner.list(prefix, after))
            found = [one for one in found if "." not in one.name] + [one for one in now if "." in one.name]
        yield from found


def test_a_listing_that_sees_neither_the_staged_point_nor_the_point_is_not_the_only_one(lagging):
    """A listing may miss what is put while it is made, and see no more what is removed then."""

    def arrive():
        lagging.far.put_if_absent(lagging.name, [lagging.data])
        lagging.far.delete(lagging.coming)

    def before(verb, name):
        if verb == "put" and name.startswith(names.CONDEMNED) and "." not in name:
            lagging.far.put_if_absent(lagging.coming, [lagging.data])

    when = lambda: lagging.coming in lagging.far.objects and any(name.endswith(".behind") for name in lagging.far.objects)  # noqa: E731
    lagging.prune_far(lambda storage: Hooked(Torn(storage, when, arrive), before))
    assert lagging.point.id in lagging.require_whole()


def test_a_copy_that_was_cut_off_before_a_point_that_came_too_late_goes_on_staged(lagging):
    """What the first try staged protects what the point needs while the second one brings packs."""
    opened = lagging.depot.open()
    lagging.far.put_if_absent(lagging.name, [make_abort(opened, lagging.point.id, LEASE)])
    lagging.far.put_if_absent(lagging.coming, [lagging.data])
    seen = []

    def before(verb, name):
        if verb == "list" and name == names.CONDEMNED:
            seen.append(lagging.coming in lagging.far.objects)

    copy([lagging.near], Hooked(lagging.far, before))
    assert seen == [True, True]  # before packs are brought, and when the abort has made way
    assert lagging.coming not in lagging.far.objects
    assert lagging.point.id in lagging.require_whole()


class Removing(Hooked):
    """Before and after the first removal of ``name`` something else happens."""

    def __init__(self, inner, name, first, then):
        super().__init__(inner)
        self.name, self.acts = name, [first, then]

    def delete(self, name):
        if name == self.name and self.acts:
            first, then = self.acts
            self.acts = []
            first()
            self.inner.delete(name)
            then()
        else:
            self.inner.delete(name)


def test_of_two_copies_that_replace_an_abort_the_second_one_sees_what_a_prune_took_meanwhile(lagging):
    """The first puts the point and removes what was staged; the second, which saw the abort, removes the point: a prune sees neither."""
    depot = lagging.depot
    lagging.far.put_if_absent(lagging.name, [make_abort(depot.open(), lagging.point.id, LEASE)])
    slow = Removing(lagging.far, lagging.name, lambda: copy([lagging.near], lagging.far), lagging.prune_far)
    done = copy([lagging.near], slow)
    assert slow.acts == []
    assert lagging.point.id not in lagging.require_whole()
    assert [one.partition(":")[0] for one in done.later] == [lagging.name]
    assert lagging.coming in lagging.far.objects
    # The prune comes to its end; then the point comes with its packs.
    for _ in range(2):
        depot.clock.added += dt.timedelta(days=8)
        lagging.prune_far()
    assert copy([lagging.near], lagging.far).refused == []
    assert lagging.point.id in lagging.require_whole()
    assert lagging.coming not in lagging.far.objects


def test_of_two_copies_that_replace_an_abort_both_end_well_where_nobody_prunes(lagging):
    lagging.far.put_if_absent(lagging.name, [make_abort(lagging.depot.open(), lagging.point.id, LEASE)])
    slow = Removing(lagging.far, lagging.name, lambda: copy([lagging.near], lagging.far), lambda: None)
    assert copy([lagging.near], slow).refused == []
    assert lagging.coming not in lagging.far.objects
    assert lagging.point.id in lagging.require_whole()


def test_what_another_copy_staged_for_a_point_that_came_too_late_stays(lagging):
    """Its abort is about to make way for the point."""
    opened = lagging.depot.open()
    abort = make_abort(opened, lagging.point.id, LEASE)
    lagging.far.put_if_absent(lagging.name, [abort])
    lagging.far.put_if_absent(lagging.coming, [lagging.data])
    lagging.near.delete(lagging.name)
    lagging.near.put_if_absent(lagging.name, [abort])
    copy([lagging.near], lagging.far)
    assert lagging.coming in lagging.far.objects


def test_a_pack_that_is_deleted_behind_the_listing_is_brought_again(lagging):
    """Its list is forgotten at once, as its verdict is old: whoever lists packs first and looks at the lists then sees neither."""
    depot = lagging.depot
    with_cut(lagging.prune_far, Changes(0, "delete", names.PACKS))
    depot.clock.added += dt.timedelta(days=8)
    slept = []

    def after(verb, name):
        if (verb, name) == ("list", names.PACKS) and not slept:
            slept.append(True)
            lagging.prune_far()

    done = copy([lagging.near], Hooked(lagging.far, after=after))
    assert slept
    assert done.refused == []
    lagging.require_whole()
    assert copy([lagging.near], lagging.far).refused == []
    assert lagging.point.id in lagging.require_whole()
