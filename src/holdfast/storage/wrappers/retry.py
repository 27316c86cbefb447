"""Passing faults of a location are waited out, with a put's lost answer settled by reading back."""

import datetime as dt
import random
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from holdfast.model import Clock
from holdfast.storage.contract import Buffer, ObjectExists, ObjectInfo, Storage, StorageUnreachable
from holdfast.storage.wrappers.base import Wrapper

T = TypeVar("T")


class Retrying(Wrapper):
    """Repeats what failed with StorageUnreachable: exponential waits with full jitter, at most ``patience`` seconds in all.

    Nothing else is repeated: no room, no rights and damage do not pass by waiting.
    """

    def __init__(self, inner: Storage, clock: Clock, *, patience: float = 60.0, first: float = 0.1, longest: float = 10.0) -> None:
        super().__init__(inner)
        self._clock = clock
        self._patience = patience
        self._first = first
        self._longest = longest
        self._random = random.Random()  # noqa: S311 - spreads retries; no secret

    def _repeat(self, action: Callable[[], T]) -> T:
        began = self._clock.monotonic()
        wait = self._first
        while True:
            try:
                return action()
            except StorageUnreachable:
                pause = self._random.uniform(wait / 2, wait)
                if self._clock.monotonic() - began + pause > self._patience:
                    raise
                self._clock.sleep(pause)
                wait = min(wait * 2, self._longest)

    def put_if_absent(self, name: str, parts: Sequence[Buffer]) -> None:
        doubtful = False

        def attempt() -> None:
            nonlocal doubtful
            try:
                self.inner.put_if_absent(name, parts)
            except ObjectExists:
                # After a try without an answer the object may be our own.
                if not (doubtful and self.inner.get(name) == b"".join(parts)):
                    raise
            except StorageUnreachable:
                doubtful = True
                raise

        self._repeat(attempt)

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        return self._repeat(lambda: self.inner.get(name, start, length))

    def head(self, name: str) -> ObjectInfo | None:
        return self._repeat(lambda: self.inner.head(name))

    def list(self, prefix: str = "", after: str = "") -> Iterator[ObjectInfo]:
        """A listing that breaks off goes on behind the last name that was given out."""
        last = after
        source = self.inner.list(prefix, last)

        def advance() -> ObjectInfo | None:
            nonlocal source
            try:
                return next(source, None)
            except StorageUnreachable:
                source = self.inner.list(prefix, last)
                raise

        while (info := self._repeat(advance)) is not None:
            last = info.name
            yield info

    def folders(self, prefix: str) -> Iterator[str]:
        yield from self._repeat(lambda: list(self.inner.folders(prefix)))

    def delete(self, name: str) -> None:
        self._repeat(lambda: self.inner.delete(name))

    def now(self) -> dt.datetime:
        return self._repeat(self.inner.now)
