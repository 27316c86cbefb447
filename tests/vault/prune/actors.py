"""A small platform whose actors the scheduler interleaves: backups with their logs, prunes, copies, over two locations in memory."""

import contextlib
import datetime as dt
import itertools
import tempfile
from pathlib import Path

from holdfast.model import Entry
from holdfast.storage.memory import MemoryStorage
from holdfast.vault import Vault, prune
from holdfast.vault.copy import copy
from holdfast.vault.errors import PackMissing, SessionAborted
from holdfast.vault.format import envelope, names
from holdfast.vault.logs import SystemLogs
from holdfast.vault.points.retention import Keep, NothingProvedLeft
from tests.vault.prune.interleave import Actor, Gated, Scheduler
from tests.vault_care.conftest import SECRET, Depot, Shifted, files

NONE = dt.timedelta(0)
ENDS = (SessionAborted, NothingProvedLeft)
"""How a backup or a prune may end beside others."""
HOURS = dt.timedelta(hours=2)
WEEK = dt.timedelta(days=8)


class Skewed(Shifted):
    """A host's clock: the stores' own, a little off."""

    def __init__(self, true: Shifted, off: dt.timedelta) -> None:
        self._true = true
        self._off = off

    def now(self) -> dt.datetime:
        return self._true.now() + self._off


class Platform:
    """``check`` is true at every step; ``judge`` at the end, by everything restored."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.depot = Depot(folder / "cache", lambda clock: [MemoryStorage(clock, "near"), MemoryStorage(clock, "far")])
        self.scheduler = Scheduler(seed, self.check)
        self.random = self.scheduler.random
        self.numbers = itertools.count(1)
        self.needs: dict[tuple[str, int], frozenset[str]] = {}
        self.done: list[str] = []

    # ------------------------------------------------------------ actors

    def begin(self, kind: str) -> None:
        """``back_up``, ``prune`` or ``copy``, somewhere."""
        actor = self.scheduler.actor(kind)
        number = next(self.numbers)
        rnd = self.random
        if kind == "copy":
            source, target = rnd.sample(self.depot.storages, 2)
            gated = [Gated(source, actor), Gated(target, actor)]
            self.close(gated)
            self.scheduler.start(actor, lambda: self._copy(*gated))
            return
        chosen = rnd.choice(([0, 1], [1, 0], [0, 1], [0], [1]))
        gated = [Gated(self.depot.storages[one], actor) for one in chosen]
        clock = Skewed(self.depot.clock, dt.timedelta(minutes=rnd.choice((-4, 0, 4))))
        vault = Vault.open(gated, SECRET, clock=clock, cache=self.folder / f"cache{number}")
        seed, last = rnd.randint(0, 2), rnd.choice((1, 1, 2))
        bases = vault.points()
        base = rnd.choice(bases) if bases and rnd.random() < 0.7 else None
        reader = vault.reader(base) if base else None
        self.close(gated)
        if kind == "prune":
            self.scheduler.start(actor, lambda: self._prune(vault, last))
        else:
            self.scheduler.start(actor, lambda: self._back_up(vault, seed, number, reader))

    @staticmethod
    def close(gated) -> None:
        for one in gated:
            one.open = False

    def _back_up(self, vault, seed, number, base) -> None:
        content = files(seed, 2, 3000)
        with vault.begin(system="orders", kind="postgres", base=base, workers=1) as writer, self._too_late(writer):
            for path, data in content.items():
                writer.add(Entry(path, size=len(data)), data)
            writer.flush()
            start, branch = 1000 * number, f"b{number}"
            logs = SystemLogs(vault.locations, vault.notary, vault.clock, "orders")
            with logs.writer(branch) as log:
                log.append(start, bytes(100), {})
                log.append(start + 100, bytes(100), {})
            # The ledger first: what commits and dies before it can say so counts.
            self.depot.points[writer.session] = content
            writer.commit(kind="postgres", start={"at": start}, stop={"at": start + 200}, logs=branch)

    @contextlib.contextmanager
    def _too_late(self, writer):
        """Who slept for longer than its lease may find its base gone before it hears that it was aborted."""
        try:
            yield
        except PackMissing as error:
            held = [storage.objects.get(names.point(writer.session)) for storage in self.depot.storages]
            if any(one is not None and envelope.parse(names.point(writer.session), one[0]).kind == "abort" for one in held):
                raise SessionAborted(error.message) from error
            raise

    def _prune(self, vault, last) -> None:
        plan = prune.make(vault, {"orders": Keep(last=last)}, zone=dt.UTC, grace=NONE, begins=lambda point: point.start["at"])
        prune.run(vault, plan, most=1)

    @staticmethod
    def _copy(source, target) -> None:
        copy(source, target)

    # ------------------------------------------------------------ judging

    def check(self) -> None:
        """Each listed point has all of its packs, in every location by itself; by its own signed list, without a key."""
        for storage in self.depot.storages:
            held = dict(storage.objects)
            for name, (data, _) in held.items():
                parsed = names.parse_point(name)
                if parsed is None or parsed[1] or names.dropped(parsed[0]) in held:
                    continue
                key = (name, len(data))
                if key not in self.needs:
                    opened = envelope.parse(name, data)
                    packs = (opened.packs[at : at + 48] for at in range(0, len(opened.packs), 48))
                    self.needs[key] = frozenset(names.pack(one[:16], one[16:]) for one in packs)
                missing = [pack for pack in self.needs[key] if pack not in held]
                assert not missing, f"{name} in {storage.url} lacks {missing} after {self.scheduler.steps} steps"

    def judge(self) -> int:
        """Everything that any location lists comes back, from that location alone, with its log; returns how many points that were."""
        count = 0
        for number, storage in enumerate(self.depot.storages):
            alone = Depot.__new__(Depot)
            alone.__dict__ |= self.depot.__dict__ | {"storages": [storage], "cache": self.folder / f"judge{number}"}
            vault = alone.open()
            count += len(alone.require_whole(vault=vault))
            assert vault.damaged == []
            logs = SystemLogs(vault.locations, vault.notary, vault.clock, "orders")
            for point in vault.points():
                logs.reader(point.logs).require(point.start["at"], point.stop["at"])
        return count


def play(seed: int, happenings: int = 60) -> Platform:
    """A random order of events; AssertionError for what must not happen."""
    with tempfile.TemporaryDirectory(prefix="holdfast-interleaved-") as folder:
        platform = Platform(Path(folder), seed)
        scheduler, rnd = platform.scheduler, platform.random
        for _ in range(happenings):
            if len(scheduler.actors) < 3 and rnd.random() < 0.5:
                platform.begin(rnd.choice(("back_up", "back_up", "prune", "prune", "copy")))
            elif scheduler.actors:
                actor: Actor = rnd.choice(scheduler.actors)
                if rnd.random() < 0.04:
                    scheduler.kill(actor)
                    continue
                for _ in range(rnd.choice((1, 3, 10, 40, 150))):
                    if actor in scheduler.actors:
                        scheduler.step(actor)
            if rnd.random() < 0.06:
                platform.depot.clock.added += rnd.choice((HOURS, HOURS, WEEK))
        while scheduler.actors:
            scheduler.step(scheduler.actors[0])
        for kind, error in scheduler.ends:
            assert error is None or isinstance(error, ENDS), (kind, error)
        platform.listed = platform.judge()
        return platform
