"""A file whose content arrives as a stream: cut into runs that the workers take."""

from collections.abc import Callable, Iterator

from holdfast.vault.capture.workers.work import Buffer, FilePart, FileWork, Piece, new_part
from holdfast.vault.format.content import PART_CHUNKS, Part
from holdfast.vault.packs.table import PackTable


class StreamSink:
    """Made by ``Writer.stream``. ``write`` copies; it blocks when the workers are behind."""

    def __init__(
        self,
        work: FileWork,
        run: int,
        bases: Iterator[Part | None],
        table: PackTable,
        put: Callable[[Piece], None],
        full: Callable[[FilePart], None],
        done: Callable[[FileWork, FilePart | None], None],
    ) -> None:
        self._work = work
        self._run = run
        self._bases = bases
        self._table = table
        self._put = put
        self._full = full
        self._done = done
        self._buffer = bytearray()
        self._part: FilePart | None = None
        self._closed = False

    def write(self, data: Buffer) -> None:
        if self._closed:
            raise ValueError("the stream is closed")
        view = memoryview(data).cast("B")
        while len(view):
            take = min(len(view), self._run - len(self._buffer))
            self._buffer += view[:take]
            view = view[take:]
            if len(self._buffer) == self._run:
                self._send(last=False)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._buffer:
            self._send(last=True)
        self._done(self._work, self._part)

    def _send(self, *, last: bool) -> None:
        work, chunk = self._work, self._work.chunk_size
        data, self._buffer = self._buffer, bytearray()
        whole = PART_CHUNKS * chunk
        if self._part is None or work.size == self._part.offset + whole:
            count = -(-len(data) // chunk) if last else PART_CHUNKS
            part = new_part(work, work.parts_left, work.size, count, next(self._bases, None), self._table)
            work.parts_left += 1
            if self._part is not None:
                self._full(self._part)
            self._part = part
        offset = work.size
        work.size += len(data)
        self._put(Piece(self._part, (offset - self._part.offset) // chunk, offset, len(data), data))
