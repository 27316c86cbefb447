"""A copy that puts a point in the place of an abort, and a prune that gives the same point up, interleaved at every call that names it."""

import itertools

import pytest

from holdfast.storage.memory import MemoryStorage
from holdfast.storage.wrappers.base import Wrapper
from holdfast.vault.copy import copy
from holdfast.vault.format import names
from holdfast.vault.prune.drop import DROPPED, LEASE, drop_points, make_abort
from tests.vault.prune.interleave import Scheduler
from tests.vault_care.conftest import Depot, files


class Stopping(Wrapper):
    """Every call that names the point waits for the scheduler before it takes effect."""

    def __init__(self, inner, actor, name):
        super().__init__(inner)
        self.actor, self.name = actor, name

    def put_if_absent(self, name, parts):
        self.stop(name)
        self.inner.put_if_absent(name, parts)

    def get(self, name, start=0, length=None):
        self.stop(name)
        return self.inner.get(name, start, length)

    def head(self, name):
        self.stop(name)
        return self.inner.head(name)

    def delete(self, name):
        self.stop(name)
        self.inner.delete(name)

    def stop(self, name):
        if name.startswith(self.name):
            self.actor.gate()


class Given:
    """near holds a point; in far its session came too late. ``turns``: who goes on for how many of its calls, (who, None) to its end."""

    def __init__(self, folder):
        self.depot = Depot(folder, lambda clock: [MemoryStorage(clock, "near"), MemoryStorage(clock, "far")])
        self.point = self.depot.take(files(1, 1, 3000))
        self.name = names.point(self.point.id)
        near, far = self.depot.storages
        far.delete(self.name)
        far.put_if_absent(self.name, [make_abort(self.depot.open(), self.point.id, LEASE)])
        self.vault = self.depot.open()
        self.before = [dict(storage.objects) for storage in (near, far)]

    def play(self, turns, order):
        for storage, objects in zip(self.depot.storages, self.before, strict=True):
            storage.objects.clear()
            storage.objects.update(objects)
        scheduler = Scheduler(0, lambda: None)
        actors = {kind: scheduler.actor(kind) for kind in ("copy", "prune")}
        near, far = (Stopping(storage, actors["copy"], self.name) for storage in self.depot.storages)
        storages = [Stopping(storage, actors["prune"], self.name) for storage in self.depot.storages]
        started = {"copy": lambda: copy([near], far), "prune": lambda: drop_points(self.vault, storages[order], [self.point.id])}
        for kind, count in turns:
            if kind in started:
                scheduler.start(actors[kind], started.pop(kind))
            for _ in range(count) if count is not None else itertools.count():
                if actors[kind] not in scheduler.actors:
                    break
                scheduler.step(actors[kind])
        assert not scheduler.actors
        assert [error for _, error in scheduler.ends if error is not None] == []
        return {kind: actor.calls for kind, actor in actors.items()}

    def stand(self):
        """What stands under the point's name, by location."""
        checked = [self.vault.notary.check(self.name, storage.get(self.name)) for storage in self.depot.storages]
        return [str(one.clear.get("why", one.kind)) for one in checked]


@pytest.fixture
def given(tmp_path):
    return Given(tmp_path / "cache")


@pytest.mark.parametrize("first", ["near", "far"])
def test_a_point_that_was_given_up_does_not_come_back_by_a_copy_that_replaced_its_abort(given, first):
    """``first``: where the prune begins."""
    order = slice(None, None, 1 if first == "near" else -1)
    alone = given.play([("copy", None), ("prune", None)], order)
    assert min(alone.values()) > 5
    # Where the point lies goes first by itself; the other way round leaves more to happen, so all of that is tried.
    for copied, pruned in itertools.product(range(1, alone["copy"]), range(1, alone["prune"], 3 if first == "near" else 1)):
        counts = {"copy": copied, "prune": pruned}
        for begins, goes_on in (("copy", "prune"), ("prune", "copy")):
            turns = [(begins, counts[begins]), (goes_on, counts[goes_on]), (begins, None), (goes_on, None)]
            given.play(turns, order)
            assert given.stand() == [DROPPED, DROPPED], turns
            assert not [name for storage in given.depot.storages for name in storage.objects if name.startswith(given.name + ".")], turns
