"""The inner loop of a capture: read, look at, hash, compare, compress, encrypt. One Worker a thread; the heavy calls release the GIL."""

from collections.abc import Callable
from dataclasses import dataclass, field

import blake3
import numpy as np
import zstandard

from holdfast.model import Progress
from holdfast.vault.capture.intake.batch import Batch
from holdfast.vault.capture.workers.work import FilePart, Piece, Task
from holdfast.vault.format.content import NO_PACK, PLACE, ZERO_ID, Places
from holdfast.vault.index.seen import Row, SeenChunks
from holdfast.vault.packs import layout
from holdfast.vault.packs.sink import PackSink

INSPECT_RUN = 1 << 20
_WORTH = 32
"""A frame is stored compressed when that saves at least one part in 32."""

Lookup = Callable[[bytes], dict[int, Row]]
"""Ids (32 bytes each) to the places of those that earlier sessions stored, by position."""


@dataclass(slots=True)
class Shared:
    """What the workers of one session have in common."""

    identity: bytes
    chunk_size: int
    run: int
    level: int
    sink: PackSink
    seen: SeenChunks
    earlier: Lookup
    finish: Callable[[FilePart], None]
    pace: Callable[[int], None]
    progress: Progress


@dataclass(slots=True)
class Counts:
    read: int = 0
    new: int = 0
    chunks: int = 0
    new_chunks: int = 0


_Missing = tuple[bytes, int, int, FilePart | Batch, int]
"""A chunk without a place: id, start and end in the buffer, part (or batch), number in it."""


