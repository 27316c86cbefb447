"""A ceiling on the bytes that go to and come from a location, shared by all threads."""

import threading
from collections.abc import Sequence

from holdfast.model import Clock
from holdfast.storage.contract import Buffer, Storage
from holdfast.storage.wrappers.base import Wrapper


class Rate:
    """A token bucket: ``rate`` bytes a second, with at most one second's worth saved up. One rate can serve several locations."""

    def __init__(self, rate: float, clock: Clock) -> None:
        if rate <= 0:
            raise ValueError("a rate is above zero")
        self.rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._free = clock.monotonic() - 1.0

    def take(self, amount: int) -> None:
        """Wait for ``amount`` bytes' turn. A large amount may go at once; those behind it wait it out."""
        with self._lock:
            now = self._clock.monotonic()
            turn = max(self._free, now - 1.0)
            self._free = turn + amount / self.rate
        if turn > now:
            self._clock.sleep(turn - now)


class Throttled(Wrapper):
    """Bytes of puts and gets wait for ``rate``; names, sizes and deletes do not."""

    def __init__(self, inner: Storage, rate: Rate) -> None:
        super().__init__(inner)
        self._rate = rate

    def put_if_absent(self, name: str, parts: Sequence[Buffer]) -> None:
        self._rate.take(sum(memoryview(part).nbytes for part in parts))
        self.inner.put_if_absent(name, parts)

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        data = self.inner.get(name, start, length)
        self._rate.take(len(data))
        return data
