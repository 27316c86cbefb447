"""The body of an index envelope: the chunks of finished packs, by columns (docs/vault-format.md, "Index")."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from holdfast.vault.errors import ObjectDamaged
from holdfast.vault.format.content import PLACE, Places
from holdfast.vault.packs import layout
from holdfast.vault.packs.layout import FrameEntry

_PACK = struct.Struct("<16s32sQB3xI")
_KINDS = ("data", "tree")


@dataclass(frozen=True, slots=True)
class PackChunks:
    """One pack of an index. ``places`` have ``pack`` 0; ``ids`` are 32 bytes each."""

    id: bytes
    digest: bytes
    size: int
    kind: str
    ids: bytes
    places: Places


def from_frames(pack: bytes, digest: bytes, size: int, kind: str, frames: Sequence[FrameEntry]) -> PackChunks:
    """What a pack's trailer says, as rows."""
    counts = [len(frame.lengths) for frame in frames]
    places = np.zeros(sum(counts), PLACE)
    places["frame"] = np.repeat(np.array([frame.offset for frame in frames], dtype="<u4"), counts)
    places["whole"] = np.repeat(np.array([frame.sealed + layout.HEAD_BYTES for frame in frames], dtype="<u4"), counts)
    row = 0
    for frame, count in zip(frames, counts, strict=True):
        lengths = np.array(frame.lengths, dtype="<u4")
        places["size"][row : row + count] = lengths
        places["at"][row : row + count] = np.cumsum(lengths, dtype=np.uint32) - lengths
        row += count
    return PackChunks(pack, digest, size, kind, b"".join(frame.ids for frame in frames), places)


def encode(packs: Iterable[PackChunks]) -> bytes:
    parts: list[bytes] = []
    count = 0
    for pack in packs:
        count += 1
        parts.append(_PACK.pack(pack.id, pack.digest, pack.size, _KINDS.index(pack.kind), len(pack.places)))
        parts.append(pack.ids)
        parts.extend(pack.places[column].tobytes() for column in ("frame", "whole", "at", "size"))
    return struct.pack("<I", count) + b"".join(parts)


def decode(name: str, data: bytes) -> list[PackChunks]:
    """Raises ObjectDamaged."""
    try:
        (count,) = struct.unpack_from("<I", data)
        at = 4
        packs = []
        for _ in range(count):
            identity, digest, size, kind, chunks = _PACK.unpack_from(data, at)
            at += _PACK.size
            if len(data) - at < 48 * chunks:
                raise ValueError("it ends early")
            places = np.zeros(chunks, PLACE)
            columns = np.frombuffer(data, "<u4", 4 * chunks, at + 32 * chunks).reshape(4, chunks)
            for column, values in zip(("frame", "whole", "at", "size"), columns, strict=True):
                places[column] = values
            packs.append(PackChunks(identity, digest, size, _KINDS[kind], data[at : at + 32 * chunks], places))
            at += 48 * chunks
        if at != len(data):
            raise ValueError("bytes are left over")
    except (struct.error, ValueError, IndexError) as error:
        raise ObjectDamaged(
            f"{name} is damaged: {error}",
            hint="Heal it: 'holdfast vault check --heal'. Without it what it tells of is stored again when it is met.",
            object=name,
        ) from None
    return packs
