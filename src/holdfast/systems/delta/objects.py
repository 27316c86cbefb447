"""Tables in a bucket: the port over ``connect.objects``."""

import contextlib
from collections.abc import Iterator
from typing import Protocol, Self

from holdfast.connect.objects import Buffer, Described, ObjectChanged, ObjectGone, Objects, StoreDenied, StoreThrottled, StoreUnreachable
from holdfast.systems.delta.store import Missing, Thing
from holdfast.systems.shared.putting import LargeTarget, Putter

_PART = 8 << 20
_WHOLE = 32 << 20
_LARGEST_COPY = 5 << 30
_THREADS = 16
_BUDGET = 64 << 20


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
        """What lies inside is not listed: the store tells them, or it is jumped from name to name."""
        whole = self._prefix + prefix
        told = getattr(self._objects, "folders", None)
        if told is not None:
            return [one[len(whole) :].rstrip("/") for one in told(whole)]
        found: list[str] = []
        after: str | None = ""
        while after is not None:
            listing, after = self._objects.list(whole, after), None
            for one in listing:
                name, slash, _ = one.key[len(whole) :].partition("/")
                if slash:
                    found.append(name)
                    # Behind every key of the folder: '0' is the letter after '/'.
                    after = f"{whole}{name}/\U0010fffd"
                    break
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

    def many(self) -> "ManyPuts":
        return ManyPuts(self._objects, self._prefix)

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
        try:
            for start in range(0, thing.size, _PART):
                view = buffer[: min(_PART, thing.size - start)]
                self._objects.read_into(self._prefix + thing.key, view, start=start, etag=thing.etag)
                writing.write(start, view)
        except BaseException:
            writing.abandon()
            raise
        writing.close()

    def _asked(self, key: str) -> tuple[int, str]:
        if self.head(key) is None:
            raise Missing(key)
        return self._known[key]


class ObjectWriting:
    """One object by itself: gathered in memory, or sent in parts where it is large. Nothing is seen of it before ``close``."""

    def __init__(self, objects: Objects, key: str, size: int) -> None:
        self._objects, self._key = objects, key
        self._memory = bytearray(size) if size <= _WHOLE else None
        if self._memory is None:
            self._puts = ManyPuts(objects, "", threads=4)
            self._large = self._puts.large(key, size)

    def write(self, offset: int, data: memoryview) -> None:
        if self._memory is not None:
            self._memory[offset : offset + len(data)] = data
        else:
            self._large.write(offset, data)

    def close(self) -> None:
        if self._memory is not None:
            self._objects.put(self._key, self._memory)
            return
        with self._puts:
            self._large.close()
            self._puts.wait()

    def abandon(self) -> None:
        if self._memory is None:
            self._puts.give_up()


class ManyPuts:
    """Many objects at once, by many requests. Satisfies ``Many``."""

    def __init__(self, objects: Objects, prefix: str, threads: int = _THREADS) -> None:
        self._objects, self._prefix = objects, prefix
        self._putter = Putter(objects, threads, _BUDGET)
        self._uploads: list[LargeTarget] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if error and error[0] is not None:
            self.give_up()
        else:
            self._putter.__exit__()

    def put(self, key: str, data: Buffer) -> None:
        self._putter.put(self._prefix + key, data, Described(len(data), 0, ""), {})

    def large(self, key: str, size: int) -> LargeTarget:
        upload = LargeTarget(self._putter, self._objects, self._prefix + key, Described(size, 0, ""), {})
        self._uploads.append(upload)
        return upload

    def wait(self) -> None:
        self._putter.wait()

    def give_up(self) -> None:
        """Uploads in parts that were begun are not left behind, as far as the store can be asked."""
        self._putter.__exit__()
        for upload in self._uploads:
            with contextlib.suppress(StoreDenied, StoreThrottled, StoreUnreachable, ObjectGone):
                upload.abandon()
