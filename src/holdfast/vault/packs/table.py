"""The packs that a session knows: a number for each id, which of them it uses, and whether they are stored."""

import threading
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from holdfast.vault.format.content import NO_PACK


class PackTable:
    """Numbers are dense and live as long as the session. ``digest`` is the BLAKE3 in the pack's name, known once it is finished."""

    def __init__(self) -> None:
        self.ids: list[bytes] = []
        self._digests: list[bytes | None] = []
        self._numbers: dict[bytes, int] = {}
        self._used: set[int] = {NO_PACK}
        self._own: set[int] = set()
        self._weights: dict[int, int] = {}
        self._lock = threading.Lock()

    def number(self, pack: bytes, digest: bytes | None = None) -> int:
        """The pack's number; a new one when it was not known."""
        with self._lock:
            number = self._numbers.get(pack)
            if number is None:
                number = len(self.ids)
                self._numbers[pack] = number
                self.ids.append(pack)
                self._digests.append(digest)
            elif digest is not None:
                self._digests[number] = digest
            return number

    def finished(self, number: int, digest: bytes) -> None:
        self._digests[number] = digest
        self._own.add(number)

    def translation(self, packs: Sequence[bytes]) -> NDArray[np.uint32]:
        """Local numbers of a content list to numbers of this table."""
        return np.array([self.number(pack) for pack in packs], dtype="<u4")

    def use(self, numbers: Iterable[int]) -> None:
        """These packs hold something that the point needs."""
        self._used.update(numbers)

    def weigh(self, sizes: Mapping[int, int]) -> None:
        """These packs hold so many bytes, plain, that the point needs; they are in use. What is needed twice counts twice."""
        self._used.update(sizes)
        with self._lock:
            for number, size in sizes.items():
                self._weights[number] = self._weights.get(number, 0) + size

    def weights(self) -> dict[bytes, int]:
        """By id of the packs in use that earlier sessions stored: the bytes, plain, that the point needs of them."""
        with self._lock:
            return {self.ids[n]: self._weights.get(n, 0) for n in self._used if n != NO_PACK and n not in self._own}

    def needed(self) -> list[tuple[bytes, bytes | None, int]]:
        """(id, digest, bytes, plain, that are needed of it) of all packs in use, sorted by id."""
        with self._lock:
            return sorted((self.ids[n], self._digests[n], self._weights.get(n, 0)) for n in self._used if n != NO_PACK)

    def used(self) -> list[tuple[bytes, bytes | None]]:
        """(id, digest) of all packs in use, sorted by id."""
        return sorted((self.ids[number], self._digests[number]) for number in self._used if number != NO_PACK)

    def reused(self) -> list[tuple[bytes, bytes]]:
        """(id, digest) of the packs in use that earlier sessions stored, sorted by id."""
        return sorted((self.ids[n], self._digests[n] or b"") for n in self._used if n != NO_PACK and n not in self._own)
