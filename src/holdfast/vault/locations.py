"""Several storages that each hold the whole vault: written in the order named, read from the first that answers rightly."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from holdfast.errors import Damaged, Unreachable
from holdfast.storage.contract import Buffer, ObjectExists, ObjectInfo, ObjectMissing, Storage
from holdfast.vault.errors import ObjectDamaged

T = TypeVar("T")


class Locations:
    """The first storage is the nearest and the one that decides races; the others hold complete copies."""

    def __init__(self, storages: Sequence[Storage]) -> None:
        if not storages:
            raise ValueError("a vault needs a location")
        self.storages = tuple(storages)

    @property
    def first(self) -> Storage:
        return self.storages[0]

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
        wrong: list[Damaged] = []
        silent: list[Unreachable] = []
        for storage in self.storages:
            try:
                return accept(storage.get(name))
            except Damaged as error:
                wrong.append(error)
            except Unreachable as error:
                silent.append(error)
        if silent and all(isinstance(error, ObjectMissing) for error in wrong):
            raise silent[0]
        raise next((error for error in wrong if not isinstance(error, ObjectMissing)), wrong[0])

    def list(self, prefix: str, after: str = "") -> Iterator[ObjectInfo]:
        """The union of all locations that answer, sorted by name; Unreachable when none does."""
        listings: list[list[ObjectInfo]] = []
        silent: list[Unreachable] = []
        for storage in self.storages:
            try:
                listings.append(list(storage.list(prefix, after)))
            except Unreachable as error:
                silent.append(error)
        if not listings:
            raise silent[0]
        previous = ""
        for info in heapq.merge(*listings, key=lambda info: info.name):
            if info.name != previous:
                previous = info.name
                yield info

    def delete(self, name: str) -> None:
        """Remove from every location."""
        for storage in self.storages:
            storage.delete(name)

    def close(self) -> None:
        for storage in self.storages:
            storage.close()


def put_same(storage: Storage, name: str, parts: Sequence[Buffer]) -> None:
    """Put, and take an equal object under that name for success; ObjectDamaged for a different one."""
    try:
        storage.put_if_absent(name, parts)
    except ObjectExists:
        if storage.get(name) != b"".join(parts):
            raise ObjectDamaged(
                f"{storage.url} already holds another object named {name}.",
                hint="The location was written by something else, or copied wrongly.",
                object=name,
            ) from None
