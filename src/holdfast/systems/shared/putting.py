"""Puts objects into a store by many requests at once, with bounded memory; large ones in parts as their bytes come, in any order."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

from holdfast.connect.objects import Buffer, Described, Objects, StoreDenied

PART = 8 << 20
_MOST_PARTS = 9000
_ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})


class Putter:
    """Use as a context manager: leaving it waits for what runs. ``wait`` before success is told. ``pace`` is told the bytes of each
    request before it is sent, and takes its time.
    """

    def __init__(self, store: Objects, threads: int, budget: int, pace: Callable[[int], None] | None = None) -> None:
        self._store = store
        self._pace = pace
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="put")
        self._changed = threading.Condition()
        self._budget = budget
        self._held = 0
        self._error: BaseException | None = None
        self._plain = False
        self.written = 0
        self.classes: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def put(self, key: str, data: Buffer, described: Described, tags: Mapping[str, str]) -> None:
        """Returns soon; blocks while too much is under way. Raises what an earlier one raised."""
        self.submit(len(data), lambda: self._put(key, data, described, tags))

    def submit(self, cost: int, work: Callable[[], Any]) -> "Future[Any]":
        with self._changed:
            while self._held and self._held + cost > self._budget and self._error is None:
                self._changed.wait()
            self._raise()
            self._held += cost
        return self._pool.submit(self._run, cost, work)

    def wait(self) -> None:
        """Everything was put. Raises the first error."""
        with self._changed:
            while self._held and self._error is None:
                self._changed.wait()
            self._raise()

    def begin(self, key: str, described: Described, tags: Mapping[str, str]) -> str:
        return self._dressed(described, lambda dress: self._store.begin(key, dress, tags))

    def _put(self, key: str, data: Buffer, described: Described, tags: Mapping[str, str]) -> None:
        self._dressed(described, lambda dress: self._store.put(key, data, dress, tags))
        with self._changed:
            self.written += len(data)

    def _dressed(self, described: Described, write: Callable[[Described], str]) -> str:
        """With its storage class where the target has it; never archived, where it could not be read."""
        wanted = described.storage_class
        if wanted and (self._plain or wanted in _ARCHIVES):
            return self._standard(described, write)
        try:
            return write(described)
        except StoreDenied as error:
            if not wanted or error.details.get("said") != "InvalidStorageClass":
                raise
            self._plain = True
            return self._standard(described, write)

    def _standard(self, described: Described, write: Callable[[Described], str]) -> str:
        with self._changed:
            self.classes[described.storage_class] = self.classes.get(described.storage_class, 0) + 1
        plain = Described(described.size, described.modified_ns, described.etag, headers=described.headers, metadata=described.metadata)
        return write(plain)

    def _run(self, cost: int, work: Callable[[], Any]) -> Any:
        try:
            if self._pace is not None:
                self._pace(cost)
            if self._error is None:
                return work()
        except BaseException as error:  # noqa: BLE001 - raised by whoever asks next
            with self._changed:
                self._error = self._error or error
        finally:
            with self._changed:
                self._held -= cost
                self._changed.notify_all()
        return None

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error


class LargeTarget:
    """One large object. Nothing is seen of it before ``close``, which returns when it is put together."""

    zeros = True
    """Zeros must be written as well: nothing is there from the beginning."""

    def __init__(self, putter: Putter, store: Objects, key: str, described: Described, tags: Mapping[str, str]) -> None:
        self._putter, self._store, self._key = putter, store, key
        self._size = described.size
        self._part = max(PART, -(-described.size // _MOST_PARTS >> 20 << 20))
        self._upload = putter.begin(key, described, tags)
        self._lock = threading.Lock()
        self._parts: dict[int, tuple[bytearray, int]] = {}
        self._etags: dict[int, Future[Any]] = {}

    def write(self, offset: int, data: memoryview) -> None:
        while data:
            number, at = divmod(offset, self._part)
            whole = min(self._part, self._size - number * self._part)
            take = min(len(data), whole - at)
            full = None
            with self._lock:
                buffer, left = self._parts.get(number) or (bytearray(whole), whole)
                buffer[at : at + take] = data[:take]
                self._parts[number] = buffer, left - take
                if left == take:
                    full = self._parts.pop(number)[0]
            if full is not None:
                self._send(number, full)
            data, offset = data[take:], offset + take

    def existing(self, offset: int, buffer: memoryview) -> int:
        del offset, buffer
        return 0

    def close(self) -> None:
        count = -(-self._size // self._part)
        for number in range(count):
            if number not in self._etags:
                # Zeros that nobody wrote.
                rest = self._parts.pop(number, None)
                self._send(number, rest[0] if rest else bytearray(min(self._part, self._size - number * self._part)))
        etags = [self._etags[number].result() for number in range(count)]
        if any(etag is None for etag in etags):
            self.abandon()
            self._putter.wait()
            return
        self._store.complete(self._key, self._upload, etags)

    def abandon(self) -> None:
        self._store.abandon(self._key, self._upload)

    def _send(self, number: int, data: bytearray) -> None:
        def run() -> str:
            return self._store.part(self._key, self._upload, number + 1, data, number * self._part)

        future = self._putter.submit(len(data), run)
        with self._lock:
            self._etags[number] = future
