"""A small file on its way out of a point: put together in memory, and handed over whole."""

import struct
from collections.abc import Iterator
from typing import Protocol

from holdfast.errors import HoldfastError
from holdfast.vault.errors import ObjectDamaged
from holdfast.vault.format.content import NO_PACK
from holdfast.vault.format.text import from_b64
from holdfast.vault.restore.tree import Stored, StoredEntry, Tree

LARGEST = 4 << 20
"""A larger one needs a target."""

Whole = tuple[StoredEntry, memoryview | bytes]


class Takes(Protocol):
    """What gets the bytes of a chunk."""

    path: str
    wrong: HoldfastError | None
    """Why its content is not whole."""

    def write(self, offset: int, data: memoryview) -> None: ...


Wanted = tuple[Takes, int, int, int, bytes]
"""who gets it, offset there, offset in the frame, size, id"""

_ONE = struct.Struct("<III")
_PLACED = struct.Struct("<IIIII")


class SmallFile:
    """``write`` is called by the one worker that has the file."""

    __slots__ = ("_document", "_parts", "_tree", "path", "size", "stored", "wrong")

    def __init__(self, stored: Stored, tree: Tree) -> None:
        self.stored = stored
        self.path: str = stored.path
        self.size: int = stored.size
        if self.size > LARGEST:
            raise ValueError(f"{self.path!r} has {self.size} bytes: too large to be handed over whole")
        self._document = stored.document
        self._tree = tree
        self._parts: list[tuple[int, memoryview]] = []
        self.wrong: HoldfastError | None = None

    def rows(self) -> Iterator[tuple[bytes | None, int, int, Wanted]]:
        """(pack, frame's offset and length, what is wanted of it) of each chunk; no pack for zeros. Raises ObjectDamaged."""
        offset = 0
        inline = self._document.get("c")
        if inline is not None:
            data = from_b64(inline)
            count, _, packs = _ONE.unpack_from(data) if len(data) >= 12 else (0, 0, 0)
            if count == 1 and packs <= 1 and len(data) == 64 + 16 * packs:
                # One chunk: what nearly every small file is. The same as ``content.decode`` makes of it.
                number, frame, whole, at, size = _PLACED.unpack_from(data, 44 + 16 * packs)
                if size == self.size and (number < packs or number == NO_PACK):
                    pack = data[12:28] if number != NO_PACK else None
                    yield pack, frame, whole, (self, 0, at, size, data[12 + 16 * packs : 44 + 16 * packs])
                    return
        for part in self._tree.parts(self._document):
            for i, (number, frame, whole, at, size) in enumerate(part.places.tolist()):
                identity = bytes(part.ids[32 * i : 32 * i + 32])
                yield None if number == NO_PACK else part.packs[number], frame, whole, (self, offset, at, size, identity)
                offset += size
        if offset != self.size:
            raise ObjectDamaged(
                f"The content lists of {self.path!r} cover {offset} of its {self.size} bytes.",
                hint="Run 'holdfast vault check --read all'.",
            )

    def write(self, offset: int, data: memoryview) -> None:
        self._parts.append((offset, data))

    def whole(self) -> Whole:
        if len(self._parts) == 1 and len(self._parts[0][1]) == self.size:
            return self.stored, self._parts[0][1]
        made = bytearray(self.size)
        for offset, data in self._parts:
            made[offset : offset + len(data)] = data
        return self.stored, memoryview(made)
