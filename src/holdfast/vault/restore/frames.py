"""Chunks by place: frames fetched, opened and checked; a few kept; other places found through the index when a place fails."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

import blake3

from holdfast.errors import Damaged, HoldfastError, Unreachable
from holdfast.vault.errors import ObjectDamaged
from holdfast.vault.index.store import IndexStore
from holdfast.vault.packs.reader import PackReader

_KEPT_BYTES = 24 << 20


class Frames:
    """Shared by the workers of one extract. ``index`` is opened only when a place fails."""

    def __init__(self, packs: PackReader, identity: bytes, index: Callable[[], IndexStore]) -> None:
        self._packs = packs
        self._identity = identity
        self._index = index
        self._kept: OrderedDict[tuple[bytes, int], bytes] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._index_lost = False
        self.fetched = 0

    def read(self, pack: bytes, wanted: Sequence[tuple[int, int]]) -> Iterator[tuple[int, bytes]]:
        """(offset, plain) of each frame (offset, whole length) of one pack."""
        missing: list[tuple[int, int]] = []
        for offset, whole in wanted:
            with self._lock:
                plain = self._kept.get((pack, offset))
            if plain is None:
                missing.append((offset, whole))
            else:
                yield offset, plain
        if missing:
            with self._lock:
                self.fetched += sum(whole for _, whole in missing)
            yield from self._packs.frames(pack, missing)

    def keep(self, pack: bytes, offset: int, plain: bytes) -> None:
        """A neighbour will want this frame too."""
        with self._lock:
            if (pack, offset) not in self._kept:
                self._kept[pack, offset] = plain
                self._size += len(plain)
                while self._size > _KEPT_BYTES:
                    self._size -= len(self._kept.popitem(last=False)[1])

    def right(self, chunk: memoryview | bytes, identity: bytes) -> bool:
        return blake3.blake3(chunk, key=self._identity).digest() == identity

    def elsewhere(self, identity: bytes, size: int, error: HoldfastError) -> bytes:
        """The chunk from any other place that the index knows; else ``error``."""
        with self._asking:
            if self._index_lost:
                raise error
            try:
                index = self._index()
            except Damaged:
                # Asked once: with many chunks gone, each of them would read the whole index again.
                self._index_lost = True
                raise error from None
        for hit in index.find(identity):
            try:
                plain = self._packs.named(hit.pack, hit.digest).frame(hit.pack, hit.frame, hit.whole)[hit.at : hit.at + hit.size]
            except (Damaged, Unreachable):
                continue
            if len(plain) == size and self.right(plain, identity):
                return plain
        raise error

    def answers(self) -> bool:
        """Whether any location answers at all: what cannot be read of one that does is damage, else it is an outage."""
        return self._packs.answers()

    def wrong(self, pack: bytes) -> ObjectDamaged:
        return ObjectDamaged(
            f"A chunk in pack {pack.hex()} is authentic but not the one that was asked for.",
            hint="Run 'holdfast vault check --read all'; restore another recovery point.",
            pack=pack.hex(),
        )
