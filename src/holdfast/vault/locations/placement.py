"""Where one session writes: which of the vault's locations take part, and what becomes of one that fails in the middle.

*Members* are level: they hold every point of the system that any location holds. What lies in all of them may be reused, the session's
object lies in them, the first of them decides between commit and abort, and the point is put in those that are members still. *Trailing*
locations answer but lack points (they were away, were set back or are new): they take the new packs and indexes and nothing else; a copy
brings what is missing and then the point. *Away* is who does not answer, or failed in the middle: a copy makes up for all of it.

So in every location a point stands only where all of its packs do: in a member each pack was either found there before the commit or
stored there by this session without a failure, and a copy puts packs first. docs/vault-format.md, "Several locations".
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from holdfast.errors import Damaged, HoldfastError, Unreachable
from holdfast.storage.contract import Buffer, ObjectMissing, Storage
from holdfast.vault.errors import TooFewLocations, VaultMissing, VaultMixed
from holdfast.vault.format import config, names
from holdfast.vault.locations import Locations, put_same

_BULK = (names.PACKS, names.INDEX)
_THREADS = 4


class Placement(Locations):
    """The locations of one session. ``storages`` are the members, in the plan's order; ``first`` decides. Safe from many threads."""

    def __init__(
        self,
        members: Sequence[Storage],
        trailing: Sequence[Storage] = (),
        away: Sequence[tuple[Storage, HoldfastError]] = (),
        *,
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(members)
        self._members = tuple(members)
        self._trailing = tuple(trailing)
        self._away = {storage.url: error for storage, error in away}
        self._told = told
        self._changing = threading.Lock()
        others = len(members) + len(trailing) - 1
        self._pool = ThreadPoolExecutor(_THREADS * others, thread_name_prefix="holdfast-place") if others else None

    @property
    def storages(self) -> tuple[Storage, ...]:
        return self._members

    @property
    def nearest(self) -> tuple[Storage, ...]:
        return tuple(storage for storage in self._nearest if storage in self._members)

    @property
    def trailing(self) -> tuple[Storage, ...]:
        return self._trailing

    @property
    def away(self) -> dict[str, HoldfastError]:
        """By address: why a location takes no part (any more)."""
        with self._changing:
            return dict(self._away)

    @property
    def lacking(self) -> dict[str, str]:
        with self._changing:
            behind = {storage.url: "It lacks earlier recovery points." for storage in self._trailing}
            return behind | {url: error.message for url, error in self._away.items()}

    def drop(self, storage: Storage, error: HoldfastError) -> None:
        """Go on without ``storage``. The last member cannot be dropped: its ``error`` is raised."""
        with self._changing:
            if storage not in self._members and storage not in self._trailing:
                return
            if self._members == (storage,):
                raise error
            self._members = tuple(one for one in self._members if one is not storage)
            self._trailing = tuple(one for one in self._trailing if one is not storage)
            self._away[storage.url] = error
        self._told(f"{storage.url} is left out from here on: {error.message} What it lacks is copied to it when it is back.")

    def look_again(self, error: HoldfastError) -> None:
        silent: list[tuple[Storage, Unreachable]] = []
        for storage in self._members:
            try:
                storage.head(names.CONFIG)
            except Unreachable as why:
                silent.append((storage, why))
        if not silent:
            raise error
        for storage, reason in silent:
            self.drop(storage, reason)

    def put(self, name: str, parts: Sequence[Buffer]) -> None:
        """Durable in every member that is left when it returns, at the same time in all; packs and indexes in trailing ones too.

        A location that fails is dropped. Raises the error of the last member, ObjectDamaged for another object under the name.
        """
        targets = (*self._members, *(self._trailing if name.startswith(_BULK) else ()))
        others: list[tuple[Storage, Future[None]]] = []
        if self._pool is not None:
            others = [(storage, self._pool.submit(put_same, storage, name, parts)) for storage in targets[1:]]
        failed: list[tuple[Storage, Unreachable]] = []
        wrong: BaseException | None = None
        try:
            put_same(targets[0], name, parts)
        except Unreachable as error:
            failed.append((targets[0], error))
        except BaseException as error:  # noqa: BLE001 - raised below, when no put runs any more
            wrong = error
        for storage, future in others:
            met = future.exception()
            if isinstance(met, Unreachable):
                failed.append((storage, met))
            else:
                wrong = wrong or met
        for storage, reason in failed:
            self.drop(storage, reason)
        if wrong is not None:
            raise wrong

    def end(self) -> None:
        """No more puts will come. The storages stay open: they are the vault's."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)

    def close(self) -> None:
        """The storages are closed by the vault."""
        self.end()


def place(
    storages: Sequence[Storage],
    vault: bytes,
    ids: Sequence[str],
    *,
    copies: int = 1,
    told: Callable[[str], None] = lambda _: None,
) -> Placement:
    """Ask every location, and sort them. ``ids``: the points of the system that is to be captured; ``copies``: how many are demanded.

    Tells at once when fewer answer, and goes on: one copy is better than none. Raises TooFewLocations when none answers, VaultMixed when
    one holds another vault.
    """
    if len(storages) == 1:
        return Placement(storages, told=told)
    away: list[tuple[Storage, HoldfastError]] = []
    held: dict[str, set[str]] = {}
    with ThreadPoolExecutor(len(storages), thread_name_prefix="holdfast-place") as pool:
        for storage, asked in zip(storages, [pool.submit(_look, storage, vault) for storage in storages], strict=True):
            try:
                held[storage.url] = asked.result()
            except VaultMixed:
                raise
            except (HoldfastError, Damaged) as error:
                away.append((storage, error))
    there = [storage for storage in storages if storage.url in held]
    if not there:
        raise TooFewLocations(
            f"None of the {len(storages)} locations answers: {away[0][1].message}",
            hint=away[0][1].hint,
            locations=[one.url for one, _ in away],
        ) from away[0][1]
    wanted = set(ids) & set().union(*held.values())
    level = [storage for storage in there if held[storage.url] >= wanted] or [
        max(there, key=lambda storage: len(held[storage.url] & wanted))
    ]
    trailing = [storage for storage in there if storage not in level]
    for storage, why in away:
        told(f"{storage.url} takes no part: {why.message}")
    for storage in trailing:
        lacking = len(wanted - held[storage.url])
        told(f"{storage.url} lacks {lacking} earlier recovery points; they are copied to it after this one.")
    if len(there) < copies:
        told(
            f"Only {len(there)} of the {copies} locations that the plan demands can be reached: this point will not count as protected yet."
        )
    return Placement(level, trailing, away, told=told)


def _look(storage: Storage, vault: bytes) -> set[str]:
    """Ids of points in one location of this vault. Raises VaultMissing, VaultMixed, Unreachable, ObjectDamaged."""
    try:
        parsed = config.parse(storage.get(names.CONFIG))
    except ObjectMissing:
        raise VaultMissing(
            f"{storage.url} holds no vault yet.", hint="Bring it up to date with: holdfast vault copy", url=storage.url
        ) from None
    if str(parsed.clear["vault"]) != vault.hex():
        raise VaultMixed(f"{storage.url} holds another vault.", hint="Look at the plan's addresses: nothing was written.", url=storage.url)
    return {found[0] for info in storage.list(names.POINTS) if (found := names.parse_point(info.name)) is not None and not found[1]}
