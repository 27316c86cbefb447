"""Writes index envelopes while a session runs, so that a killed one need not store again what it stored."""

import threading

from holdfast.model import Clock
from holdfast.vault.format import names
from holdfast.vault.index import objects
from holdfast.vault.index.objects import PackChunks
from holdfast.vault.keys.notary import Notary
from holdfast.vault.locations import Locations
from holdfast.vault.packs.sink import Finished

_PACKS = 64
_ROWS = 1 << 17
"""Chunks: 6 MiB, and four times that while the envelope is made. Small files and objects reach it; 64 packs of large ones never do."""
_SECONDS = 30.0


class IndexLog:
    """``add`` is called with packs that are durable. An envelope is written every 64 packs, 2^17 chunks or 30 seconds, and by ``flush``."""

    def __init__(self, locations: Locations, notary: Notary, clock: Clock, scope: str = "vault") -> None:
        self._locations = locations
        self._notary = notary
        self._clock = clock
        self._scope = scope
        self._waiting: list[PackChunks] = []
        self._last = clock.monotonic()
        self._lock = threading.Lock()

    def add(self, pack: Finished) -> None:
        rows = objects.from_frames(pack.id, pack.digest, pack.size, pack.kind, pack.frames)
        with self._lock:
            self._waiting.append(rows)
            rows_waiting = sum(len(one.places) for one in self._waiting)
            due = len(self._waiting) >= _PACKS or rows_waiting >= _ROWS or self._clock.monotonic() - self._last >= _SECONDS
        if due:
            self.flush()

    def flush(self) -> None:
        """Durable in every location when it returns."""
        with self._lock:
            packs, self._waiting = self._waiting, []
            self._last = self._clock.monotonic()
        if packs:
            name = f"{names.INDEX}{self._notary.random(16).hex()}"
            self._locations.put(name, [self._notary.make(name, "index", self._clock.now(), plain=objects.encode(packs), scope=self._scope)])
