"""Several storages that each hold the whole vault: written in the order named, read from the first that answers rightly."""

import heapq
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from holdfast.errors import Damaged, HoldfastError, Unreachable
from holdfast.model import counted
from holdfast.storage.contract import Buffer, ObjectExists, ObjectInfo, ObjectMissing, Storage
from holdfast.vault.errors import ObjectDamaged
from holdfast.vault.format import names

T = TypeVar("T")
_HEAVY = (names.PACKS, names.INDEX, names.LOGS)
"""What never differs between locations: read from the nearest. Elsewhere the plan's order decides, as it does between commit and abort."""

_TRIES = 5


@dataclass(slots=True)
class Trouble:
    """What was wrong with one location while another one served in its place: ``what`` is unreachable, missing or damaged."""

    url: str
    what: str
    count: int
    first: str
    message: str

    def to_json(self) -> dict[str, str | int]:
        return {"location": self.url, "what": self.what, "reads": self.count, "first": self.first, "message": self.message}

    @property
    def sentence(self) -> str:
        """For people."""
        if self.what == "unreachable":
            return f"{self.url} did not serve {counted(self.count, 'read')}, another location did: {self.message}"
        objects = f"{counted(self.count, 'read')} found an object {self.what} ({self.first} first)"
        return f"{self.url}: {objects}; another location had it. Heal it with: holdfast vault check --read all --heal"


class Locations:
    """The first storage is the one that decides races; the others hold complete copies. ``troubles`` tells what reading met."""

    def __init__(self, storages: Sequence[Storage]) -> None:
        if not storages:
            raise ValueError("a vault needs a location")
        from holdfast.vault.lock.attach import attach

        attach(storages)
        self._storages = tuple(storages)
        self._nearest = tuple(sorted(storages, key=lambda storage: "://" in storage.url and not storage.url.startswith("file:")))
        self._troubles: dict[tuple[str, str], Trouble] = {}
        self._blaming = threading.Lock()

    @property
    def storages(self) -> tuple[Storage, ...]:
        """In the order of the plan."""
        return self._storages

    @property
    def first(self) -> Storage:
        return self.storages[0]

    @property
    def nearest(self) -> tuple[Storage, ...]:
        """Folders of this machine before what lies behind a network, else in the order of the plan: the order of reading what is large."""
        return self._nearest

    @property
    def troubles(self) -> list[Trouble]:
        """Locations that failed while another one served in their place, since the vault was opened."""
        with self._blaming:
            return list(self._troubles.values())

    def blame(self, storage: Storage, name: str, error: HoldfastError | ValueError) -> None:
        """``storage`` did not give ``name`` rightly, and another location did."""
        what = "missing" if isinstance(error, ObjectMissing) else "unreachable" if isinstance(error, Unreachable) else "damaged"
        with self._blaming:
            known = self._troubles.get((storage.url, what))
            if known is None:
                self._troubles[storage.url, what] = Trouble(storage.url, what, 1, name, str(error))
            else:
                known.count += 1

    def put(self, name: str, parts: Sequence[Buffer]) -> None:
        """Store in every location, in order; durable in all when it returns.

        For names that nobody else can take (they hold a random id): equal bytes already there are the answer to a repeated call.
        Different ones raise ObjectDamaged.
        """
        for storage in self.storages:
            put_same(storage, name, parts)

    def get(self, name: str) -> bytes:
        """The whole object from the first location that has it. Nothing is checked: see ``read``."""
        return self.read(name, lambda data: data)

    def read(self, name: str, accept: Callable[[bytes], T]) -> T:
        """``accept(bytes)`` of the first location whose copy it accepts (it raises Damaged for others).

        Raises Unreachable when a location that might hold a sound copy did not answer, else what the first copy suffered from.
        """
        wrong: list[tuple[Storage, Damaged]] = []
        silent: list[tuple[Storage, Unreachable]] = []
        for storage in self.nearest if name.startswith(_HEAVY) else self.storages:
            try:
                found = accept(storage.get(name))
            except Damaged as error:
                wrong.append((storage, error))
            except Unreachable as error:
                silent.append((storage, error))
            else:
                for other, why in (*wrong, *silent):
                    self.blame(other, name, why)
                return found
        if silent and all(isinstance(error, ObjectMissing) for _, error in wrong):
            raise silent[0][1]
        raise next((error for _, error in wrong if not isinstance(error, ObjectMissing)), wrong[0][1])

    def list(self, prefix: str, after: str = "") -> Iterator[ObjectInfo]:
        """The union of all locations that answer, sorted by name; Unreachable when none does."""
        listings: list[list[ObjectInfo]] = []
        silent: list[tuple[Storage, Unreachable]] = []
        for storage in self.storages:
            try:
                listings.append(list(storage.list(prefix, after)))
            except Unreachable as error:
                silent.append((storage, error))
        if not listings:
            raise silent[0][1]
        for storage, why in silent:
            self.blame(storage, prefix, why)
        previous = ""
        for info in heapq.merge(*listings, key=lambda info: info.name):
            if info.name != previous:
                previous = info.name
                yield info

    def folders(self, prefix: str) -> set[str]:
        """The union of all locations that answer; Unreachable when none does."""
        found: set[str] = set()
        silent: list[Unreachable] = []
        for storage in self.storages:
            try:
                found.update(storage.folders(prefix))
            except Unreachable as error:
                silent.append(error)
        if len(silent) == len(self.storages):
            raise silent[0]
        return found

    def drop(self, storage: Storage, error: HoldfastError) -> None:
        """Go on without ``storage``: all of these are needed, so its ``error`` is raised. (A session's can do without some.)"""
        del storage
        raise error

    def look_again(self, error: HoldfastError) -> None:
        """Something raised ``error``: drop whoever does not answer now. Raises ``error`` when all do, or none would be left."""
        raise error

    @property
    def lacking(self) -> dict[str, str]:
        """By address: why a location of this session does not get its point."""
        return {}

    def end(self) -> None:
        """No more puts will come from the session that these are for."""

    def delete(self, name: str) -> None:
        """Remove from every location."""
        for storage in self.storages:
            storage.delete(name)

    def close(self) -> None:
        for storage in self.storages:
            storage.close()


def put_same(storage: Storage, name: str, parts: Sequence[Buffer]) -> None:
    """Put, and take an equal object under that name for success; ObjectDamaged for a different one."""
    for _ in range(_TRIES):
        try:
            storage.put_if_absent(name, parts)
        except ObjectExists:
            stands = get_if_there(storage, name)
            if stands is None:
                continue  # whoever removed it had a right to; that it is put now is as if it had been put a moment later
            if stands != b"".join(parts):
                break
        return
    raise ObjectDamaged(
        f"{storage.url} already holds another object named {name}.",
        hint="The location was written by something else, or copied wrongly.",
        object=name,
    )


def get_if_there(storage: Storage, name: str) -> bytes | None:
    """The whole object; None if there is none, as when somebody removed it since it was listed."""
    try:
        return storage.get(name)
    except ObjectMissing:
        return None
