"""Appends to one branch: every increment durable in all its locations before the call returns."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

from holdfast.errors import Damaged, HoldfastError, Unreachable
from holdfast.model import Clock, Increment
from holdfast.storage.contract import Buffer, ObjectExists, Storage
from holdfast.vault.errors import NotBelieved, RoleLacking
from holdfast.vault.keys import SCOPE
from holdfast.vault.lock.keeper import LogKeeper
from holdfast.vault.logs import body, names
from holdfast.vault.logs.errors import LogConflict
from holdfast.vault.logs.lease import SECONDS, Lease
from holdfast.vault.notary import Notary


class BranchWriter:
    """``storages`` are the locations that the tier demands; the first one holds the lease. Not thread-safe: one follower, one thread.

    A follower promises all of them, so each one's failure is raised. A backup (``by``) ships its own WAL for its point alone and goes on
    without a location that fails, as the point itself does: a copy brings both there. The last one's failure is raised.
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
        self._lease = self._take()
        self._pool = ThreadPoolExecutor(len(storages), thread_name_prefix="append") if len(storages) > 1 else None
        try:
            self._end = self._level()
        except BaseException:
            self.close()
            raise

    @property
    def end(self) -> int | None:
        """The position behind the newest increment that is in every location; None for an empty branch."""
        return self._end

    def append(self, start: int, data: Buffer, meta: Mapping[str, Any]) -> None:
        """Store ``data`` at ``start``. What the branch holds already must be equal and is not stored again; a start behind ``end`` leaves
        a gap, which readers will be told of.

        Raises LogConflict for other bytes than those stored, LeaseLost, and the storages' errors; after an error the same call may be
        repeated.
        """
        try:
            self._lease.keep()
        except Unreachable as error:
            self._leave_out([(self._storages[0], error)])
            self._lease = self._take()
        self._keeper.look()
        view = memoryview(data).cast("B")
        if start < 0 or start + len(view) >= 1 << 64:
            raise ValueError(f"no position of a log: {start}")
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
        self._keeper.close()
        if self._pool is not None:
            self._pool.shutdown()
        self._lease.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self) -> Lease:
        """The lease in the first location, for a backup in the first that answers."""
        while True:
            try:
                return Lease(self._storages[0], self._notary, self._clock, *self._tags, seconds=self._seconds, by=self._by)
            except Unreachable as error:
                self._leave_out([(self._storages[0], error)])

    def _leave_out(self, failed: Sequence[tuple[Storage, HoldfastError]]) -> None:
        """A backup goes on without these; raises for a follower, and when none would be left."""
        left = tuple(storage for storage in self._storages if all(storage is not one for one, _ in failed))
        if failed and (self._by != "backup" or not left):
            raise failed[0][1]
        self._storages = left

    def _store(self, start: int, piece: memoryview, meta: Mapping[str, Any]) -> None:
        name = names.increment(*self._tags, start, start + len(piece))
        sealed = body.seal(
            self._notary, name, system=self.system, branch=self.branch, data=piece, meta=meta, at=self._clock.now(), scope=self._scope
        )

        def put(storage: Storage) -> None:
            try:
                storage.put_if_absent(name, [sealed])
            except ObjectExists:
                found = body.check(self._notary, name, storage.get(name)).clear
                if not body.same(self._notary, found, piece):
                    raise self._conflict(start, start + len(piece), storage.url) from None

        if self._pool is None:
            put(self._storages[0])
            return
        # All are waited for: an error must not leave a put running behind the caller's back.
        futures = [(storage, self._pool.submit(put, storage)) for storage in self._storages]
        errors = [(storage, error) for storage, future in futures if (error := future.exception()) is not None]
        for _, error in errors:
            if not isinstance(error, Unreachable):
                raise error
        self._leave_out([(storage, error) for storage, error in errors if isinstance(error, Unreachable)])

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
            except NotBelieved:
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
        prefix = names.folder(*self._tags)
        held: list[tuple[Storage, dict[str, Increment]]] = []
        for storage in self._storages:
            try:
                held.append((storage, {found.name: found for found in names.increments(storage.list(prefix))}))
            except Unreachable as error:
                self._leave_out([(storage, error)])
        for name in sorted(set().union(*(found for _, found in held))):
            have = next(storage for storage, found in held if name in found)
            for storage, found in held:
                if name not in found and storage in self._storages:
                    data = have.get(name)
                    try:
                        body.check(self._notary, name, data)
                    except Damaged:
                        self._refused.add(name)
                        continue
                    try:
                        self._copy(storage, name, data)
                    except Unreachable as error:
                        self._leave_out([(storage, error)])
        return self._believed_end(held)

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

    @staticmethod
    def _copy(storage: Storage, name: str, data: bytes) -> None:
        try:
            storage.put_if_absent(name, [data])
        except ObjectExists:
            return

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
