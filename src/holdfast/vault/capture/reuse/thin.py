"""Log-structured cleaning: packs of which little is still used are used no more, so that they can go when older points do.

Nothing is read from the vault and nothing in it is changed. A commit writes down of which packs its point uses little; the next session on
that base leaves the thinnest of them alone, within a budget: what it needs of them is read again from the source and stored in packs that
are full. docs/prune-protocol.md, "Half-dead packs", argues the figures.
"""

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

SHARE = 4
"""A pack is thin when less than a SHARE-th of what it holds is used."""
WORTH = 1 << 20
"""Bytes of a pack that nobody uses, at the least: less is not worth the trouble."""
BUDGET = 20
"""At most this part of a point's bytes is stored again for it in one session (and one pack, where even that is more)."""
READS = 5
"""At most this part of a point's bytes is read for it that would not have been read otherwise ..."""
LEAST_READS = 64 << 20
"""... and this much always."""
MOST = 4096
"""Packs that one point writes down."""


@dataclass(frozen=True, slots=True)
class Thin:
    """``used`` of ``whole`` bytes, plain, that the pack holds."""

    pack: bytes
    used: int
    whole: int

    def to_json(self) -> list[str | int]:
        return [self.pack.hex(), self.used, self.whole]


def found(used: Mapping[bytes, int], whole: Mapping[bytes, int]) -> list[Thin]:
    """The thin ones of the packs that a point uses: by pack's id its bytes, and those that it holds (a pack not in there is left out)."""
    thin = [
        Thin(pack, some, whole[pack])
        for pack, some in used.items()
        if pack in whole and some * SHARE < whole[pack] and whole[pack] - some >= WORTH
    ]
    return sorted(thin, key=_order)[:MOST]


def parse(rows: object) -> list[Thin]:
    """Out of a point. What is no such list says nothing: it is a matter of space alone."""
    try:
        thin = [Thin(bytes.fromhex(pack), int(used), int(whole)) for pack, used, whole in rows]  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        return []
    return [one for one in thin if 0 <= one.used < one.whole]


def choose(thin: Iterable[Thin], size: int) -> list[bytes]:
    """Ids of those that a session on a point of ``size`` bytes leaves alone: the thinnest first, within the budget."""
    left = size // BUDGET
    chosen: list[bytes] = []
    for one in sorted(thin, key=_order):
        if one.used > left and chosen:
            break
        left -= one.used
        chosen.append(one.pack)
    return chosen


def _order(one: Thin) -> tuple[float, bytes]:
    return one.used / one.whole, one.pack


class Cleaning:
    """Of one session; safe from many threads. ``packs``: ids of those that are left alone."""

    def __init__(self, packs: Collection[bytes] = (), size: int = 0) -> None:
        self.packs = frozenset(packs)
        self._reads = max(size // READS, LEAST_READS)
        self._lock = threading.Lock()

    def rather_read(self, packs: Sequence[bytes], size: int) -> bool:
        """Whether a file of ``size`` bytes, unchanged, is to be read again for the sake of these of its packs."""
        if not self.packs or self.packs.isdisjoint(packs):
            return False
        with self._lock:
            if size > self._reads:
                return False
            self._reads -= size
            return True
