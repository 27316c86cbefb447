"""Writers, prunes, crashes and clocks in any order: no point that is listed ever loses a byte.

A prune may be interrupted at any of its calls by a crash, by a whole backup, or by the commit of a session that slept until then.
"""

import datetime as dt
import shutil
import tempfile

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from holdfast.model import Entry
from holdfast.storage.memory import MemoryStorage
from holdfast.storage.wrappers.faults import Fault, Faulty
from holdfast.vault import prune
from holdfast.vault.errors import Condemned, PackMissing, SessionAborted
from holdfast.vault.points.retention import Keep, NothingProvedLeft
from tests.vault_care.conftest import Depot, files

seeds = st.integers(0, 1)


class Crash(BaseException):
    pass


class Platform(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.depot = Depot(self.folder, lambda clock: [MemoryStorage(clock, "near"), MemoryStorage(clock, "far")])
        self.open = []
        self.refused = self.crashed = 0

    def teardown(self):
        for writer, _ in self.open:
            writer.abort()
        shutil.rmtree(self.folder)

    def begin(self, seed):
        vault = self.depot.open()
        points = vault.points()
        writer = vault.begin(system="orders", kind="postgres", base=vault.reader(points[-1]) if points else None)
        content = files(seed, 2, 3000)
        for path, data in content.items():
            writer.add(Entry(path, size=len(data)), data)
        return writer, content

    def commit(self, writer, content):
        try:
            point = writer.commit(kind="postgres", start={}, stop={})
        except (SessionAborted, Condemned, PackMissing):
            self.refused += 1
            return
        self.depot.points[point.id] = content

    @rule(seed=seeds)
    def back_up(self, seed):
        self.commit(*self.begin(seed))

    @precondition(lambda self: len(self.open) < 2)
    @rule(seed=seeds)
    def begin_and_sleep(self, seed):
        self.open.append(self.begin(seed))

    @precondition(lambda self: self.open)
    @rule()
    def wake_and_commit(self):
        self.commit(*self.open.pop(0))

    @precondition(lambda self: self.open)
    @rule()
    def die(self):
        self.open.pop(0)[0]._end(RuntimeError("killed"))

    @rule(hours=st.sampled_from([2, 30]))
    def time_passes(self, hours):
        self.depot.clock.added += dt.timedelta(hours=hours)

    @rule(
        last=st.sampled_from([1, 1, 2]),
        grace=st.sampled_from([dt.timedelta(0), dt.timedelta(0), dt.timedelta(days=1)]),
        at=st.integers(0, 120),
        happens=st.sampled_from(["nothing", "crash", "backup", "commit", "begin"]),
        seed=seeds,
    )
    def prune(self, last, grace, at, happens, seed):
        calls = [0]

        def interrupt(call, name):
            calls[0] -= 1
            if calls[0] == 0:
                if happens == "crash":
                    raise Crash
                if happens == "backup":
                    self.back_up_now(seed)
                elif happens == "begin" and len(self.open) < 2:
                    self.open.append(self.begin(seed))
                elif happens == "commit" and self.open:
                    self.wake_and_commit_now()

        vault = self.depot.open(lambda storage: Faulty(storage, Fault("*", act=interrupt, times=10**9)))
        calls[0] = at
        try:
            plan = prune.make(vault, {"orders": Keep(last=last)}, zone=dt.UTC, grace=grace)
            prune.run(vault, plan, most=1)
        except NothingProvedLeft:
            self.refused += 1
        except Crash:
            self.crashed += 1

    def back_up_now(self, seed):
        self.commit(*self.begin(seed))

    def wake_and_commit_now(self):
        self.commit(*self.open.pop(0))

    @invariant()
    def every_listed_point_is_whole_in_each_location(self):
        self.depot.require_whole()

    @invariant()
    def the_newest_point_stays(self):
        listed = [point.id for point in self.depot.open().points()]
        assert bool(listed) == bool(self.depot.points)


Platform.TestCase.settings = settings(
    max_examples=12, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
TestPlatform = Platform.TestCase
