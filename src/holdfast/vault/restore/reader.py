"""A committed point, read only."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from holdfast.errors import Damaged, HoldfastError, Unreachable
from holdfast.model import Extracted, Progress, RecoveryPoint, Silent
from holdfast.vault.errors import PointGone, TooLarge
from holdfast.vault.format import names
from holdfast.vault.format.envelope import Envelope
from holdfast.vault.format.text import from_json
from holdfast.vault.index.store import IndexStore
from holdfast.vault.keys import SCOPE
from holdfast.vault.keys.notary import Notary
from holdfast.vault.locations import Locations
from holdfast.vault.packs.present import PresentPacks
from holdfast.vault.packs.reader import PackReader
from holdfast.vault.restore import extract
from holdfast.vault.restore.extract import Target
from holdfast.vault.restore.frames import Frames
from holdfast.vault.restore.tree import Stored, StoredEntry, Tree, to_stored

MOST_WHOLE = 64 << 20


class Reader:
    """Made by ``Vault.point``. Safe from many threads."""

    def __init__(
        self,
        point: RecoveryPoint,
        segments: Sequence[dict[str, Any]],
        envelope: Envelope,
        *,
        locations: Locations,
        notary: Notary,
        cache: Path,
    ) -> None:
        self._point = point
        self._locations = locations
        self._notary = notary
        self._cache = cache
        self._envelope = envelope
        self._listed = PresentPacks([envelope.packs[i : i + 48] for i in range(0, len(envelope.packs), 48)])
        self._store: IndexStore | None = None
        self._lock = threading.Lock()
        self.scope = str(envelope.clear.get("scope", SCOPE))
        """As objects name it: the point's content is reused within it alone."""
        self.identity = notary.bundle.identity[self.scope]
        self.packs = PackReader(
            locations,
            notary.vault,
            notary.privates(),
            self._listed.digest,
            reads_content=notary.bundle.reads_content,
            gone=self._gone,
        )
        self.tree = Tree(segments, self.packs, self.identity)

    @property
    def point(self) -> RecoveryPoint:
        return self._point

    @property
    def thin(self) -> object:
        """What the point says of packs that it uses little of (``vault.capture.reuse.thin``)."""
        return from_json(self._notary.open(self._envelope)).get("thin", ())

    def needs(self, pack: bytes) -> bool:
        """Whether the point uses the pack of that id."""
        return self._listed.digest(pack) is not None

    def entries(self, prefix: str = "") -> Iterator[Stored]:
        return self.tree.entries(prefix)

    def lines(self, lost: Callable[[str, str, int, HoldfastError], None] | None = None) -> Iterator[Stored]:
        """All entries in the order of capture, cheaper than ``entries``: for comparing, and for ``Bulk.keep``.

        ``lost``: where the list itself is damaged, it hears (smallest path, greatest path, entries, why), and the rest follows.
        """
        return self.tree.stored_lines(lost)

    def find(self, path: str) -> Stored | None:
        document = self.tree.find(path)
        return None if document is None else to_stored(document)

    def read(self, stored: StoredEntry) -> bytes:
        """The whole content of a small file; TooLarge over 64 MiB."""
        if stored.entry.size > MOST_WHOLE:
            raise TooLarge(
                f"{stored.entry.path!r} has {stored.entry.size} bytes; at most {MOST_WHOLE} are read at once.", hint="Extract it to a file."
            )
        target = _Memory(stored.entry.size)
        self.extract([(stored, lambda: target)], workers=1)
        return bytes(target.data)

    def extract(
        self,
        wanted: Iterable[tuple[StoredEntry, Callable[[], Target] | None]],
        *,
        delta: bool = False,
        progress: Progress | None = None,
        workers: int = 0,
        small: Callable[[Sequence[tuple[StoredEntry, memoryview | bytes]]], None] | None = None,
        lost: Callable[[StoredEntry, Target | None, HoldfastError], None] | None = None,
    ) -> Extracted:
        """Write the content of many files, every chunk's identity checked; targets are opened in worker threads, each closed when complete.

        Chunks of only zeros are not written to a new file: ``close`` sets its size. ``delta`` asks each target for what exists and fetches
        only what differs. A file (of at most 4 MiB) that comes with None in the place of its opener is handed whole to ``small``, many at a
        time, in worker threads; not with ``delta``. ``lost``: damage ends nothing; it hears of each file that could not be had whole, with
        its target (if that was opened), which is not closed. ``files`` of the result are the others.

        Raises PackDamaged, PackMissing, ObjectDamaged (naming the path), RoleLacking, Unreachable.
        """
        frames = Frames(self.packs, self.identity, self._index)
        count = workers or _workers(self._locations)
        told = progress or Silent()
        return extract.run(wanted, self.tree, self.identity, frames, delta=delta, progress=told, workers=count, small=small, lost=lost)

    def _gone(self) -> PointGone | None:
        """Whether a prune took the point away since it was opened: it stands in no location, or is recorded as dropped."""
        name = names.point(self._point.id)
        for storage in self._locations.storages:
            try:
                if self._notary.check(name, storage.get(name)).kind == "point" and storage.head(names.dropped(self._point.id)) is None:
                    return None
            except Unreachable:
                return None
            except Damaged:
                continue
        return PointGone(self._point.id)

    def _index(self) -> IndexStore:
        with self._lock:
            if self._store is None:
                store = IndexStore(self._cache / "index", self._locations, self._notary)
                store.refresh()
                self._store = store
            return self._store


class _Memory:
    """A target of known size in memory."""

    def __init__(self, size: int) -> None:
        self.data = bytearray(size)

    def write(self, offset: int, data: memoryview) -> None:
        self.data[offset : offset + len(data)] = data

    def existing(self, offset: int, buffer: memoryview) -> int:  # noqa: ARG002
        return 0

    def close(self) -> None:
        pass


def _workers(locations: Locations) -> int:
    """One more than cores, since one may wait for its turn to write; more where each read waits for a network."""
    cores = max(2, os.cpu_count() or 2) + 1
    return cores if locations.nearest[0].url.startswith("file:") else max(8, cores)
