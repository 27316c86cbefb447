"""Content lists: which chunks a file is made of and where each lies (docs/vault-format.md, "Chunks and content lists").

In memory a list is cut into parts of at most PART_CHUNKS chunks, so that the largest file costs no more memory than a gibibyte of it.
"""

import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from holdfast.vault.errors import ObjectDamaged

PLACE = np.dtype([("pack", "<u4"), ("frame", "<u4"), ("whole", "<u4"), ("at", "<u4"), ("size", "<u4")])
"""Where a chunk lies: number of the pack, offset of its frame in it, the frame's length with header, offset in its plain bytes, length."""
Places = NDArray[np.void]

ZERO_ID = bytes(32)
NO_PACK = 0xFFFFFFFF
PART_CHUNKS = 16384
MIN_CHUNK = 4096
MAX_CHUNK = 8 << 20


class ChunkRef(NamedTuple):
    """A chunk of the tree by itself: a segment or a large content list."""

    id: bytes
    pack: bytes
    frame: int
    whole: int
    at: int
    size: int

    def to_json(self) -> list[Any]:
        return [self.id.hex(), self.pack.hex(), self.frame, self.whole, self.at, self.size]

    @classmethod
    def from_json(cls, row: Sequence[Any]) -> "ChunkRef":
        """Raises ValueError, TypeError when it is none."""
        identity, pack, frame, whole, at, size = row
        found = cls(bytes.fromhex(identity), bytes.fromhex(pack), int(frame), int(whole), int(at), int(size))
        if len(found.id) != 32 or len(found.pack) != 16 or not all(0 <= number < 1 << 32 for number in found[2:]):
            raise ValueError("a reference to a chunk is outside of any pack")
        return found


@dataclass(slots=True)
class Part:
    """``n`` successive chunks of one file: ``ids`` (32 bytes each) and their places. ``pack`` numbers are into ``packs`` (pack ids).

    ``stale``: of a base, chunks that must be read and stored again though nothing changed; their ids are those of no chunk.
    """

    chunk_size: int
    ids: bytearray | bytes
    places: Places
    packs: Sequence[bytes] = field(default_factory=tuple)
    stale: NDArray[np.bool_] | None = None

    @property
    def count(self) -> int:
        return len(self.places)

    @property
    def bytes(self) -> int:
        return int(self.places["size"].sum(dtype=np.uint64))


def weights(places: Places) -> dict[int, int]:
    """By number of the pack the bytes of its chunks; chunks of zeros are in none."""
    if len(places) > 64:
        stored = places[places["pack"] != NO_PACK]
        numbers, inverse = np.unique(stored["pack"], return_inverse=True)
        sizes = np.bincount(inverse, weights=stored["size"], minlength=len(numbers))
        return {int(number): int(size) for number, size in zip(numbers, sizes, strict=True)}
    found: dict[int, int] = {}
    for number, size in zip(places["pack"].tolist(), places["size"].tolist(), strict=True):
        if number != NO_PACK:
            found[number] = found.get(number, 0) + size
    return found


def without(part: Part, packs: Collection[bytes]) -> Part:
    """``part`` as a base for a session that leaves ``packs`` (ids) alone."""
    numbers = [number for number, pack in enumerate(part.packs) if pack in packs]
    if not numbers:
        return part
    stale = np.isin(part.places["pack"], np.array(numbers, dtype="<u4"))
    ids = np.frombuffer(bytearray(part.ids), np.uint8).reshape(-1, 32)
    ids[stale] = 0xFF
    return Part(part.chunk_size, ids.tobytes(), part.places, part.packs, stale)


def encode(part: Part) -> bytes:
    """The list as stored; packs are numbered in order of first use, so that an equal list is always equal bytes."""
    numbers = part.places["pack"]
    present, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    keep = [i for i in np.argsort(first).tolist() if present[i] != NO_PACK]
    local = np.full(len(present), NO_PACK, dtype="<u4")
    for position, i in enumerate(keep):
        local[i] = position
    table = b"".join(part.packs[int(present[i])] for i in keep)
    places = part.places
    columns = (local[inverse].astype("<u4"), places["frame"], places["whole"], places["at"], places["size"])
    head = struct.pack("<III", part.count, part.chunk_size, len(keep))
    return b"".join((head, table, part.ids, *(column.tobytes() for column in columns)))


def decode(data: bytes) -> Part:
    """Raises ObjectDamaged when it is no content list (a bug or a forgery: its bytes were authenticated)."""
    try:
        count, chunk_size, packs = struct.unpack_from("<III", data)
        at = 12 + 16 * packs
        if len(data) != at + 52 * count or not 1 <= chunk_size <= MAX_CHUNK:
            raise ValueError("its length does not fit")
        places = np.empty(count, PLACE)
        columns = np.frombuffer(data, "<u4", 5 * count, at + 32 * count).reshape(5, count)
        for name, column in zip(("pack", "frame", "whole", "at", "size"), columns, strict=True):
            places[name] = column
        numbers = places["pack"]
        if bool(((numbers >= packs) & (numbers != NO_PACK)).any()) or bool((places["size"] > MAX_CHUNK).any()):
            raise ValueError("a place is outside of it")
        return Part(chunk_size, data[at : at + 32 * count], places, [data[12 + 16 * i : 28 + 16 * i] for i in range(packs)])
    except (struct.error, ValueError) as error:
        raise ObjectDamaged(f"A content list is damaged: {error}", hint="Run 'holdfast vault check --read all'.") from None
