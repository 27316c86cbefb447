"""What a session stores only by naming it: the base's content lists, and chunks of this writer's earlier sessions.

Chosen when the session begins, in an order that matters: first the session stands in every location, then the lists of condemned packs are
read, then which packs are stored. A prune writes its list first and looks for sessions then, so one of the two sees the other: either the
session leaves alone what is listed, or the prune waits for the session (docs/prune-protocol.md).
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from holdfast.errors import Damaged, HoldfastError, Unreachable
from holdfast.vault.capture.reuse import thin
from holdfast.vault.capture.workers.work import FileWork
from holdfast.vault.errors import PointGone
from holdfast.vault.format import content, names
from holdfast.vault.format.content import ChunkRef, Part
from holdfast.vault.index.seen import Row
from holdfast.vault.index.store import IndexStore
from holdfast.vault.keys.notary import Notary
from holdfast.vault.locations import Locations
from holdfast.vault.packs import condemned, damage
from holdfast.vault.packs.present import PresentPacks
from holdfast.vault.packs.table import PackTable
from holdfast.vault.restore.reader import Reader

_UNREADABLE = (Damaged, PointGone)


class Reuse:
    """One a session; safe from many threads. ``locations``: those of the session, which stands there already."""

    def __init__(
        self,
        base: Reader | None,
        table: PackTable,
        *,
        locations: Locations,
        notary: Notary,
        cache: Path,
        told: Callable[[str], None] = lambda _: None,
        require_open: Callable[[], None] = lambda: None,
    ) -> None:
        """``require_open`` raises SessionAborted: whoever slept past its lease may find the base gone before it hears of that."""
        self.base = base if base is not None and _stands(base, locations, notary) else None
        self._table = table
        self._locations = locations
        self._notary = notary
        self._cache = cache
        self._present = reusable(locations, notary) if self.base is not None else None
        self._store: IndexStore | None = None
        self._segments: dict[bytes, ChunkRef] | None = None
        self._lazy = threading.Lock()
        self._told = told
        self._require_open = require_open
        self._closed = False
        self._unread = False
        self._thin: list[thin.Thin] = []
        self.cleaning = thin.Cleaning()
        if self.base is not None and self._present is not None and self._present.spoils({one.ref.pack for one in self.base.tree.segments}):
            told(f"The base {self.base.point.id} names its files in a pack that is damaged: everything is read.")
            self.base = None
        if self.base is not None:
            self._thin = thin.parse(self.base.thin)
            size = self.base.point.totals.bytes
            self.cleaning = thin.Cleaning(thin.choose(self._thin, size), size)

    @property
    def avoided(self) -> int:
        """Packs that hold something wanted and were left alone, since a check found them damaged in every location."""
        return 0 if self._present is None else len(self._present.avoided)

    def document(self, path: str) -> dict[str, Any] | None:
        """The base's entry of that path; None as well from where on the base cannot be read, which is told. Raises SessionAborted."""
        if self.base is None or self._closed:
            return None
        try:
            return self.base.tree.find(path)
        except _UNREADABLE as error:
            self._require_open()
            self._closed = True
            self._told(f"The names of the base {self.base.point.id} cannot be read, so what follows is read and stored anew: {error}")
            return None

    def parts(self, work: FileWork) -> Iterator[Part | None]:
        """The base's content lists of the same path, None where one cannot be used."""
        if self.base is None or work.base is None:
            return
        try:
            for part in self.base.tree.parts(work.base):
                usable = part.chunk_size == work.chunk_size and self.all_present(part)
                yield content.without(part, self.cleaning.packs) if usable else None
        except _UNREADABLE as error:
            self._unreadable(work.entry.path, error)

    def whole(self, document: Mapping[str, Any], *, again: bool = False) -> bool:
        """Name all of an entry of the base as needed: False, and nothing named, when some pack of it does not lie everywhere.

        ``again``: the caller can read the content again, and does where that helps to free a pack.
        """
        assert self.base is not None
        packs: dict[int, int] = {}
        try:
            for part in self.base.tree.parts(document):
                if not self.all_present(part):
                    return False
                if again and not self.cleaning.packs.isdisjoint(part.packs):
                    return False
                numbers = self._table.translation(part.packs).tolist()
                for local, size in content.weights(part.places).items():
                    packs[numbers[local]] = packs.get(numbers[local], 0) + size
        except _UNREADABLE as error:
            self._unreadable(document["p"], error)
            return False
        refs = [(bytes.fromhex(ref[1]), ref[5]) for ref in document.get("r", ())]
        if not all(self.register(pack) for pack, _ in refs):
            return False
        if again and any(pack in self.cleaning.packs for pack, _ in refs):
            return False
        for pack, size in refs:
            self._table.weigh({self._table.number(pack): size})
        self._table.weigh(packs)
        return True

    def _unreadable(self, path: str, error: HoldfastError) -> None:
        """A content list of the base is damaged: what it is about is read as if new. Told of the first one. Raises SessionAborted."""
        assert self.base is not None
        self._require_open()
        refs = self.document(path) or {}
        if self._present is not None:
            self._present.spoils(bytes.fromhex(ref[1]) for ref in refs.get("r", ()))
        if not self._unread:
            self._unread = True
            self._told(f"The base's list of {path!r} cannot be read, so the file is read and stored anew, as are others found so: {error}")

    def all_present(self, part: Part) -> bool:
        return self._present is not None and all(self.register(pack) for pack in part.packs)

    def register(self, pack: bytes) -> bool:
        """Whether a pack of the base still lies everywhere; then the session knows its name."""
        assert self._present is not None
        digest = self._present.digest(pack)
        if digest is not None:
            self._table.number(pack, digest)
        return digest is not None

    def rather_read(self, document: Mapping[str, Any]) -> bool:
        """Whether a large file, unchanged, is to be read again so that a pack with some of it can go."""
        assert self.base is not None
        packs = {bytes.fromhex(ref[1]) for ref in document.get("r", ())}
        try:
            for part in self.base.tree.parts(document):
                packs.update(part.packs)
        except _UNREADABLE:
            return True
        return self.cleaning.rather_read(list(packs), document["s"])

    def goes_on(self, pack: bytes) -> bool:
        """As ``register``, False too for a pack that this session leaves alone so that it can go."""
        return pack not in self.cleaning.packs and self.register(pack)

    def segment(self, identity: bytes) -> ChunkRef | None:
        """Where the base keeps a tree segment of that id; None when it has none, or not everywhere."""
        if self.base is None:
            return None
        if self._segments is None:
            self._segments = {segment.ref.id: segment.ref for segment in self.base.tree.segments}
        found = self._segments.get(identity)
        return found if found is not None and self.goes_on(found.pack) else None

    def earlier(self, ids: bytes) -> dict[int, Row]:
        """Chunks (32 bytes each) that this writer stored in earlier sessions, committed or not: their places, by position."""
        with self._lazy:
            if self._store is None:
                store = IndexStore(self._cache / "index", self._locations, self._notary)
                store.refresh()
                if self._present is None:
                    self._present = reusable(self._locations, self._notary)
                self._store = store
        found: dict[int, Row] = {}
        assert self._present is not None
        certain: set[int] = set()
        for hit in self._store.find(ids, self._notary.writer):
            if hit.position in certain or hit.pack in self.cleaning.packs or self._present.digest(hit.pack) != hit.digest:
                continue
            # Rather where the base has it: a pack that only older points need would be kept for this one.
            if self.base is not None and self.base.needs(hit.pack):
                certain.add(hit.position)
            elif hit.position in found:
                continue
            found[hit.position] = (self._table.number(hit.pack, hit.digest), hit.frame, hit.whole, hit.at, hit.size)
        return found

    def found_thin(self) -> list[thin.Thin]:
        """Packs of which the point uses little, as far as it is known how much they hold: all of them, once the index was asked."""
        known = {one.pack: one.whole for one in self._thin} if self._store is None else self._store.plain()
        return thin.found(self._table.weights(), known)


