"""What every storage promises. One conformance suite (tests/storage/conformance.py) holds all implementations to it."""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, cast

from holdfast.errors import Damaged, Refused, Unreachable, Usage

Buffer = bytes | bytearray | memoryview


class StorageUnreachable(Unreachable):
    """The location did not answer, or answered with a passing fault, until retries ran out."""

    code = "location-unreachable"


class StorageDenied(Unreachable):
    """The location answered and refused: credentials, permissions, a read-only folder."""

    code = "location-denied"


class StorageUntrusted(StorageDenied):
    """Who answers at the location's address proved by no certificate that is believed here to be the store: nothing was said to it."""

    code = "location-untrusted"


class StorageFull(Unreachable):
    """No room left: nothing half written stays under a final name."""

    code = "location-full"


class StorageUnfit(Usage):
    """The location cannot keep the vault's promises (no atomic put-if-absent, no fsync)."""

    code = "location-unfit"


class ObjectMissing(Damaged):
    """No object of that name."""

    code = "object-missing"


class ObjectLocked(Refused):
    """The object's lock has not ended: nobody can remove it before."""

    code = "object-locked"


class ObjectExists(Exception):
    """put_if_absent found the name taken. Control flow between rooms, never shown to a user: the caller knows what it means."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """``modified`` is the store's own time; it says when this copy was stored, not when the content was made."""

    name: str
    size: int
    modified: dt.datetime


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Declared, never guessed. ``lock``: object lock can be set; ``versions``: old versions are kept and listed."""

    lock: bool = False
    versions: bool = False
    native_hash: bool = False


class Storage(Protocol):
    """Where a vault's bytes rest. All methods are safe from many threads.

    Names are '/'-separated ASCII, relative, without '.' or '..' parts.
    """

    url: str

    @property
    def capabilities(self) -> Capabilities: ...

    def put_if_absent(self, name: str, parts: Sequence[Buffer]) -> None:
        """Store the concatenation of ``parts`` under ``name``; atomic: all of it or nothing is ever visible.

        Returns only when durable (file, folder and new parents fsynced; or the PUT confirmed). Raises ObjectExists when the name is taken,
        whatever its bytes. After a lost answer an implementation reads back: equal bytes are success. ``parts`` are not changed or kept.
        """
        ...

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Bytes of an object; ObjectMissing when there is none. A range past the end comes back shorter."""
        ...

    def head(self, name: str) -> ObjectInfo | None: ...

    def list(self, prefix: str = "", after: str = "") -> Iterator[ObjectInfo]:
        """All objects whose name starts with ``prefix`` (which may end in mid-name), sorted by code points, beginning behind ``after``.

        Sees every object whose put returned before the call. Temporary files never appear.
        """
        ...

    def folders(self, prefix: str) -> Iterator[str]:
        """The distinct next name parts under ``prefix`` (which is '' or ends in '/'), sorted, without slash."""
        ...

    def delete(self, name: str) -> None:
        """Remove; removing what is not there is fine. Durable when it returns."""
        ...

    def now(self) -> dt.datetime:
        """The store's own clock, aware. For a local folder the time that the file system puts on a new file."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Lock:
    """What a location's plan says: objects cannot be destroyed for ``days`` days. In governance mode a special right lifts it."""

    mode: Literal["compliance", "governance"]
    days: int

    @property
    def term(self) -> dt.timedelta:
        return dt.timedelta(days=self.days)


Judge = Callable[[str, bytes], bool]
"""Whether bytes may stand under a name: who keeps several versions of one name asks it for the oldest that holds."""
Term = Callable[[str, Lock, bytes], dt.timedelta | None]
"""How long an object of that name and these bytes is locked from the moment it is put; None for not at all."""


class KeepsVersions(Protocol):
    """A storage whose names hold versions, which nobody can hide: it lists and reads the oldest version that ``judge`` accepts, whatever
    was put over it, delete markers included. Deleting removes all versions and markers for good; ObjectLocked while one is locked.
    """

    url: str
    lock: Lock | None
    """What new objects are locked with; None where the plan asks for no lock."""

    def attach(self, judge: Judge, term: Term) -> None:
        """Whom to believe and what to lock for how long. Until then the oldest version counts, and everything is locked for all days."""
        ...

    def locked_until(self, name: str) -> dt.datetime | None:
        """When the lock of the object ends, by the store's time; None when it was never locked or is not there."""
        ...

    def extend(self, name: str, until: dt.datetime, enough: dt.datetime | None = None) -> dt.datetime:
        """Lock the object to ``until``, unless it is locked to ``enough`` (else ``until``) already; returns when its lock ends.

        Never shortens. ObjectMissing when it is not there.
        """
        ...

    def time(self) -> dt.datetime:
        """The store's time without asking each time: asked once in ten minutes, counted on from there."""
        ...


def versions_of(storage: Storage) -> KeepsVersions | None:
    """The layer that keeps versions, under whatever wraps it; None for a storage that has none."""
    layer: object = storage
    while layer is not None:
        if hasattr(layer, "attach") and hasattr(layer, "locked_until"):
            return cast("KeepsVersions", layer)
        layer = getattr(layer, "inner", None)
    return None
