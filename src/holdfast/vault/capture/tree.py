"""Writes the tree: finished entries in the order of capture, cut into segments, stored in ``tree`` packs."""

import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

import blake3
import zstandard

from holdfast.vault.capture.work import FileWork
from holdfast.vault.content import ChunkRef
from holdfast.vault.packs import layout
from holdfast.vault.packs.sink import PackSink
from holdfast.vault.packs.table import PackTable
from holdfast.vault.restore.tree import to_document
from holdfast.vault.text import to_json

SEGMENT = 1 << 20
_WAITING = 20_000
"""Entries that may wait behind an unfinished one before ``add`` blocks."""


class TreeWriter:
    """Safe from many threads: entries are queued in order and finish in any order."""

    def __init__(self, sink: PackSink, table: PackTable, identity: bytes) -> None:
        self._sink = sink
        self._table = table
        self._identity = identity
        self._waiting: deque[FileWork] = deque()
        self._changed = threading.Condition()
        self._lines: list[bytes] = []
        self._size = 0
        self._first = self._last = ""
        self._error: BaseException | None = None
        self.segments: list[dict[str, Any]] = []
        self.files = 0
        self.bytes = 0

    def queue(self, work: FileWork) -> None:
        """The next entry in order; blocks while too many wait."""
        with self._changed:
            while len(self._waiting) >= _WAITING and self._error is None:
                self._advance()
                if len(self._waiting) >= _WAITING:
                    self._changed.wait(1.0)
            if self._error is not None:
                raise self._error
            self._waiting.append(work)

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
                raise RuntimeError(f"{len(self._waiting)} entries were never finished: {self._waiting[0].entry.path!r} first")
            self._flush()

    def store(self, plain: bytes) -> ChunkRef:
        """A chunk of its own in a tree pack: a segment or a large content list."""
        identity = blake3.blake3(plain, key=self._identity).digest()
        body = zstandard.ZstdCompressor(level=1).compress(plain)
        codec = layout.ZSTD
        if len(body) >= len(plain):
            body, codec = plain, layout.STORED
        pack, frame, whole = self._sink.append(body, len(plain), codec, identity, [len(plain)])
        self._table.use([pack])
        return ChunkRef(identity, self._table.ids[pack], frame, whole, 0, len(plain))

    def _advance(self) -> None:
        while self._waiting and self._waiting[0].complete:
            self._write(self._waiting.popleft())

    def _write(self, work: FileWork) -> None:
        document = work.document if work.document is not None else self._document(work)
        line = to_json(document)
        path = document["p"]
        self._first = path if not self._lines else min(self._first, path)
        self._last = path if not self._lines else max(self._last, path)
        self._lines.append(line)
        self._size += len(line) + 1
        if work.entry.kind == "file":
            self.files += 1
            self.bytes += document["s"]
        if self._size >= SEGMENT:
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
        ref = self.store(b"\n".join(self._lines))
        self.segments.append({"first": self._first, "last": self._last, "n": len(self._lines), "ref": ref.to_json()})
        self._lines, self._size = [], 0
