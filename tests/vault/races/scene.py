"""A vault of two locations in which everything that can be under way is under way. Made once; each trial begins with it anew."""

import contextlib
import datetime as dt
import itertools
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.model import Entry
from holdfast.storage.contract import ObjectExists, Storage
from holdfast.storage.memory import MemoryStorage
from holdfast.vault import Vault, prune
from holdfast.vault.copy import copy
from holdfast.vault.format import names
from holdfast.vault.keys.keyring import Keyring
from holdfast.vault.keys.ring import RingMemory
from holdfast.vault.logs import SystemLogs
from holdfast.vault.logs.compact import compact_system
from holdfast.vault.packs import damage
from holdfast.vault.points import holds
from holdfast.vault.points.retention import Keep
from holdfast.vault.prune.drop import LEASE, make_abort
from holdfast.vault.records.copies import RecordCopies
from holdfast.vault.records.proofs import Proofs
from tests.vault.races.meddling import Changes, Cut, Cutting
from tests.vault_care.conftest import CHEAP, SECRET, Depot, files

DAY = dt.timedelta(days=1)
NONE = dt.timedelta(0)
OTHER, SCOPED = "other passphrase", "passphrase of the scope"
SMALL = 12
"""Bytes of each increment of the log."""
Wrap = Callable[[Storage], Storage]


def plain(storage: Storage) -> Storage:
    return storage


def begins(point):
    return int(point.start["lsn"].partition("/")[2], 16)


