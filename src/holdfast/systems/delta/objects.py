"""Tables in a bucket: the port over ``connect.objects``."""

import os
import tempfile
import threading
from collections.abc import Iterator
from typing import Protocol

from holdfast.connect.objects import ObjectChanged, ObjectGone, Objects
from holdfast.systems.delta.store import Missing, Thing

_PART = 64 << 20
_WHOLE = 32 << 20
_LARGEST_COPY = 5 << 30


class Bucket(Objects, Protocol):
    """What a table's store needs beyond what a bucket's copy does."""

    def put_new(self, key: str, data: bytes) -> bool: ...

    def copy(self, source: str, target: str) -> None: ...


class ObjectStore:
    """A prefix of a bucket. Satisfies ``Store``."""

    def __init__(self, objects: Bucket, prefix: str) -> None:
        self._objects = objects
        self._prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
        # Sizes and ETags of what was listed or asked for: a read needs one or the other.
        self._known: dict[str, tuple[int, str]] = {}

    @property
    def url(self) -> str:
        return f"{self._objects.url}/{self._prefix}".rstrip("/")

    def things(self, prefix: str) -> Iterator[Thing]:
        cut = len(self._prefix)
        for one in self._objects.list(self._prefix + prefix):
            key = one.key[cut:]
            if "_delta_log/" in key:
                self._known[key] = one.size, one.etag
            if not key.endswith("/"):
                yield Thing(key, one.size, one.modified_ns, one.etag)

    def folders(self, prefix: str) -> list[str]:
        """By jumping from name to name: what lies inside is not listed."""
        whole = self._prefix + prefix
        found: list[str] = []
        after = ""
        while (one := next(iter(self._objects.list(whole, after)), None)) is not None:
            name, slash, _ = one.key[len(whole) :].partition("/")
            if slash:
                found.append(name)
                # Behind every key of the folder: '0' is the letter after '/'.
                after = f"{whole}{name}/\U0010fffd"
            else:
                after = one.key
        return found

    def head(self, key: str) -> Thing | None:
        found = self._objects.describe(self._prefix + key)
        if found is None:
            return None
        self._known[key] = found.size, found.etag
        return Thing(key, found.size, found.modified_ns, found.etag)

    def get(self, key: str) -> bytes:
        size, etag = self._known.get(key) or self._asked(key)
        buffer = bytearray(size)
        try:
            if size:
                self._objects.read_into(self._prefix + key, memoryview(buffer), etag=etag)
        except ObjectGone as error:
            raise Missing(key) from error
        except ObjectChanged:
            self._known.pop(key, None)
            size, etag = self._asked(key)
            buffer = bytearray(size)
            self._objects.read_into(self._prefix + key, memoryview(buffer), etag=etag)
        return bytes(buffer)

    def read_into(self, key: str, offset: int, buffer: memoryview) -> int:
        """A whole file that is as long as was thought costs one request."""
        try:
            if offset == 0 and key not in self._known:
                try:
                    self._objects.read_into(self._prefix + key, buffer)
                    return len(buffer)
                except ObjectChanged:
                    pass  # longer or shorter than the buffer
            size, etag = self._known.get(key) or self._asked(key)
            view = buffer[: max(0, min(len(buffer), size - offset))]
            if view:
                self._objects.read_into(self._prefix + key, view, start=offset, etag=etag)
            return len(view)
        except ObjectGone as error:
            raise Missing(key) from error

    def put_new(self, key: str, data: bytes) -> bool:
        return self._objects.put_new(self._prefix + key, data)

    def writing(self, key: str, size: int, mtime_ns: int) -> "ObjectWriting":
        del mtime_ns  # a bucket keeps its own times
        return ObjectWriting(self._objects, self._prefix + key, size)

    def move(self, source: str, target: str) -> None:
        """Each object is copied by the store, and removed when all of them are there."""
        moved = []
        for thing in list(self.things(source)):
            new = self._prefix + target + thing.key[len(source) :]
            if thing.size <= _LARGEST_COPY:
                self._objects.copy(self._prefix + thing.key, new)
            else:
                self._through(thing, new)
            moved.append(self._prefix + thing.key)
        for start in range(0, len(moved), 1000):
            self._objects.delete(moved[start : start + 1000])
        self._known.clear()

    def settle(self) -> None:
        """Every put is durable by itself."""

    def local(self, key: str) -> str | None:
        del key
        return None

    def _through(self, thing: Thing, new: str) -> None:
        writing = ObjectWriting(self._objects, new, thing.size)
        buffer = memoryview(bytearray(_PART))
        for start in range(0, thing.size, _PART):
            view = buffer[: min(_PART, thing.size - start)]
            self._objects.read_into(self._prefix + thing.key, view, start=start, etag=thing.etag)
            writing.write(start, view)
        writing.close()

    def _asked(self, key: str) -> tuple[int, str]:
        if self.head(key) is None:
            raise Missing(key)
        return self._known[key]


class ObjectWriting:
    """Gathered in memory, or in a file where it is large, and sent when it is whole."""

    def __init__(self, objects: Objects, key: str, size: int) -> None:
        self._objects, self._key, self._size = objects, key, size
        self._memory = bytearray(size) if size <= _WHOLE else None
        self._file = None if size <= _WHOLE else tempfile.TemporaryFile(prefix="hf-delta-")  # noqa: SIM115 - closed when sent
        self._lock = threading.Lock()

    def write(self, offset: int, data: memoryview) -> None:
        if self._memory is not None:
            self._memory[offset : offset + len(data)] = data
            return
        assert self._file is not None
        with self._lock:
            while data:
                done = os.pwrite(self._file.fileno(), data, offset)
                data, offset = data[done:], offset + done

    def close(self) -> None:
        if self._memory is not None:
            self._objects.put(self._key, self._memory)
            return
        assert self._file is not None
        with self._file as file:
            upload = self._objects.begin(self._key)
            etags = []
            for number, start in enumerate(range(0, self._size, _PART), 1):
                etags.append(self._objects.part(self._key, upload, number, os.pread(file.fileno(), _PART, start)))
            self._objects.complete(self._key, upload, etags)
