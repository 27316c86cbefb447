"""Copies files into a point, telling what was gone when it was its turn."""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from holdfast.connect.objects import Job, in_order
from holdfast.model import Entry, Progress
from holdfast.systems.contract import CaptureWriter
from holdfast.systems.delta.capture.pin import Wanted
from holdfast.systems.delta.store import Missing, Store, Thing

_WHOLE = 8 << 20
_PARQUET = b"PAR1"
Opener = Callable[[str], tuple[Store, str]]
"""(the store, the key) of an absolute address in a log."""


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


class _Read:
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
            self._lost.broke(self._wanted, f"is {offset + got} bytes long where the log says {self._size}")
        if why := _parquet(self._wanted, offset, buffer[:got], self._size):
            self._lost.broke(self._wanted, why)
        return got

    def close(self) -> bool | None:
        if self._gone:
            self._lost.miss(self._wanted)
            return False
        return None


class Copier:
    """Adds files to one point. ``reusable`` says whether a file of the base may stand in for one of the same name and size."""

    def __init__(self, store: Store, opener: Opener, writer: CaptureWriter, progress: Progress, reusable: Callable[[Wanted], bool]) -> None:
        self._store, self._opener, self._writer, self._progress, self._reusable = store, opener, writer, progress, reusable
        self._added: set[str] = set()
        self.lost = Lost()
        self.fetched = 0
        self.kept = 0

    def copy(self, files: Iterable[Wanted]) -> None:
        """Add those that are not in the point yet, and wait until they are read."""
        local = self._store.local("") is not None
        if local:
            for wanted in files:
                self._one(wanted, None)
        else:
            for job in in_order(self._jobs(files)):
                if job.run is not None:
                    try:
                        data = job.result()
                    except Missing:
                        self.lost.miss(job.what)
                        continue
                    self._one(job.what, data)
                else:
                    self._one(job.what, None)
        self._writer.flush()
        for wanted in self.lost.gone:
            self._added.discard(wanted.path)

    def _jobs(self, files: Iterable[Wanted]) -> Iterator[Job[bytes]]:
        for wanted in files:
            if (
                wanted.path in self._added
                or wanted.address is not None
                or wanted.size is None
                or wanted.size > _WHOLE
                or self._known(wanted)
            ):
                yield Job(wanted)
                continue
            yield Job(wanted, lambda key=wanted.key, size=wanted.size: _fetch(self._store, key, size), wanted.size)  # type: ignore[misc]

    def _known(self, wanted: Wanted) -> bool:
        base = self._writer.base
        return base is not None and self._reusable(wanted) and base.find(wanted.path) is not None

    def _one(self, wanted: Wanted, data: bytes | None) -> None:
        if wanted.path in self._added:
            return
        size, mtime_ns = wanted.size, wanted.mtime_ns
        entry = Entry(wanted.path, size=size or 0, mode=0o644, mtime_ns=mtime_ns, extra={"e": wanted.etag} if wanted.etag else {})
        if data is None and self._reusable(wanted) and self._reuse(wanted, entry):
            self._added.add(wanted.path)
            self.kept += 1
            return
        store, key = (self._store, wanted.key) if wanted.address is None else self._opener(wanted.address)
        if data is None and size is None:
            thing: Thing | None = store.head(key)
            if thing is None:
                self.lost.miss(wanted)
                return
            size = thing.size
            entry = Entry(wanted.path, size=size, mode=0o644, mtime_ns=thing.mtime_ns, extra={"e": thing.etag} if thing.etag else {})
        self._added.add(wanted.path)
        self.fetched += 1
        if data is not None:
            if size is not None and len(data) != size:
                self.lost.broke(wanted, f"is {len(data)} bytes long where the log says {size}")
            elif why := _parquet(wanted, 0, memoryview(data), len(data)):
                self.lost.broke(wanted, why)
            self._writer.add(entry, data)
        else:
            self._writer.add(entry, _Read(store, key, wanted, size or 0, self.lost))

    def _reuse(self, wanted: Wanted, entry: Entry) -> bool:
        base = self._writer.base
        stored = base.find(wanted.path) if base is not None else None
        if stored is None:
            return False
        if wanted.log and (stored.entry.mtime_ns != wanted.mtime_ns or stored.entry.extra.get("e", "") != wanted.etag):
            # A log that was put back and went on has other commits under the same numbers.
            return False
        if wanted.size is None:
            entry = stored.entry
        return self._writer.reuse(entry)


def _fetch(store: Store, key: str, size: int) -> bytes:
    buffer = bytearray(size)
    got = store.read_into(key, 0, memoryview(buffer)) if size else 0
    return bytes(buffer[:got])


def _parquet(wanted: Wanted, offset: int, data: memoryview, size: int) -> str:
    """What is wrong with the ends of a data file; cheap, and finds what was cut off or overwritten with zeros."""
    if wanted.log or wanted.rows is None or not wanted.path.endswith(".parquet") or size < 12:
        return ""
    if offset == 0 and len(data) >= 4 and data[:4] not in (_PARQUET, b"PARE"):
        return "does not begin like a Parquet file"
    end = offset + len(data)
    if end == size and len(data) >= 4 and data[-4:] not in (_PARQUET, b"PARE"):
        return "does not end like a Parquet file"
    return ""
