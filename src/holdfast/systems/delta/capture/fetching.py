"""How one file of a table is read: where it lies on this machine by the vault's workers, else ahead by many requests at once."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from holdfast.connect.objects import Job
from holdfast.model import Entry
from holdfast.systems.delta.capture.pin import Wanted
from holdfast.systems.delta.store import Missing, Store, Thing

WHOLE = 8 << 20
"""Bytes of the largest file that is fetched by one request."""
PART = 4 << 20
_UNKNOWN = 64 << 10
_PARQUET = b"PAR1"


@dataclass
class Lost:
    """What was gone or broken; filled by several threads."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    gone: list[Wanted] = field(default_factory=list)
    broken: dict[str, tuple[Wanted, str]] = field(default_factory=dict)

    def miss(self, wanted: Wanted) -> None:
        with self.lock:
            self.gone.append(wanted)

    def broke(self, wanted: Wanted, why: str) -> None:
        with self.lock:
            self.broken[wanted.path] = (wanted, why)


class Read:
    """A file read while it is captured; one that vanishes leaves no entry."""

    def __init__(self, store: Store, key: str, wanted: Wanted, size: int, lost: Lost) -> None:
        self._store, self._key, self._wanted, self._size, self._lost = store, key, wanted, size, lost
        self._gone = False

    def read_into(self, offset: int, buffer: memoryview) -> int:
        try:
            got = self._store.read_into(self._key, offset, buffer)
        except Missing:
            self._gone = True
            return 0
        if got < len(buffer) and offset + got < self._size:
            self._lost.broke(self._wanted, shorter(offset + got, self._size))
        if why := unlike_parquet(self._wanted, offset, buffer[:got], self._size):
            self._lost.broke(self._wanted, why)
        return got

    def close(self) -> bool | None:
        if self._gone:
            self._lost.miss(self._wanted)
            return False
        return None


@dataclass(slots=True)
class Whole:
    """A file that comes by one request."""

    wanted: Wanted


@dataclass(slots=True)
class Part:
    wanted: Wanted
    start: int


@dataclass(slots=True)
class Got:
    """``thing``: what the store says of a file whose size the log does not tell."""

    data: bytearray
    thing: Thing | None = None


Look = Callable[[Wanted, bytearray], None]
"""Sees a whole file that was just read, in the thread that read it."""


def jobs(store: Store, key: str, wanted: Wanted, look: Look | None = None) -> Iterator[Job[Got]]:
    """What brings a file that lies elsewhere. Their results raise Missing."""
    size = wanted.size
    if size is None:
        yield Job(Whole(wanted), lambda: _asked(store, key), _UNKNOWN)
    elif size <= WHOLE:

        def whole() -> Got:
            got = Got(_fetch(store, key, 0, size))
            if look is not None:
                look(wanted, got.data)
            return got

        yield Job(Whole(wanted), whole, size)
    else:
        large = _Large(store, key)
        for start in range(0, size, PART):
            length = min(PART, size - start)
            yield Job(Part(wanted, start), lambda start=start, length=length: large.part(start, length), length)  # type: ignore[misc]


class _Large:
    """Parts of one file, all of one ETag: the store is asked for it once, before the first part."""

    def __init__(self, store: Store, key: str) -> None:
        self._store, self._key = store, key
        self._lock = threading.Lock()
        self._known = False

    def part(self, start: int, length: int) -> Got:
        with self._lock:
            if not self._known and self._store.head(self._key) is None:
                raise Missing(self._key)
            self._known = True
        return Got(_fetch(self._store, self._key, start, length))


def _asked(store: Store, key: str) -> Got:
    thing = store.head(key)
    if thing is None:
        raise Missing(key)
    return Got(_fetch(store, key, 0, thing.size), thing)


def _fetch(store: Store, key: str, start: int, size: int) -> bytearray:
    buffer = bytearray(size)
    with memoryview(buffer) as view:
        got = store.read_into(key, start, view) if size else 0
    del buffer[got:]
    return buffer


def entry_of(wanted: Wanted, thing: Thing | None) -> Entry:
    size, mtime_ns, etag = (wanted.size or 0, wanted.mtime_ns, wanted.etag) if thing is None else (thing.size, thing.mtime_ns, thing.etag)
    return Entry(wanted.path, size=size, mode=0o644, mtime_ns=mtime_ns, extra={"e": etag} if etag else {})


def shorter(size: int, told: int) -> str:
    return f"is {size} bytes long where the log says {told}"


def unlike_parquet(wanted: Wanted, offset: int, data: memoryview, size: int) -> str:
    """What is wrong with the ends of a data file; cheap, and finds what was cut off or overwritten with zeros."""
    if wanted.log or wanted.rows is None or not wanted.path.endswith(".parquet") or size < 12:
        return ""
    if offset == 0 and len(data) >= 4 and data[:4] not in (_PARQUET, b"PARE"):
        return "does not begin like a Parquet file"
    end = offset + len(data)
    if end == size and len(data) >= 4 and data[-4:] not in (_PARQUET, b"PARE"):
        return "does not end like a Parquet file"
    return ""
