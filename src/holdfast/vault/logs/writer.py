"""Appends to one branch: every increment durable in all its locations before the call returns."""

import contextlib
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

from holdfast.errors import Damaged, HoldfastError, Unreachable
from holdfast.model import Clock, Increment
from holdfast.storage.contract import Buffer, ObjectExists, ObjectMissing, Storage
from holdfast.vault.errors import NotBelieved, RoleLacking
from holdfast.vault.keys import SCOPE
from holdfast.vault.keys.notary import Notary
from holdfast.vault.locations import get_if_there
from holdfast.vault.lock.keeper import LogKeeper
from holdfast.vault.logs import body, names
from holdfast.vault.logs.ahead import Ahead
from holdfast.vault.logs.errors import LogConflict
from holdfast.vault.logs.late import CatchUp
from holdfast.vault.logs.lease import SECONDS, Lease
from holdfast.vault.logs.level import level, listed, reaches
from holdfast.vault.logs.marker import Marker

_TRIES = 5


class BranchWriter:
    """``storages`` are the locations that the tier demands; the first one holds the lease. Not thread-safe: one follower, one thread.

    A follower promises ``copies`` of them (None: all). One that fails and can be spared is gone on without, and brought back in the
    background (``lacking`` tells of it); where too few would be left its failure is raised. A backup (``by``) ships its own WAL for its
    point alone and goes on without a location that fails, as the point itself does: a copy brings both there. The last one's failure is
    raised.
    """

    def __init__(
        self,
        storages: Sequence[Storage],
        notary: Notary,
        clock: Clock,
        system: str,
        branch: str,
        *,
        lease_seconds: int = SECONDS,
        scope: str = SCOPE,
        by: str = "follower",
        copies: int | None = None,
        marker: Marker | None = None,
    ) -> None:
        self.system = system
        self.branch = branch
        self._storages = tuple(storages)
        self._notary = notary
        self._clock = clock
        self._scope = scope
        self._refused: set[str] = set()
        """Names whose objects are not believed."""
        self._tags = notary.tag("system", system), notary.tag("branch", branch)
        self._keeper = LogKeeper(self._storages, clock, self._tags[0])
        self._seconds = lease_seconds
        self._by = by
        self._every = self._storages
        self._needed = 1 if by == "backup" else min(copies or len(self._storages), len(self._storages))
        self._marker = marker
        self._ahead = Ahead(self._seal)
        self._end: int | None = None
        self._seen: int | None = marker.level(self._urls) if marker is not None else None
        self._lock = threading.RLock()
        folder = names.folder(*self._tags)
        self._late = CatchUp(notary, folder, self._lock, lambda: self._storages[0], self._back)
        self._lease = self._take()
        self._pool = ThreadPoolExecutor(len(storages), thread_name_prefix="append") if len(storages) > 1 else None
        try:
            self._end = self._level()
            self._mark()
        except BaseException:
            self.close()
            raise

    @property
    def end(self) -> int | None:
        """The position behind the newest increment that is in every location; None for an empty branch."""
        return self._end

    @property
    def lacking(self) -> Mapping[str, str]:
        """By address: why a location does not hold everything, and is gone on without."""
        return self._late.lacking

    @property
    def wanted(self) -> bool:
        """Whether a follower waits for this branch, which a backup holds; asks the location."""
        return self._lease.asked()

    def ahead(self, start: int, data: Buffer, meta: Mapping[str, Any]) -> None:
        """``append`` will be called with exactly these, behind what it is called with first: a thread seals them meanwhile."""
        view = memoryview(data).cast("B")
        if len(view) <= names.LONGEST:
            self._ahead.begin(start, view, meta)

    def append(self, start: int, data: Buffer, meta: Mapping[str, Any]) -> None:
        """Store ``data`` at ``start``. What the branch holds already must be equal and is not stored again; a start behind ``end`` leaves
        a gap, which readers will be told of.

        Raises LogConflict for other bytes than those stored, LeaseLost, and the storages' errors; after an error the same call may be
        repeated.
        """
        view = memoryview(data).cast("B")
        if start < 0 or start + len(view) >= 1 << 64:
            raise ValueError(f"no position of a log: {start}")
        with self._lock:
            self._keep()
            self._keeper.look()
            if self._end is not None and start < self._end:
                have = min(self._end - start, len(view))
                self._compare(start, view[:have], meta)
                start, view = start + have, view[have:]
            while len(view):
                piece = view[: names.LONGEST]
                self._store(start, piece, meta)
                start, view = start + len(piece), view[len(piece) :]
                self._end = max(self._end or 0, start)

    def close(self) -> None:
        """Give the branch free."""
        self._late.close()
        self._mark()
        self._keeper.close()
        self._ahead.close()
        if self._pool is not None:
            self._pool.shutdown()
        self._lease.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _urls(self) -> list[str]:
        return [storage.url for storage in self._every]

    def _mark(self) -> None:
        """The next one begins to look here."""
        if self._marker is not None and self._end is not None and self._storages == self._every:
            self._marker.set_level(self._urls, self._end)

    def _keep(self) -> None:
        try:
            self._lease.keep()
        except Unreachable as error:
            self._leave_out([(self._storages[0], error)])
            self._lease.abandon()
            self._lease = self._take()

    def _take(self) -> Lease:
        """The lease in the first location, or, where that can be spared and does not answer, in the next."""
        while True:
            try:
                return Lease(self._storages[0], self._notary, self._clock, *self._tags, seconds=self._seconds, by=self._by)
            except Unreachable as error:
                self._leave_out([(self._storages[0], error)])

    def _leave_out(self, failed: Sequence[tuple[Storage, HoldfastError]]) -> None:
        """Go on without these; raises when too few would be left."""
        left = tuple(storage for storage in self._storages if all(storage is not one for one, _ in failed))
        if failed and len(left) < self._needed:
            raise failed[0][1]
        self._storages = left
        for storage, error in failed if self._by != "backup" else ():
            self._late.add(storage, self._seen if self._end is None else self._end, error)

    def _back(self, storage: Storage) -> None:
        """It holds what the others do; nothing is appended meanwhile."""
        self._storages = tuple(one for one in self._every if one is storage or any(one is kept for kept in self._storages))
        # Others look for the lease in the first location. Where somebody else holds it there, the one that we have is as good.
        if self._storages[0] is storage:
            with contextlib.suppress(HoldfastError):
                taken = Lease(storage, self._notary, self._clock, *self._tags, seconds=self._seconds, by=self._by)
                self._lease.release()
                self._lease = taken
        self._mark()

    def _seal(self, start: int, piece: memoryview, meta: Mapping[str, Any]) -> bytes:
        name = names.increment(*self._tags, start, start + len(piece))
        return body.seal(
            self._notary, name, system=self.system, branch=self.branch, data=piece, meta=meta, at=self._clock.now(), scope=self._scope
        )

    def _store(self, start: int, piece: memoryview, meta: Mapping[str, Any]) -> None:
        name = names.increment(*self._tags, start, start + len(piece))
        sealed = self._ahead.take(start, piece, meta)

        def put(storage: Storage) -> None:
            for attempt in range(1, _TRIES + 1):
                try:
                    storage.put_if_absent(name, [sealed])
                except ObjectExists:
                    # A store that holds a name and has nothing under it must not be asked for ever.
                    stands = get_if_there(storage, name) if attempt < _TRIES else storage.get(name)
                    if stands is None:
                        continue  # a prune found it doubled
                    if not body.same(self._notary, body.check(self._notary, name, stands).clear, piece):
                        raise self._conflict(start, start + len(piece), storage.url) from None
                return

        if self._pool is None:
            put(self._storages[0])
            return
        self._late.note(start)
        # All are waited for: an error must not leave a put running behind the caller's back.
        futures = [(storage, self._pool.submit(put, storage)) for storage in self._storages]
        errors = [(storage, error) for storage, future in futures if (error := future.exception()) is not None]
        for _, error in errors:
            if not isinstance(error, Unreachable):
                raise error
        self._leave_out([(storage, error) for storage, error in errors if isinstance(error, Unreachable)])
        self._late.note(start)

    def _compare(self, start: int, offered: memoryview, meta: Mapping[str, Any]) -> None:
        """What is offered again must be what is stored; where nothing is stored (a gap) it is stored now."""
        position, stop = start, start + len(offered)
        after = f"{names.folder(*self._tags)}{max(0, start - names.LONGEST):016x}"
        listed = names.increments(self._storages[0].list(names.folder(*self._tags), after))
        for found in names.furthest((one for one in listed if one.name not in self._refused), start):
            if found.start >= stop:
                break
            if found.start > position:
                self._store(position, offered[position - start : found.start - start], meta)
            try:
                self._compare_one(found, max(position, found.start), start, offered)
            except (NotBelieved, ObjectMissing):  # gone: a prune found it inside a longer one since it was listed
                self._refused.add(found.name)
                self._compare(position, offered[position - start :], meta)
                return
            position = min(found.end, stop)
            if position >= stop:
                return
        if position < stop:
            self._store(position, offered[position - start :], meta)

    def _compare_one(self, found: Increment, position: int, start: int, offered: memoryview) -> None:
        stored = self._storages[0].get(found.name)
        stop = min(found.end, start + len(offered))
        piece = offered[position - start : stop - start]
        if (position, stop) == (found.start, found.end):
            equal = body.same(self._notary, body.check(self._notary, found.name, stored).clear, piece)
        else:
            try:
                equal = body.open_(self._notary, found.name, stored).data[position - found.start : stop - found.start] == piece
            except RoleLacking:
                raise LogConflict(
                    f"The log {self.branch} holds {position:#x} to {stop:#x} already, written by another writer whose bytes this key"
                    " cannot compare.",
                    hint=f"Go on from {found.end:#x}, or follow with a key of role owner.",
                    branch=self.branch,
                    start=position,
                    end=stop,
                ) from None
        if not equal:
            raise self._conflict(position, stop, self._storages[0].url)

    def _level(self) -> int | None:
        """Bring every location to the state of the one that has most (an append that died between two), and tell the end."""
        folder, at = names.folder(*self._tags), self._seen
        held = self._listed(folder, at)
        if at is not None and not all(reaches(found, at) for _, found in held):
            # One of them is not what it was when that was noted.
            self._seen = None
            held = self._listed(folder, None)
        self._refused |= level(self._notary, held, lambda storage, error: self._leave_out([(storage, error)]))
        return self._believed_end(held)

    def _listed(self, folder: str, position: int | None) -> list[tuple[Storage, Mapping[str, Increment]]]:
        held: list[tuple[Storage, Mapping[str, Increment]]] = []
        for storage in self._storages:
            try:
                held.append((storage, listed(storage, folder, position)))
            except Unreachable as error:
                self._leave_out([(storage, error)])
        return held

    def _believed_end(self, held: Sequence[tuple[Storage, Mapping[str, Increment]]]) -> int | None:
        """Of what the names promise only what is believed: a planted increment must not make this writer leave out what it claims."""
        every = {name: one for _, found in held for name, one in found.items()}
        for one in sorted(every.values(), key=lambda one: one.end, reverse=True):
            if any(one.name in found and self._believed(storage, one.name) for storage, found in held):
                return one.end
            self._refused.add(one.name)
        return None

    def _believed(self, storage: Storage, name: str) -> bool:
        try:
            body.check(self._notary, name, storage.get(name))
        except Damaged:
            return False
        except Unreachable:
            return True  # nothing is known against it
        return True

    def _conflict(self, start: int, end: int, url: str) -> HoldfastError:
        return LogConflict(
            f"The log {self.branch} holds other bytes from {start:#x} to {end:#x} than what was offered now.",
            hint="Two servers write as one (a clone, a copy that was promoted), or the server was rewound. Find out which one is meant"
            " before following goes on; give the other a name of its own in the plan.",
            branch=self.branch,
            start=start,
            end=end,
            url=url,
        )
