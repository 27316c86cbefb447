"""Writes the tree: finished entries in the order of capture, cut into segments, stored in ``tree`` packs."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any
from zlib import crc32

import blake3
import zstandard

from holdfast.vault.capture.intake.batch import Batch
from holdfast.vault.capture.workers.work import FileWork
from holdfast.vault.format.content import ChunkRef
from holdfast.vault.format.text import to_json
from holdfast.vault.packs import layout
from holdfast.vault.packs.sink import PackSink
from holdfast.vault.packs.table import PackTable
from holdfast.vault.restore.tree import to_document

SEGMENT = 1 << 20
LEAST = 512 << 10
_CUT = 0x1FF
"""Between LEAST and SEGMENT bytes a segment ends behind a path whose CRC-32 has none of these bits: about every 512th. So where a tree has
changed only the segments around it are new, and the others are those of the base, stored already."""
_WAITING = 20_000
"""Entries that may wait behind an unfinished one before ``add`` blocks."""

Known = Callable[[bytes], ChunkRef | None]
"""A segment of the base by its id, if it is still stored everywhere."""


class TreeWriter:
    """Safe from many threads: entries are queued in order and finish in any order."""

    def __init__(self, sink: PackSink, table: PackTable, identity: bytes, known: Known = lambda _: None) -> None:
        self._sink = sink
        self._known = known
        self._table = table
        self._identity = identity
        self._waiting: deque[FileWork | Batch] = deque()
        self._entries = 0
        self._changed = threading.Condition()
        self._lines: list[bytes] = []
        self._size = 0
        self._first = self._last = ""
        self._error: BaseException | None = None
        self.segments: list[dict[str, Any]] = []
        self.loose: list[str] | None = None
        """Of a shard: its lines, which another process puts into segments."""
        self.files = 0
        self.bytes = 0

    def queue(self, work: FileWork | Batch) -> None:
        """The next entry, or batch of them, in order; blocks while too many wait."""
        with self._changed:
            while self._entries >= _WAITING and self._error is None:
                self._advance()
                if self._entries >= _WAITING:
                    self._changed.wait(1.0)
            if self._error is not None:
                raise self._error
            self._waiting.append(work)
            self._entries += work.entries

    @property
    def crowded(self) -> bool:
        """Whether so much waits behind an unfinished entry that what still waits to be sent to the workers must be."""
        return self._entries >= _WAITING // 2

    def fail(self, error: BaseException) -> None:
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def finished(self) -> None:
        """Some entry is complete: write out whatever is complete from the front."""
        with self._changed:
            if self._waiting and self._waiting[0].complete:
                self._advance()
                self._changed.notify_all()

    def close(self) -> None:
        """Write the last segment; all entries must be complete."""
        with self._changed:
            self._advance()
            if self._waiting:
                raise RuntimeError(f"{self._entries} entries were never finished")
            self._flush()

    def store(self, plain: bytes) -> ChunkRef:
        """A chunk of its own in a tree pack: a segment or a large content list."""
        identity = blake3.blake3(plain, key=self._identity).digest()
        body = zstandard.ZstdCompressor(level=1).compress(plain)
        codec = layout.ZSTD
        if len(body) >= len(plain):
            body, codec = plain, layout.STORED
        pack, frame, whole = self._sink.append(body, len(plain), codec, identity, [len(plain)])
        self._table.weigh({pack: len(plain)})
        return ChunkRef(identity, self._table.ids[pack], frame, whole, 0, len(plain))

    def _advance(self) -> None:
        while self._waiting and self._waiting[0].complete:
            work = self._waiting.popleft()
            self._entries -= work.entries
            self._write(work)

    def _write(self, work: FileWork | Batch) -> None:
        if isinstance(work, Batch):
            for path, line, size in work.lines():
                self._line(path, line, size)
        elif not work.dropped:
            document = work.document if work.document is not None else self._document(work)
            self._line(document["p"], to_json(document), document["s"] if work.entry.kind == "file" else None)

    def _line(self, path: str, line: bytes, size: int | None) -> None:
        if self.loose is not None:
            self.loose.append(line.decode())
            return
        if not self._lines:
            self._first = self._last = path
        elif path > self._last:
            self._last = path
        elif path < self._first:
            self._first = path
        self._lines.append(line)
        self._size += len(line) + 1
        if size is not None:
            self.files += 1
            self.bytes += size
        if self._size >= LEAST and (self._size >= SEGMENT or not crc32(path.encode("utf-8", "surrogatepass")) & _CUT):
            self._flush()

    def _document(self, work: FileWork) -> dict[str, Any]:
        inline: str | None = None
        refs: list[Sequence[Any]] = []
        for index in range(len(work.done)):
            offset, text, ref = work.done[index]
            if offset >= work.size and index:
                break
            if text is not None:
                inline = text
            elif ref is not None:
                refs.append(ref)
        return to_document(work.entry, work.size, inline, refs)

    def _flush(self) -> None:
        if not self._lines:
            return
        plain = b"\n".join(self._lines)
        ref = self._known(blake3.blake3(plain, key=self._identity).digest())
        if ref is None:
            ref = self.store(plain)
        else:
            self._table.weigh({self._table.number(ref.pack): ref.size})
        self.segments.append({"first": self._first, "last": self._last, "n": len(self._lines), "ref": ref.to_json()})
        self._lines, self._size = [], 0
