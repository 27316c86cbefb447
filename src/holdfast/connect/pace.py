"""A token bucket: how fast a run may read or write."""

import threading

from holdfast.model import Clock


class Pace:
    """``rate`` in bytes a second, None for no limit. A burst of a quarter of a second is let through."""

    def __init__(self, rate: float | None, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._free_at = clock.monotonic()
        self._lock = threading.Lock()

    def __call__(self, amount: int) -> None:
        """Wait until ``amount`` more bytes may be moved."""
        if self._rate is None:
            return
        with self._lock:
            now = self._clock.monotonic()
            begin = max(self._free_at, now - 0.25)
            self._free_at = begin + amount / self._rate
            wait = begin - now
        if wait > 0:
            self._clock.sleep(wait)
