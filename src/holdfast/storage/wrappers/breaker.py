"""A location that was found silent is left alone for a while: with others to turn to, nobody waits for it again and again."""

import datetime as dt
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from holdfast.model import Clock
from holdfast.storage.contract import Buffer, ObjectInfo, Storage, StorageUnreachable
from holdfast.storage.wrappers.base import Wrapper

T = TypeVar("T")


class Breaker(Wrapper):
    """After StorageUnreachable every call fails at once with what it said, for ``first`` seconds, then twice as long at each failure, at
    most ``longest``, but never shorter than it took to hear of it: at most half the time goes into waiting.

    When that is over one call tries again while the others go on failing; its success ends it.
    """

    def __init__(self, inner: Storage, clock: Clock, *, first: float = 2.0, longest: float = 30.0) -> None:
        super().__init__(inner)
        self._clock = clock
        self._first = first
        self._longest = longest
        self._pause = 0.0
        self._until = 0.0
        self._said = self._hint = ""
        self._lock = threading.Lock()

    def put_if_absent(self, name: str, parts: Sequence[Buffer]) -> None:
        self._guard(lambda: self.inner.put_if_absent(name, parts))

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        return self._guard(lambda: self.inner.get(name, start, length))

    def head(self, name: str) -> ObjectInfo | None:
        return self._guard(lambda: self.inner.head(name))

    def list(self, prefix: str = "", after: str = "") -> Iterator[ObjectInfo]:
        source = self._guard(lambda: iter(self.inner.list(prefix, after)))
        while (info := self._guard(lambda: next(source, None))) is not None:
            yield info

    def folders(self, prefix: str) -> Iterator[str]:
        yield from self._guard(lambda: list(self.inner.folders(prefix)))

    def delete(self, name: str) -> None:
        self._guard(lambda: self.inner.delete(name))

    def now(self) -> dt.datetime:
        return self._guard(self.inner.now)

    def _guard(self, action: Callable[[], T]) -> T:
        with self._lock:
            if self._pause:
                now = self._clock.monotonic()
                if now < self._until:
                    raise StorageUnreachable(
                        self._said,
                        hint=f"{self._hint} It is asked again in {self._until - now:.0f} s.".strip(),
                        url=self.url,
                    )
                self._until = now + self._pause
        began = self._clock.monotonic()
        try:
            result = action()
        except StorageUnreachable as error:
            with self._lock:
                now = self._clock.monotonic()
                self._pause = max(min(max(self._first, self._pause * 2), self._longest), now - began)
                self._until = now + self._pause
                self._said, self._hint = error.message, error.hint
            raise
        if self._pause:
            with self._lock:
                self._pause = 0.0
        return result
