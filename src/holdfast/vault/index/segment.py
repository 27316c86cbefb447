"""Sorted, memory-mapped files of (chunk id, place): a look-up touches a few pages, whatever the size."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from holdfast.vault.format.content import PLACE, Places

_SUFFIXES = (".keys", ".ids", ".places")
_MERGE_ROWS = 1 << 18
"""Rows sorted in memory at a time while merging: bounds it to some 30 MB."""

Translate = Callable[[int, Places], Places]


def keys_of(ids: bytes | bytearray | NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The first 8 bytes of each 32-byte id as a number that sorts as the id does."""
    return np.frombuffer(ids, ">u8").reshape(-1, 4)[:, 0].astype("<u8")


class Segment:
    """One sorted run of rows in three files beside each other; ``path`` is their name without suffix."""

    def __init__(self, path: Path) -> None:
        self.path = path
        size = os.stat(f"{path}.keys").st_size  # noqa: PTH116
        self.count = size // 8
        if any(os.stat(f"{path}{suffix}").st_size != self.count * width for suffix, width in zip(_SUFFIXES, (8, 32, 20), strict=True)):  # noqa: PTH116
            raise ValueError(f"{path} is cut")
        self.keys: NDArray[np.uint64] = self._map(".keys", np.dtype("<u8"), (self.count,))
        self.ids: NDArray[np.uint8] = self._map(".ids", np.dtype("u1"), (self.count, 32))
        self.places: Places = self._map(".places", PLACE, (self.count,))

    def _map(self, suffix: str, dtype: np.dtype, shape: tuple[int, ...]) -> NDArray:  # type: ignore[type-arg]
        if not self.count:
            return np.empty(shape, dtype)
        return np.memmap(f"{self.path}{suffix}", dtype, "r", shape=shape)

    def find(self, ids: bytes, keys: NDArray[np.uint64]) -> list[tuple[int, int]]:
        """(position in ``ids``, row) of each id that is here; several rows of one id give several pairs."""
        if not self.count:
            return []
        left = np.searchsorted(self.keys, keys)
        inside = left < self.count
        candidates = np.flatnonzero(inside & (self.keys[np.where(inside, left, 0)] == keys))
        found: list[tuple[int, int]] = []
        for position in candidates.tolist():
            row = int(left[position])
            key = keys[position]
            while row < self.count and self.keys[row] == key:
                if self.ids[row].tobytes() == ids[32 * position : 32 * position + 32]:
                    found.append((position, row))
                row += 1
        return found

    def remove(self) -> None:
        for suffix in _SUFFIXES:
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)


def write_segment(path: Path, ids: bytes | bytearray, places: Places) -> Segment:
    """Sort and store rows. The folder is a cache: nothing is synced."""
    keys = keys_of(ids)
    order = np.argsort(keys, kind="stable")
    rows = np.frombuffer(ids, np.uint8).reshape(-1, 32)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    keys[order].tofile(f"{path}.keys")
    rows[order].tofile(f"{path}.ids")
    places[order].tofile(f"{path}.places")
    return Segment(path)


def merge_segments(path: Path, segments: Sequence[Segment], translate: Translate | None = None) -> Segment:
    """One segment out of several, range by range of the key space. ``translate`` maps a segment's pack numbers (by its position)."""
    total = sum(segment.count for segment in segments)
    steps = max(1, -(-total // _MERGE_ROWS))
    bounds = [min((1 << 64) - 1, ((1 << 64) // steps) * step) for step in range(1, steps)]
    cuts = [[0, *np.searchsorted(segment.keys, np.array(bounds, dtype="<u8")).tolist(), segment.count] for segment in segments]
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(f"{path}.keys", "wb") as keys_file, open(f"{path}.ids", "wb") as ids_file, open(f"{path}.places", "wb") as places_file:  # noqa: PTH123
        for step in range(steps):
            spans = [(i, slice(cut[step], cut[step + 1])) for i, cut in enumerate(cuts) if cut[step] < cut[step + 1]]
            if not spans:
                continue
            keys = np.concatenate([segments[i].keys[span] for i, span in spans])
            order = np.argsort(keys, kind="stable")
            keys[order].tofile(keys_file)
            np.concatenate([segments[i].ids[span] for i, span in spans])[order].tofile(ids_file)
            moved = [segments[i].places[span] if translate is None else translate(i, segments[i].places[span]) for i, span in spans]
            np.concatenate(moved)[order].tofile(places_file)
    return Segment(path)


def find_all(segments: Iterable[Segment], ids: bytes) -> list[tuple[int, Segment, int]]:
    """(position in ``ids``, segment, row) over several segments."""
    keys = keys_of(ids)
    return [(position, segment, row) for segment in segments for position, row in segment.find(ids, keys)]
