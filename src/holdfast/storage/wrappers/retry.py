"""Passing faults of a location are waited out, with a put's lost answer settled by reading back."""

import contextlib
import datetime as dt
import random
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from holdfast.model import Clock
from holdfast.storage.contract import Buffer, ObjectExists, ObjectInfo, ObjectMissing, Storage, StorageUnreachable
from holdfast.storage.wrappers.base import Wrapper

T = TypeVar("T")
Told = Callable[[str], None]
"""Hears a sentence for people while something is waited for."""
NOTICE = 2.0


class Retrying(Wrapper):
    """Repeats what failed with StorageUnreachable: exponential waits with full jitter, at most ``patience`` seconds in all.

    Nothing else is repeated: no room, no rights and damage do not pass by waiting. ``brief``: the patience with a location that has not
    answered yet; one that was given up is tried once each time until it answers again. ``told`` hears when something is waited for longer
    than NOTICE seconds, once in each silence.
    """

    def __init__(
        self,
        inner: Storage,
        clock: Clock,
        *,
        patience: float = 60.0,
        first: float = 0.1,
        longest: float = 10.0,
        brief: float | None = None,
        told: Told | None = None,
    ) -> None:
        super().__init__(inner)
        self._brief = brief
        self._left = patience if brief is None else brief
        self._told = told
        self._said = False
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
                result = action()
            except StorageUnreachable as error:
                pause = self._random.uniform(wait / 2, wait)
                waited, left = self._clock.monotonic() - began, self._left
                if waited + pause > left:
                    if self._brief is not None:
                        self._left = 0.0
                    raise
                if waited > NOTICE and self._told is not None and not self._said:
                    self._said = True
                    self._told(f"{error.message} It is tried again, for {left - waited:.0f} s more.")
                self._clock.sleep(pause)
                wait = min(wait * 2, self._longest)
            except BaseException:
                self._answered()
                raise
            else:
                self._answered()
                return result

    def _answered(self) -> None:
        self._left = self._patience
        self._said = False

    def put_if_absent(self, name: str, parts: Sequence[Buffer]) -> None:
        doubtful = False

        def attempt() -> None:
            nonlocal doubtful
            try:
                self.inner.put_if_absent(name, parts)
            except ObjectExists:
                # After a try without an answer the object may be our own; one that is gone by now is the caller's to judge.
                with contextlib.suppress(ObjectMissing):
                    if doubtful and self.inner.get(name) == b"".join(parts):
                        return
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
