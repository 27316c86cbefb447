"""Files cut into pieces that the workers take: large runs one by one, small ones in batches."""

import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from holdfast.vault.capture.workers.engine import Engine
from holdfast.vault.capture.workers.work import FilePart, FileWork, Piece, Task, new_part
from holdfast.vault.format.content import PART_CHUNKS, Part
from holdfast.vault.packs.table import PackTable


class Slicer:
    """``run``: bytes of the largest piece; ``most``: pieces in one batch, so that not too many files stay open in the queue.

    ``finish`` hears of a part when all of its pieces are done (or there were none); otherwise the worker that did the last one tells it.
    """

    def __init__(self, engine: Engine[Task], table: PackTable, run: int, most: int, finish: Callable[[FilePart], None]) -> None:
        self.run = run
        self._engine = engine
        self._table = table
        self._most = most
        self._finish = finish
        self._batch: list[Piece] = []
        self._batch_size = 0
        self._lock = threading.Lock()

    def add(self, work: FileWork, index: int, size: int, base: Part | None, changed: Sequence[tuple[int, int]] | None) -> None:
        """Part ``index`` of a file of ``size`` bytes; ``changed``: byte ranges that may differ from the base, None for unknown."""
        chunk = work.chunk_size
        offset = index * PART_CHUNKS * chunk
        length = min(size - offset, PART_CHUNKS * chunk)
        count = -(-length // chunk)
        part = new_part(work, index, offset, count, base, self._table)
        if changed is None or base is None:
            spans = [(0, length)] if length else []
        else:
            spans = list(_read_spans(changed, offset, length, base, chunk))
        for begin, end in spans:
            for first in range(begin, end, self.run):
                with work.lock:
                    part.left += 1
                self._put(Piece(part, first // chunk, offset + first, min(self.run, end - first)))
        self.queued(part)

    def queued(self, part: FilePart) -> None:
        """No more pieces of this part will come."""
        with part.file.lock:
            part.queued = True
            ready = not part.left
        if ready:
            self._finish(part)

    def stream(self, piece: Piece) -> None:
        """A piece whose bytes came with it."""
        with piece.part.file.lock:
            piece.part.left += 1
        self._engine.put([piece])

    def flush(self) -> None:
        """Hand over the batch under construction."""
        with self._lock:
            self._send()

    def _put(self, piece: Piece) -> None:
        if piece.length == self.run:
            self._engine.put([piece])
            return
        with self._lock:
            if self._batch_size + piece.length > self.run or len(self._batch) >= self._most:
                self._send()
            self._batch.append(piece)
            self._batch_size += piece.length

    def _send(self) -> None:
        if self._batch:
            batch, self._batch, self._batch_size = self._batch, [], 0
            self._engine.put(batch)


def _read_spans(changed: Sequence[tuple[int, int]], offset: int, length: int, base: Part, chunk: int) -> Iterator[tuple[int, int]]:
    """Byte ranges of a part, from its start and cut at chunks, that must be read: what changed and what the base does not hold."""
    count = -(-length // chunk)
    mask = np.zeros(count, dtype=bool)
    for begin, end in changed:
        low, high = max(0, begin - offset), min(length, end - offset)
        if low < high:
            mask[low // chunk : -(-high // chunk)] = True
    held = min(count, base.count)
    mask[held:] = True
    if base.stale is not None:
        mask[:held] |= base.stale[:held]
    if held:
        expected = min(chunk, length - (held - 1) * chunk)
        if int(base.places["size"][held - 1]) != expected:
            mask[held - 1] = True
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        yield begin * chunk, min(end * chunk, length)
