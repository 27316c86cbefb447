"""Parts of files whose last piece is done become content lists in the tree."""

from collections.abc import Sequence
from typing import Any

from holdfast.vault.capture.reuse.reuse import Reuse
from holdfast.vault.capture.tree import TreeWriter
from holdfast.vault.capture.workers.work import FilePart, FileWork
from holdfast.vault.format import content
from holdfast.vault.format.content import PART_CHUNKS, Part
from holdfast.vault.format.text import to_b64
from holdfast.vault.packs.table import PackTable

INLINE = 8192
"""Content lists up to this many bytes stand in the entry's line."""


class Finisher:
    """Safe from many threads. ``incremental``: whether anything of the base was used."""

    def __init__(self, reuse: Reuse, table: PackTable, tree: TreeWriter) -> None:
        self._reuse = reuse
        self._table = table
        self._tree = tree
        self.incremental = False

    def used_base(self) -> None:
        self.incremental = True

    def part(self, part: FilePart) -> None:
        """All of its pieces are done."""
        work = part.file
        size, chunk = work.size, work.chunk_size
        count = max(0, min(len(part.places), -(-(size - part.offset) // chunk)))
        places, ids = part.places[:count], bytes(part.ids[: 32 * count])
        base = part.base
        result: tuple[int, str | None, Sequence[Any] | None]
        self._table.weigh(content.weights(places))
        if count and base is not None and not part.fresh and count == base.count and self._list_reusable(part):
            assert work.base is not None
            inline = work.base.get("c")
            ref = None if inline is not None else work.base["r"][part.index]
            if ref is not None:
                self._table.weigh({self._table.number(bytes.fromhex(ref[1])): ref[5]})
            result = (part.offset, inline, ref)
            self.incremental = True
        elif count:
            if base is not None and part.fresh < count:
                self.incremental = True
            data = content.encode(Part(chunk, ids, places, self._table.ids))
            single = part.index == 0 and work.size <= PART_CHUNKS * chunk
            if single and len(data) <= INLINE:
                result = (part.offset, to_b64(data), None)
            else:
                result = (part.offset, None, self._tree.store(data).to_json())
        else:
            result = (part.offset, None, None)
        with work.lock:
            work.done[part.index] = result
        self.file(work)

    def file(self, work: FileWork) -> None:
        """Tell the tree when all parts of a file are finished."""
        with work.lock:
            expected = work.parts_left
            if work.ended or (work.source is None and not work.queued) or len(work.done) < expected:
                return
            work.ended = True
        if work.source is not None:
            # Before the entry may go into the tree: closing may still change what it says, or that it says anything.
            work.dropped = work.source.close() is False
            work.source = None
        work.complete = True
        self._tree.finished()

    def _list_reusable(self, part: FilePart) -> bool:
        refs = part.file.base["r"] if part.file.base is not None and "r" in part.file.base else ()
        return "c" in (part.file.base or {}) or (part.index < len(refs) and self._reuse.goes_on(bytes.fromhex(refs[part.index][1])))
