"""Locks made longer: what a new point reuses, before it is committed; what compaction made; increments that nobody compacted."""

import contextlib
import datetime as dt
import hashlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from holdfast.model import Increment
from holdfast.storage.contract import KeepsVersions, ObjectMissing, Storage, versions_of
from holdfast.vault.format import names
from holdfast.vault.lock.policy import LOG_TERM, slack

_THREADS = 16
MARGIN = dt.timedelta(minutes=15)
"""From the look at the locks to the moment when the point is put, and what the store's clock may jump meanwhile."""
_ROUNDING = dt.timedelta(minutes=1)
Wanted = tuple[str, dt.datetime, dt.datetime]
"""(name, lock it until then, unless it is locked until then at least)."""
_KNOWN = dt.timedelta(minutes=10)
"""Increments may bear a time a little before the session's begin: hosts' and stores' clocks differ."""


class LockBook:
    """How far locks are known to reach, by location and name. Locks only grow, so what it says stays true; losing it costs questions."""

    def __init__(self, folder: Path | None, layer: KeepsVersions) -> None:
        """``folder`` None: forgotten when it is closed."""
        self._path = Path(":memory:")
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path = folder / f"locks-{hashlib.sha256(layer.url.encode()).hexdigest()[:16]}.sqlite"
        self._guard = threading.Lock()
        self._open()

    def _open(self) -> None:
        try:
            self._make()
        except sqlite3.DatabaseError:
            self._path.unlink(missing_ok=True)
            self._make()

    def _make(self) -> None:
        self._book = sqlite3.connect(self._path, timeout=60, check_same_thread=False, isolation_level=None)
        self._book.execute("pragma synchronous = off")
        self._book.execute("create table if not exists locks (name text primary key, until real not null) without rowid")

    def known(self, wanted: Iterable[str]) -> dict[str, dt.datetime]:
        found = {}
        with self._guard:
            for name in wanted:
                row = self._book.execute("select until from locks where name = ?", (name,)).fetchone()
                if row is not None:
                    found[name] = dt.datetime.fromtimestamp(row[0], dt.UTC)
        return found

    def note(self, learnt: dict[str, dt.datetime]) -> None:
        with self._guard, self._transaction():
            self._book.executemany(
                "insert or replace into locks values (?, ?)", [(name, until.timestamp()) for name, until in learnt.items()]
            )

    def forget(self) -> None:
        """Another store may stand at this address now."""
        with self._guard:
            self._book.execute("delete from locks")

    def close(self) -> None:
        with self._guard:
            self._book.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._book.execute("begin immediate")
        with self._book:  # commits, or rolls back: also where the commit itself fails
            yield


def before_commit(
    storages: Sequence[Storage],
    cache: Path,
    *,
    reused: Iterable[str],
    fresh: Callable[[], Iterable[str]],
    age: dt.timedelta,
    system: str,
    gone: Callable[[str], bool] = lambda _: False,
) -> int:
    """Everything that the point about to be put needs is locked at least as long as it will be, in every location that locks.

    ``reused``: names of packs that earlier sessions stored; ``fresh``: those of this session, which began ``age`` ago; ``system``: its tag;
    ``gone``: keys that were taken out of force, whose locks are left to end.
    Besides: keys, configuration, index, holds, the newest plan, runbooks and suites, and the log from the session's begin on. Returns how
    many locks were extended. Raises ObjectMissing for a pack that is gone, and the storages' errors: then nothing may be committed.
    """
    count = 0
    packs = list(reused)
    for storage in storages:
        layer = versions_of(storage)
        if layer is None or layer.lock is None:
            continue
        needed = [*packs, *(fresh() if age > slack(layer.lock) - 2 * MARGIN else ())]
        book = LockBook(cache, layer)
        try:
            count += _reach(layer, book, needed, _foundation(storage, gone))
            count += _logs(storage, layer, book, system, layer.time() - age - _KNOWN)
        finally:
            book.close()
    return count


def before_copied(target: Storage, packs: Iterable[str], known: dict[str, dt.datetime]) -> None:
    """The packs of a point that is about to be copied are locked there as long as the point will be.

    ``known`` remembers for one run which locks reach how far; a cache of this host may speak of another machine's doings.
    """
    layer = versions_of(target)
    if layer is None or layer.lock is None:
        return
    least = layer.time() + layer.lock.term + MARGIN
    early = dt.datetime.min.replace(tzinfo=dt.UTC)
    for name in packs:
        if known.get(name, early) < least:
            known[name] = layer.extend(name, least + slack(layer.lock), least)


