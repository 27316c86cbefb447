"""Which packs lie in every location: only chunks in these are reused."""

from collections.abc import Collection, Iterable, Sequence

import numpy as np

from holdfast.storage.contract import Storage
from holdfast.vault.format import names

_ROW = np.dtype("V48")


class PresentPacks:
    """48 bytes of memory a pack, whatever their number. ``spoiled``: entries that are known to be damaged and so count as absent.

    ``avoided``: ids of those of them that somebody asked for.
    """

    def __init__(self, rows: Sequence[bytes] = (), spoiled: Collection[bytes] = ()) -> None:
        self._spoiled = {row[:16] for row in spoiled}
        self.avoided: set[bytes] = set()
        ordered = sorted(rows)
        self._count = len(ordered)
        self._raw = b"".join(ordered)
        self._keys = np.frombuffer(self._raw, _ROW).view(">u8").reshape(-1, 6)[:, 0].astype("<u8") if ordered else np.empty(0, "<u8")

    @staticmethod
    def rows(storage: Storage) -> set[bytes]:
        """From a listing: id and BLAKE3, 48 bytes, of every pack in one location."""
        return {parsed[0] + parsed[1] for info in storage.list(names.PACKS) if (parsed := names.parse_pack(info.name)) is not None}

    def digest(self, pack: bytes) -> bytes | None:
        """The BLAKE3 in the pack's name, None when it is not everywhere."""
        if pack in self._spoiled:
            self.avoided.add(pack)
            return None
        row = int(np.searchsorted(self._keys, np.uint64(int.from_bytes(pack[:8], "big"))))
        while row < self._count and self._raw[48 * row : 48 * row + 8] == pack[:8]:
            if self._raw[48 * row : 48 * row + 16] == pack:
                return self._raw[48 * row + 16 : 48 * row + 48]
            row += 1
        return None

    def spoils(self, packs: Iterable[bytes]) -> bool:
        """Whether any of these ids is known to be damaged; counts as asking for it."""
        hit = self._spoiled.intersection(packs)
        self.avoided |= hit
        return bool(hit)

    def __len__(self) -> int:
        return self._count
