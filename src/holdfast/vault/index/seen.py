"""Chunks that a session has stored: a small table in memory that spills to segments on disk."""

import shutil
import threading
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from holdfast.vault.format.content import PLACE
from holdfast.vault.index.segment import Segment, keys_of, merge_segments, write_segment

Row = tuple[int, int, int, int, int]
"""A place as plain numbers: pack, frame, whole, at, size."""
CAPACITY = 150_000
"""Rows in memory before a spill: about 40 MB of Python objects, 9 GiB of new data in chunks of 64 KiB."""
_FAN = 8


class SeenChunks:
    """Safe from many threads. ``folder`` is this session's own and is removed by ``close``."""

    def __init__(self, folder: Path, capacity: int = CAPACITY) -> None:
        self._folder = folder
        self._capacity = capacity
        self._rows: dict[bytes, int] = {}
        self._places = np.empty(capacity, PLACE)
        self._levels: list[list[Segment]] = []
        self._written = 0
        self._lock = threading.Lock()
        self.spills = 0

    def none_recent(self, ids: Iterable[bytes]) -> bool:
        """Whether ``recent`` knows none of them."""
        return self._rows.keys().isdisjoint(ids)

    def recent(self, identity: bytes) -> Row | None:
        """Only the part in memory; cheap, without a lock for what is not there."""
        if identity not in self._rows:
            return None
        with self._lock:
            row = self._rows.get(identity)
            return None if row is None else self._places[row].item()

    def spilled(self, ids: bytes) -> dict[int, Row]:
        """Places of those of ``ids`` (32 bytes each) that were spilled, by position."""
        if not self._levels:
            return {}
        with self._lock:
            segments = [segment for level in self._levels for segment in level]
        keys = keys_of(ids)
        return {position: segment.places[row].item() for segment in segments for position, row in segment.find(ids, keys)}

    def add(self, ids: list[bytes], pack: int, frame: int, whole: int, at: list[int], sizes: list[int]) -> None:
        """The chunks of one new frame, each once."""
        with self._lock:
            first, count = len(self._rows), len(ids)
            if first + count > self._capacity:
                self._spill()
                first = 0
            if not self.none_recent(ids):
                fresh = [i for i, identity in enumerate(ids) if identity not in self._rows]
                ids, at, sizes = [ids[i] for i in fresh], [at[i] for i in fresh], [sizes[i] for i in fresh]
            rows = self._places[first : first + len(ids)]
            rows["pack"], rows["frame"], rows["whole"], rows["at"], rows["size"] = pack, frame, whole, at, sizes
            self._rows.update(zip(ids, range(first, first + len(ids)), strict=True))

    def close(self) -> None:
        with self._lock:
            self._levels.clear()
            self._rows.clear()
            self._places = self._places[:0].copy()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _spill(self) -> None:
        if not self._rows:
            raise ValueError(f"more than {self._capacity} chunks in one frame")
        self.spills += 1
        self._put(0, write_segment(self._next(), b"".join(self._rows), self._places[: len(self._rows)]))
        self._rows.clear()

    def _put(self, level: int, segment: Segment) -> None:
        if level == len(self._levels):
            self._levels.append([])
        self._levels[level].append(segment)
        if len(self._levels[level]) == _FAN:
            merged = merge_segments(self._next(), self._levels[level])
            for old in self._levels[level]:
                old.remove()
            self._levels[level] = []
            self._put(level + 1, merged)

    def _next(self) -> Path:
        self._written += 1
        return self._folder / f"{self._written:08d}"
