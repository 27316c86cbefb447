"""Looks at the pages of a relation file as it is captured, and says which are not what the server wrote.

A page that was being written while it was read is torn; it is read once more. What still mismatches is bad, unless it was written after
the backup's start: WAL replay then puts a whole page over it. That a page is younger is only believed up to the backup's stop position.
"""

import struct
import threading
from dataclasses import dataclass, field

from holdfast.model import Finding
from holdfast.systems.contract import Source
from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.layout import Relation
from holdfast.systems.postgres.pages.sums import wrong_pages


@dataclass(frozen=True, slots=True)
class Wrong:
    """``block`` counts from the start of the relation fork; ``page_lsn`` is what the page says of itself."""

    path: str
    relation: Relation
    block: int
    page_lsn: int


@dataclass(slots=True)
class PageLedger:
    """Gathers what all files' inspections found; used by many threads. ``page_size`` in bytes, ``segment_pages`` pages a file."""

    start: int
    page_size: int
    segment_pages: int
    wrong: list[Wrong] = field(default_factory=list)
    torn: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def inspector(self, path: str, relation: Relation, *, reread: bool) -> "PageInspector":
        return PageInspector(self, path, relation, reread)

    def note(self, found: list[Wrong], torn: int) -> None:
        with self._lock:
            self.wrong.extend(found)
            self.torn += torn

    def settled(self, stop: int) -> list[Wrong]:
        """The bad pages, now that the backup's stop is known: those written between start and stop are replayed over."""
        bad = [one for one in self.wrong if not self.start <= one.page_lsn <= stop]
        return sorted(bad, key=lambda one: (one.path, one.block))


@dataclass(frozen=True, slots=True)
class PageInspector:
    """An ``Inspect`` for one relation file."""

    ledger: PageLedger
    path: str
    relation: Relation
    reread: bool

    def __call__(self, source: Source, offset: int, view: memoryview) -> None:
        ledger = self.ledger
        size = ledger.page_size
        first = self.relation.first_block(ledger.segment_pages) + offset // size
        indexes = wrong_pages(view, first, size)
        if not indexes:
            return
        found, torn = [], 0
        for index in indexes:
            page = view[index * size : (index + 1) * size]
            if self.reread:
                again = memoryview(bytearray(size))
                if source.read_into(offset + index * size, again) < size:
                    # Truncated meanwhile: the WAL says so too.
                    continue
                # What is stored must be what was judged.
                page[:] = again
                if not wrong_pages(page, first + index, size):
                    torn += 1
                    continue
            high, low = struct.unpack_from("<II", page)
            found.append(Wrong(self.path, self.relation, first + index, high << 32 | low))
        ledger.note(found, torn)


def finding(one: Wrong, name: str | None = None) -> Finding:
    """A bad page as the point carries it. ``name``: what the server calls the relation, when it could be asked."""
    called = f"{name} ({one.path})" if name else one.path
    return Finding(
        code="pg-bad-page",
        message=f"Block {one.block} of {called} has a wrong checksum; the page says {lsn.show(one.page_lsn)}.",
        where={"path": one.path, "block": one.block, "fork": one.relation.fork, "relation": name, "lsn": lsn.show(one.page_lsn)},
    )
