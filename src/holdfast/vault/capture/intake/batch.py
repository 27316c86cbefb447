"""Many small files at once: one task reads them, one frame holds what is new of them, and their lines go into the tree together.

A file of a batch is one chunk, whatever the session's chunk size: its content list says a run. So
what a small file costs is a hash, a row and a line, not a task with locks of its own.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import blake3
import numpy as np

from holdfast.model import Entry
from holdfast.vault.format.content import NO_PACK, PLACE, ZERO_ID, Places
from holdfast.vault.format.text import to_b64, to_json
from holdfast.vault.packs.table import PackTable
from holdfast.vault.restore.tree import to_document

if TYPE_CHECKING:
    from holdfast.vault.capture.workers.worker import Worker

Read = Callable[[Sequence[Any], memoryview], Sequence[tuple[Entry, int, int] | None]]
"""Fills the buffer with the content of the handles: for each its entry and the range of the buffer, None to leave it out."""

Row = tuple[str, bytes, int | None]
"""A line of the tree: path, JSON, and the size of a regular file (None for anything else)."""

_ONE = struct.Struct("<III")
_PLACED = struct.Struct("<IIIII")


class Batch:
    """Lines in order, of which some still have to be read. Takes the place of a FileWork in the tree's queue."""

    __slots__ = ("_finished", "_read", "_table", "bytes", "chunk_size", "complete", "handles", "places", "rows", "slots")

    def __init__(self, read: Read, table: PackTable, chunk_size: int, finished: Callable[[], None]) -> None:
        self._read = read
        self._table = table
        self._finished = finished
        self.chunk_size = chunk_size
        self.rows: list[Row | None] = []
        self.slots: list[int] = []
        self.handles: list[Any] = []
        self.bytes = 0
        self.complete = False
        self.places: Places = np.zeros(0, PLACE)

    @property
    def entries(self) -> int:
        return len(self.rows)

    def lines(self) -> Iterator[Row]:
        """What goes into the tree; files that were left out are not in it."""
        return (row for row in self.rows if row is not None)

    def run(self, worker: "Worker") -> int:
        """Read, hash, store; in a worker's thread. Returns the bytes read."""
        worker.shared.pace(self.bytes)
        found = self._read(self.handles, worker.view)
        self.handles = []
        count = len(found)
        self.places = np.zeros(count, PLACE)
        ids = [b""] * count
        missing: list[Any] = []
        key, view, buffer, zeros = worker.shared.identity, worker.view, worker.buffer, worker.blank
        hasher = blake3.blake3
        read = chunks = 0
        for i, one in enumerate(found):
            if one is None:
                continue
            _, start, stop = one
            size = stop - start
            if not size:
                continue
            read += size
            chunks += 1
            if not buffer[start] and buffer.startswith(zeros[:size], start):
                ids[i] = ZERO_ID
                self.places[i] = (NO_PACK, 0, 0, 0, size)
                continue
            ids[i] = identity = hasher(view[start:stop], key=key).digest()
            missing.append((identity, start, stop, self, i))
        worker.counts.read += read
        worker.counts.chunks += chunks
        if missing:
            missing = worker.known(missing)
        if missing:
            worker.store(missing)
        self._lines(found, ids)
        self.complete = True
        self._finished()
        return read

    def _lines(self, found: Sequence[tuple[Entry, int, int] | None], ids: list[bytes]) -> None:
        used: dict[int, int] = {}
        packs = self._table.ids
        for slot, one, identity, (pack, frame, whole, at, size) in zip(self.slots, found, ids, self.places.tolist(), strict=True):
            if one is None:
                continue
            entry = one[0]
            inline = None
            if identity:
                if pack != NO_PACK:
                    used[pack] = used.get(pack, 0) + size
                inline = to_b64(single(self.chunk_size, identity, b"" if pack == NO_PACK else packs[pack], frame, whole, at, size))
            length = one[2] - one[1]
            self.rows[slot] = entry.path, to_json(to_document(entry, length, inline, ())), length
        self._table.weigh(used)


def single(chunk_size: int, identity: bytes, pack: bytes, frame: int, whole: int, at: int, size: int) -> bytes:
    """The content list of a file of one chunk; the same bytes as ``content.encode`` makes. ``pack`` is empty for a chunk of zeros."""
    number = 0 if pack else NO_PACK
    return _ONE.pack(1, chunk_size, 1 if pack else 0) + pack + identity + _PLACED.pack(number, frame, whole, at, size)


def packs_of(text: bytes) -> Sequence[bytes]:
    """The packs that a content list (its bytes) names; cheaper than decoding it."""
    (count,) = struct.unpack_from("<I", text, 8)
    return [text[12 + 16 * i : 28 + 16 * i] for i in range(count)]
