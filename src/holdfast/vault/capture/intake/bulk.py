"""Hands many small things to a session in order: entries without content, files of the base taken over, small files to be read."""

from collections.abc import Callable, Sequence
from typing import Any

from holdfast.model import Entry
from holdfast.vault.capture.intake.batch import Batch, Read, packs_of
from holdfast.vault.capture.reuse.reuse import Reuse
from holdfast.vault.format.content import decode, weights
from holdfast.vault.format.text import from_b64, to_json
from holdfast.vault.packs.table import PackTable
from holdfast.vault.restore.tree import StoredEntry, own, to_document

MOST_LINES = 1024
MOST_FILES = 512


class Bulk:
    """Made by ``Writer.bulk``; used by the session's thread alone. What was handed in lies in the tree in that order, together with what
    ``Writer.add`` gets, if ``flush`` is called before it.
    """

    def __init__(
        self,
        read: Read,
        *,
        run: int,
        table: PackTable,
        put: Callable[[Batch], None],
        finished: Callable[[], None],
        reuse: Reuse,
        kept: Callable[[], None],
    ) -> None:
        self._read = read
        self._run = run
        self._table = table
        self._put = put
        self._finished = finished
        self._reuse = reuse
        self._kept = kept
        self._batch = self._new()
        self._known: dict[bytes, bool] = {}
        self._used: dict[int, int] = {}
        self._cleans = bool(reuse.cleaning.packs)

    @property
    def largest(self) -> int:
        """Bytes of the largest file that ``small`` takes."""
        return self._run

    def entry(self, entry: Entry) -> None:
        """A folder, a link, a device, an empty file: anything without content."""
        size = 0 if entry.kind == "file" else None
        self._batch.rows.append((entry.path, to_json(to_document(entry, entry.size, None, ())), size))
        self._full()

    def keep(self, stored: StoredEntry) -> bool:
        """Take a file over from the base as it stands there; False when its content is no longer stored everywhere."""
        line = own(stored)
        document = line.document
        if "r" in document:
            if self._cleans and self._reuse.rather_read(document):
                return False
            if not self._reuse.whole(document):
                return False
        elif "c" in document:
            text = from_b64(document["c"])
            packs = packs_of(text)
            for pack in packs:
                if pack not in self._known:
                    self._known[pack] = self._reuse.register(pack)
                if not self._known[pack]:
                    return False
            if self._cleans and self._reuse.cleaning.rather_read(packs, document["s"]):
                return False
            self._use(packs, text, document["s"])
        self._batch.rows.append((document["p"], line.line or to_json(dict(document)), document["s"]))
        self._kept()
        self._full()
        return True

    def small(self, path: str, size: int, handle: Any) -> None:
        """Read a file of about ``size`` bytes (at most ``largest``) together with others, by its handle."""
        batch = self._batch
        if batch.bytes + size > self._run or len(batch.handles) >= MOST_FILES:
            self.flush()
            batch = self._batch
        del path  # its line gets the path of the entry that was read
        batch.slots.append(len(batch.rows))
        batch.rows.append(None)
        batch.handles.append(handle)
        batch.bytes += size

    def flush(self) -> None:
        """Send what was collected on its way."""
        if self._used:
            self._table.weigh(self._used)
            self._used = {}
        batch = self._batch
        if batch.rows:
            self._batch = self._new()
            self._put(batch)

    def _full(self) -> None:
        if len(self._batch.rows) >= MOST_LINES:
            self.flush()

    def _use(self, packs: Sequence[bytes], text: bytes, size: int) -> None:
        if len(packs) == 1:
            number = self._table.number(packs[0])
            self._used[number] = self._used.get(number, 0) + size
        elif packs:
            for local, some in weights(decode(text).places).items():
                number = self._table.number(packs[local])
                self._used[number] = self._used.get(number, 0) + some

    def _new(self) -> Batch:
        return Batch(self._read, self._table, self._run, self._finished)