@dataclass
class Scene:
    """``kept``: points that no deed may lose."""

    folder: Path
    depot: Depot = field(init=False)
    kept: set[str] = field(init=False)
    held: str = field(init=False)
    running: tuple[str, bytes] = field(init=False)
    """The point of the session that runs: its name, and what its commit will put."""

    def __post_init__(self) -> None:
        self.depot = Depot(self.folder / "cache", lambda clock: [MemoryStorage(clock, "near"), MemoryStorage(clock, "far")])
        self._caches = itertools.count()
        self._make()
        self._objects = [dict(storage.objects) for storage in self.storages]
        self._added = self.depot.clock.added
        self._points = dict(self.depot.points)
        self._kept = set(self.kept)

    @property
    def storages(self) -> list[MemoryStorage]:
        return self.depot.storages

    def reset(self) -> None:
        for storage, objects in zip(self.storages, self._objects, strict=True):
            storage.objects = dict(objects)
        self.depot.clock.added = self._added
        self.depot.points = dict(self._points)
        self.kept = set(self._kept)
        shutil.rmtree(self.folder / "caches", ignore_errors=True)

    def pass_time(self, time: dt.timedelta) -> None:
        self.depot.clock.added += time

    def open(self, wrap: Wrap = plain, places: Sequence[int] = (0, 1), secret: str = SECRET, **options) -> Vault:
        """Each a host of its own, with nothing in its cache."""
        cache = self.folder / "caches" / str(next(self._caches))
        return Vault.open([wrap(self.storages[one]) for one in places], secret, clock=self.depot.clock, cache=cache, **options)

    # ------------------------------------------------------------ work that anybody does

    def take(self, seed: int, wrap: Wrap = plain, places: Sequence[int] = (0, 1), base: str | None = None, vault: Vault | None = None):
        vault = vault or self.open(wrap, places)
        content = files(seed % 3, 2, 3000) | files(seed, 1, 4000)
        with vault.begin(system="orders", kind="postgres", base=vault.point(base) if base else None, workers=1) as writer:
            for path, data in content.items():
                writer.add(Entry(path, size=len(data)), data)
            writer.flush()
            self.depot.points[writer.session] = content
            return writer.commit(kind="postgres", start={"lsn": "0/64"}, stop={"lsn": "0/70"}, logs="main")

    def prune(self, wrap: Wrap = plain, places: Sequence[int] = (0, 1), last: int = 4) -> None:
        vault = self.open(wrap, places)
        plan = prune.make(vault, {"orders": Keep(last=last)}, zone=dt.UTC, grace=NONE, begins=begins)
        prune.run(vault, plan, most=1)

    def follow(self, wrap: Wrap = plain, start: int | None = None, *, lines: int = 1) -> None:
        vault = self.open(wrap)
        logs = SystemLogs(vault.locations, vault.notary, vault.clock, "orders")
        with logs.writer("main") as writer:
            at = (writer.end or 100) if start is None else start
            for number in range(lines):
                writer.append(at + SMALL * number, log_bytes(at + SMALL * number, SMALL), {})

    def compact(self, wrap: Wrap = plain) -> None:
        vault = self.open(wrap)
        compact_system(vault.locations.storages, vault.notary, vault.clock, system="orders", merge=lambda metas: metas[0])

    def keys(self, wrap: Wrap = plain) -> Keyring:
        vault = self.open(wrap)
        return Keyring(vault.locations, vault.notary, CHEAP, opened_by=vault.opened_by, memory=RingMemory(vault.cache))

    def commit(self) -> None:
        """What the session that runs does last."""
        # far lacked points when it began, so near alone is its member.
        name, data = self.running
        with contextlib.suppress(ObjectExists):
            self.storages[0].put_if_absent(name, [data])

    # ------------------------------------------------------------ judging

    def restore(self, vault: Vault, wanted: str) -> None:
        """With its log; byte for byte."""
        reader = vault.point(wanted)
        got = {stored.entry.path: reader.read(stored) for stored in reader.entries()}
        assert got == self.depot.points[wanted]

    def require_whole(self, storages: Sequence[Storage]) -> None:
        """Each location by itself restores what it lists; what must not be lost is in one of them."""
        found: set[str] = set()
        for storage in storages:
            cache = self.folder / "caches" / str(next(self._caches))
            vault = Vault.open([storage], SECRET, clock=self.depot.clock, cache=cache)
            points = vault.points()
            assert vault.damaged == [], (storage.url, vault.damaged)
            for point in points:
                self.restore(vault, point.id)
            found |= {point.id for point in points}
        assert self.kept <= found, self.kept - found

    # ------------------------------------------------------------ what the scene holds

    def _make(self) -> None:
        clock, near, far = self.depot.clock, *self.storages
        clock.added = -20 * DAY
        keys = self.keys()
        keys.add(OTHER, label="other", now=clock.now())
        gone = keys.add("gone passphrase", label="gone", now=clock.now())
        keys.add("host passphrase", role="writer", label="host", now=clock.now())
        keys.scopes.add("vaulted", SCOPED, now=clock.now())
        keys.rotate()
        keys.remove(gone.id)
        self._records()
        self.follow(lines=10)
        first = self.take(1)
        second = self.take(2, base=first.id)
        self.pass_time(5 * DAY)
        third = self.take(3, base=second.id)
        self.follow(lines=3)
        self.compact()
        self.pass_time(2 * DAY)
        # A list whose verdict is more than a week old, and whose dead are gone: the next prune forgets it.
        self._killed(1)
        self.pass_time(DAY / 4)
        self.prune(last=9)
        self.pass_time(8 * DAY)
        vault = self.open()
        self.held = holds.place(vault.locations, vault.notary, vault.clock, second.id, "for the auditor").id
        hold = holds.place(vault.locations, vault.notary, vault.clock, third.id, "a while")
        holds.release(vault.locations, vault.notary, vault.clock, hold.id, "over")
        fourth = self.take(4, base=third.id)
        self.follow(lines=9)
        fifth = self.take(6, base=fourth.id)
        self.pass_time(2 * DAY)
        sixth = self.take(7, base=fifth.id)
        # Only near has these; far waits for a copy, which was cut off while it brought the first one.
        seventh = self.take(8, places=(0,), base=sixth.id)
        eighth = self.take(9, places=(0,), base=seventh.id)
        self._killed(20)
        self.pass_time(DAY / 4)
        # A prune gave its verdict and died before it deleted anything in far; another one waits for a session that runs.
        with_cut(lambda wrap: self.prune(wrap, last=9), Changes(1, "delete", names.PACKS))
        with_cut(lambda wrap: copy([near], wrap(far)), Changes(0, "put", names.PACKS))
        opened = self.open()
        far.put_if_absent(names.point(eighth.id), [make_abort(opened, eighth.id, LEASE)])
        self._killed(10)
        self.pass_time(DAY / 4)
        last = self.take(11)
        self.running = names.point(last.id), near.get(names.point(last.id))
        for storage in self.storages:
            storage.delete(names.point(last.id))
        self.prune(last=9)
        # What a check found, by a while sound again.
        pack = next(name for name in near.objects if name.startswith(names.PACKS))
        parsed = names.parse_pack(pack)
        assert parsed is not None
        damage.put(near, opened.notary, parsed[0] + parsed[1], damage.BYTES, clock.now())
        # A prune died in the middle of a drop.
        with_cut(lambda wrap: self.prune(wrap, last=6), Changes(1, "delete", names.POINTS))
        self.kept = {second.id, eighth.id}

    def _records(self) -> None:
        vault = self.open()
        for storage in vault.locations.storages:
            records = RecordCopies(storage, vault.notary, vault.clock.now)
            for number in range(2):
                records.put(f"{names.JOURNAL}aa/{number:016x}", b"line %d\n" % number)
            records.put_plan("platform: shop\n", "first")
            records.put_runbooks({"a.yaml": "steps: []"})
            proofs = Proofs(storage, vault.notary, vault.clock.now)
            proofs.put_host("0123456789abcdef", {"host": "a"})
            proofs.put_anchor("aa", 1, {"n": 1})
            proofs.put_evidence("aa", 1, b"{}")

    def _killed(self, seed: int) -> None:
        """A backup that died before its commit: nobody needs what it stored."""
        with_cut(lambda wrap: self.take(seed + 100, wrap), Changes(0, "put", names.POINTS))


def with_cut(work: Callable[[Wrap], object], changes: Changes) -> None:
    try:
        work(lambda storage: Cutting(storage, changes))
    except Cut:
        return


def log_bytes(start: int, length: int) -> bytes:
    """What the log holds at a position: the same whoever writes it."""
    return bytes((start + number) * 7 % 251 for number in range(length))