def hold_full(storages: Sequence[Storage], wanted: Iterable[str]) -> None:
    """Lock objects for all days from now on: for a large log increment, before it stands for the small ones that it joins."""
    asked = list(wanted)
    for storage in storages:
        layer = versions_of(storage)
        if layer is not None and layer.lock is not None:
            until = layer.time() + layer.lock.term
            for name in asked:
                with contextlib.suppress(ObjectMissing):  # pruned since, for a larger one
                    layer.extend(name, until)


def keep_logs(storages: Sequence[Storage], cache: Path | None, system: str) -> int:
    """Increments that nobody compacted in time are held for all their days, one by one; returns how many. ``system``: its tag.

    For whoever follows a log between commits: a compaction that never comes must not cost the log its protection.
    """
    count = 0
    for storage in storages:
        layer = versions_of(storage)
        if layer is not None and layer.lock is not None:
            book = LockBook(cache, layer)
            try:
                count += _logs(storage, layer, book, system, None)
            finally:
                book.close()
    return count


def _foundation(storage: Storage, gone: Callable[[str], bool]) -> list[str]:
    """What every point needs, and what speaks for it: without these the packs could not be opened or found."""
    found = [
        info.name
        for prefix in ("keys/", names.INDEX, names.HOLDS)
        for info in storage.list(prefix)
        if not info.name.startswith(names.SHREDS) and not (prefix == "keys/" and gone(info.name))
    ]
    newest: dict[str, str] = {}
    for info in storage.list(names.PLAN):
        what = info.name.partition(".")[2]  # the plan itself, its runbooks, its suites
        newest[what] = max(newest.get(what, ""), info.name)
    return [names.CONFIG, "FORMAT.md", "decoder.py", *found, *newest.values()]


def _reach(layer: KeepsVersions, book: LockBook, packs: Sequence[str], others: Sequence[str]) -> int:
    assert layer.lock is not None
    least = layer.time() + layer.lock.term + MARGIN
    _require_true(layer, book, packs)
    known = book.known((*packs, *others))
    early = dt.datetime.min.replace(tzinfo=dt.UTC)

    def wanted(asked: Sequence[str]) -> list[Wanted]:
        return [(name, least + slack(layer.lock), least) for name in asked if layer.lock and known.get(name, early) < least]

    return extend(layer, book, wanted(packs), required=True) + extend(layer, book, wanted(others), required=False)


def _require_true(layer: KeepsVersions, book: LockBook, packs: Sequence[str]) -> None:
    """Whether the book speaks of this store: two of its entries are asked for, and one that is not so makes all of it void."""
    for name, until in book.known((packs[0], packs[-1]) if packs else ()).items():
        held = layer.locked_until(name)
        if held is None or held < until - dt.timedelta(seconds=2):
            book.forget()
            return


def _logs(storage: Storage, layer: KeepsVersions, book: LockBook, system: str, since: dt.datetime | None) -> int:
    """Increments stored ``since`` are the point's own; older ones that no larger one covers would lose their short lock one day."""
    from holdfast.vault.logs.names import furthest, increments  # whose room uses this one

    assert layer.lock is not None
    now, term = layer.time(), layer.lock.term
    if term <= LOG_TERM and since is None:
        return 0
    wanted: dict[str, dt.datetime] = {}
    by_branch: dict[str, list[Increment]] = {}
    found = list(increments(storage.list(f"{names.LOGS}{system}/")))
    for one in found:
        by_branch.setdefault(one.name.rsplit("/", 1)[0], []).append(one)
        if since is not None and one.stored_at >= since:
            wanted[one.name] = now + term + MARGIN
    for branch in by_branch.values():
        for one in furthest(sorted(branch, key=lambda one: (one.start, one.end)), 0):
            if now - one.stored_at > LOG_TERM / 2 and one.stored_at + term > now:
                wanted[one.name] = max(one.stored_at + term, wanted.get(one.name, now))
    known = book.known(wanted)
    # Whole seconds of the store's clock: what was locked as it was put may seem a moment short.
    short = [(name, until, until - _ROUNDING) for name, until in wanted.items() if known.get(name, now) < until - _ROUNDING]
    return extend(layer, book, short, required=False)


def extend(layer: KeepsVersions, book: LockBook, wanted: Sequence[Wanted], *, required: bool) -> int:
    """Returns how many locks were made longer."""

    def one(ask: Wanted) -> tuple[str, dt.datetime, bool] | None:
        name, until, enough = ask
        try:
            ends = layer.extend(name, until, enough)
        except ObjectMissing:
            if required:
                raise
            return None  # pruned since it was listed
        return name, ends, ends == until

    if not wanted:
        return 0
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="holdfast-locks") as pool:
        done = [found for found in pool.map(one, wanted) if found is not None]
    book.note({name: ends for name, ends, _ in done})
    return sum(longer for _, _, longer in done)