def _stands(base: Reader, locations: Locations, notary: Notary) -> bool:
    """Whether the base is a point still, now that the session stands. If not, a prune may have removed what it is read from.

    One that is dropped later keeps all it needs for as long as this session lasts.
    """
    name = names.point(base.point.id)
    for storage in locations.storages:
        try:
            # In this order: whoever removes the point puts the record first.
            if notary.check(name, storage.get(name)).kind != "point" or storage.head(names.dropped(base.point.id)) is not None:
                return False
        except Damaged:
            return False
        except Unreachable as error:
            locations.drop(storage, error)
    return True


def reusable(locations: Locations, notary: Notary) -> PresentPacks:
    """The packs that lie in every location, that no prune of any of them is about to delete and that no check found damaged everywhere.

    None at all while a list of a prune cannot be read: anything could stand on it.
    """
    common: set[bytes] | None = None
    going: set[bytes] = set()
    spoiled: set[bytes] = set()
    for storage in locations.storages:
        try:
            # The lists first: a prune writes its list before it deletes.
            lists = condemned.read(storage, notary)
            held = PresentPacks.rows(storage)
            wrong = damage.read(storage, notary).found
        except Unreachable as error:
            locations.drop(storage, error)
            continue
        if lists.unknown:
            return PresentPacks()
        spoiled.update(wrong)
        going.update(entry[:16] for entry in lists.going)
        common = held if common is None else common & held
    return PresentPacks([row for row in common or () if row[:16] not in going], spoiled)