@dataclass(slots=True)
class Worker:
    """Call it with a task. ``counts`` are its own until the session ends."""

    shared: Shared
    counts: Counts = field(default_factory=Counts)
    buffer: bytearray = field(init=False)
    view: memoryview = field(init=False)
    zeros: bytes = field(init=False)
    blank: bytes = field(init=False)
    compressor: zstandard.ZstdCompressor = field(init=False)

    def __post_init__(self) -> None:
        self.buffer = bytearray(self.shared.run)
        self.view = memoryview(self.buffer)
        self.zeros = bytes(self.shared.chunk_size)
        self.blank = bytes(self.shared.run)
        self.compressor = zstandard.ZstdCompressor(level=self.shared.level)

    def release(self) -> None:
        """Let go of the buffers, when its thread has ended: they are not to wait until Python collects."""
        del self.view, self.buffer, self.blank, self.zeros, self.compressor

    def __call__(self, task: Task) -> None:
        if isinstance(task, Batch):
            self.shared.progress.advance(task.run(self))
            return
        missing: list[_Missing] = []
        at = 0
        for piece in task:
            if piece.data is not None:
                self.buffer[at : at + piece.length] = piece.data
                got = piece.length
            else:
                got = self._read(piece, at)
            inspect = piece.part.file.inspect
            if inspect is not None:
                source = piece.part.file.source
                for start in range(0, got, INSPECT_RUN):
                    inspect(source, piece.offset + start, self.view[at + start : at + min(got, start + INSPECT_RUN)])  # type: ignore[arg-type]
            self.counts.read += got
            if got:
                self._hash(piece, at, got, missing)
            at += got
        if missing:
            missing = self.known(missing)
        if missing:
            self.store(missing)
        self.shared.progress.advance(at)
        for piece in task:
            part = piece.part
            with part.file.lock:
                part.left -= 1
                ready = part.queued and not part.left
            if ready:
                self.shared.finish(part)

    def _read(self, piece: Piece, at: int) -> int:
        file = piece.part.file
        assert file.source is not None
        self.shared.pace(piece.length)
        target = self.view[at : at + piece.length]
        got = file.source.read_into(piece.offset, target)
        while 0 < got < piece.length:
            more = file.source.read_into(piece.offset + got, target[got:])
            if not more:
                break
            got += more
        if got < piece.length:
            with file.lock:
                file.size = min(file.size, piece.offset + got)
        return got

    def _hash(self, piece: Piece, at: int, got: int, missing: list[_Missing]) -> None:
        part, size, key = piece.part, self.shared.chunk_size, self.shared.identity
        buffer, view, hasher, zeros = self.buffer, self.view, blake3.blake3, self.zeros
        end = at + got
        ids: list[bytes] = []
        for start in range(at, end, size):
            stop = start + size
            if stop <= end:
                if not buffer[start] and buffer.startswith(zeros, start):
                    ids.append(ZERO_ID)
                    continue
            else:
                stop = end
                if not buffer[start] and buffer.startswith(zeros[: stop - start], start):
                    ids.append(ZERO_ID)
                    continue
            ids.append(hasher(view[start:stop], key=key).digest())
        count = len(ids)
        self.counts.chunks += count
        first = piece.first
        places = part.places
        last_size = got - (count - 1) * size
        joined = b"".join(ids)
        span = slice(32 * first, 32 * (first + count))
        fresh = 0
        known = part.base.count if part.base is not None else 0
        # Behind the base's end the ids are zero bytes, which is also the id of a zero chunk: those are never taken for known.
        if first + count > known or part.ids[span] != joined:
            old = part.ids[span]
            for i, identity in enumerate(ids):
                if first + i < known and identity == old[32 * i : 32 * i + 32]:
                    # The base's last chunk may be a shorter run of zeros under the same id.
                    if identity is ZERO_ID:
                        places["size"][first + i] = size
                    continue
                fresh += 1
                if identity is ZERO_ID:
                    places[first + i] = (NO_PACK, 0, 0, 0, size)
                else:
                    start = at + i * size
                    missing.append((identity, start, min(start + size, end), part, first + i))
            part.ids[span] = joined
        if places["size"][first + count - 1] != last_size:
            places["size"][first + count - 1] = last_size
            fresh = fresh or 1
        if fresh:
            with part.file.lock:
                part.fresh += fresh

    def known(self, missing: list[_Missing]) -> list[_Missing]:
        """Give a place to the chunks that were stored before; returns the others."""
        rest = missing
        if not self.shared.seen.none_recent([item[0] for item in missing]):
            recent = self.shared.seen.recent
            rest = []
            for item in missing:
                row = recent(item[0])
                if row is not None:
                    item[3].places[item[4]] = row
                else:
                    rest.append(item)
        for lookup in (self.shared.seen.spilled, self.shared.earlier):
            if not rest:
                break
            found = lookup(b"".join([item[0] for item in rest]))
            if found:
                for position, row in found.items():
                    rest[position][3].places[rest[position][4]] = row
                rest = [item for position, item in enumerate(rest) if position not in found]
        return rest

    def store(self, missing: list[_Missing]) -> None:
        """One new frame of all chunks that nobody stored yet, each once."""
        ids: list[bytes] = []
        offsets: list[int] = []
        sizes: list[int] = []
        spans: list[tuple[int, int]] = []
        own: dict[bytes, int] = {}
        total = 0
        for identity, start, stop, _, _ in missing:
            if identity in own:
                continue
            own[identity] = len(ids)
            ids.append(identity)
            offsets.append(total)
            sizes.append(stop - start)
            total += stop - start
            if spans and spans[-1][1] == start:
                spans[-1] = (spans[-1][0], stop)
            else:
                spans.append((start, stop))
        plain: memoryview | bytes = self.view[slice(*spans[0])] if len(spans) == 1 else b"".join([self.view[a:b] for a, b in spans])
        body: memoryview | bytes = self.compressor.compress(plain)
        codec = layout.ZSTD
        if len(body) > total - total // _WORTH:
            body, codec = plain, layout.STORED
        pack, frame, whole = self.shared.sink.append(body, total, codec, b"".join(ids), sizes)
        self.shared.seen.add(ids, pack, frame, whole, offsets, sizes)
        rows = np.empty(len(ids), PLACE)
        rows["pack"], rows["frame"], rows["whole"], rows["at"], rows["size"] = pack, frame, whole, offsets, sizes
        _place(missing, rows if len(ids) == len(missing) else rows[[own[item[0]] for item in missing]])
        self.counts.new += total
        self.counts.new_chunks += len(ids)


def _place(chunks: list[_Missing], rows: Places) -> None:
    """Write each chunk's row into its part; chunks that follow each other in a part at once."""
    start, count = 0, len(chunks)
    while start < count:
        part, first = chunks[start][3:]
        end = start + 1
        while end < count and chunks[end][3] is part and chunks[end][4] == first + end - start:
            end += 1
        part.places[first : first + end - start] = rows[start:end]
        start = end
