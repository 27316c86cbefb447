"""Deletion vectors (Delta protocol, "Deletion Vectors", "Deletion Vector Format"; RoaringFormatSpec for the bitmaps).

A descriptor names a bitmap of row numbers of one data file: ``u`` in a file named by a UUID below the table, ``p`` in a file at an absolute
address, ``i`` inline. In a file: at ``offset`` a 4-byte big-endian length, the bitmap, its CRC-32 (big-endian).
"""

import struct
import uuid
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from holdfast.systems.delta.errors import VectorBroken

_Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_VALUE = {letter: number for number, letter in enumerate(_Z85)}
_MAGIC = 1681511377
_NATIVE = 1681511376
_NO_RUNS, _RUNS = 12346, 12347
_MOST_BITMAPS = 1 << 20

Rows = npt.NDArray[np.uint64]


def unique_id(descriptor: Mapping[str, Any] | None) -> str:
    """What tells two vectors of one data file apart; empty without one (protocol, "Derived Fields")."""
    if descriptor is None:
        return ""
    start = descriptor.get("offset")
    return f"{descriptor['storageType']}{descriptor['pathOrInlineDv']}" + ("" if start is None else f"@{start}")


def relative_key(descriptor: Mapping[str, Any]) -> str | None:
    """The key below the table of a vector of storage ``u``; None for the others. Raises VectorBroken."""
    if descriptor["storageType"] != "u":
        return None
    text = descriptor["pathOrInlineDv"]
    prefix, encoded = text[:-20], text[-20:]
    name = f"deletion_vector_{uuid.UUID(bytes=z85(encoded))}.bin"
    return f"{prefix}/{name}" if prefix else name


def relative(prefix: str, name: uuid.UUID) -> str:
    """What a descriptor of storage ``u`` says for the file ``prefix/deletion_vector_<name>.bin`` below the table."""
    out = []
    for start in range(0, 16, 4):
        number = int.from_bytes(name.bytes[start : start + 4], "big")
        out += [_Z85[number // 85**power % 85] for power in (4, 3, 2, 1, 0)]
    return prefix + "".join(out)


def z85(text: str) -> bytes:
    """Base85 in ZeroMQ's alphabet: five letters for four bytes. Raises VectorBroken."""
    if len(text) % 5:
        raise VectorBroken(f"A deletion vector's name or inline bytes are no Base85: {len(text)} letters.")
    out = bytearray()
    for start in range(0, len(text), 5):
        number = 0
        for letter in text[start : start + 5]:
            if letter not in _VALUE:
                raise VectorBroken(f"A deletion vector's name or inline bytes are no Base85: {letter!r}.")
            number = number * 85 + _VALUE[letter]
        if number >> 32:
            raise VectorBroken("A deletion vector's name or inline bytes are no Base85.")
        out += number.to_bytes(4, "big")
    return bytes(out)


def rows(descriptor: Mapping[str, Any], file: bytes | None) -> Rows:
    """The row numbers that the vector deletes, ascending. ``file``: the whole file, None for an inline one. Raises VectorBroken."""
    where = unique_id(descriptor)
    size = int(descriptor["sizeInBytes"])
    if file is None:
        data = z85(descriptor["pathOrInlineDv"])[:size]
    else:
        start = int(descriptor.get("offset") or 0)
        head = file[start : start + 4]
        data = file[start + 4 : start + 4 + size]
        tail = file[start + 4 + size : start + 8 + size]
        if len(head) < 4 or len(tail) < 4 or int.from_bytes(head, "big") != size:
            raise VectorBroken(f"The deletion vector {where} is cut off, or lies elsewhere in its file.")
        if zlib.crc32(data) != int.from_bytes(tail, "big"):
            raise VectorBroken(f"The deletion vector {where} is damaged: its checksum is wrong.")
    try:
        found = _bitmaps(data)
    except (struct.error, ValueError, IndexError) as error:
        raise VectorBroken(f"The deletion vector {where} cannot be read: {error}.") from error
    if len(found) != int(descriptor["cardinality"]):
        raise VectorBroken(f"The deletion vector {where} holds {len(found)} rows where the log says {descriptor['cardinality']}.")
    return found


def _bitmaps(data: bytes) -> Rows:
    if int.from_bytes(data[:4], "big") == _NATIVE:
        return _native(data)
    magic, count = struct.unpack_from("<IQ", data, 0)
    if magic != _MAGIC:
        raise ValueError(f"magic number {magic}")
    if count > _MOST_BITMAPS:
        raise ValueError(f"{count} bitmaps")
    position = 12
    parts = []
    for _ in range(count):
        (key,) = struct.unpack_from("<I", data, position)
        low, position = _bitmap(data, position + 4)
        parts.append(low | np.uint64(key << 32))
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)


def _native(data: bytes) -> Rows:
    """The older format, which the protocol's example of an inline vector shows: big-endian, bitmaps for 0, 1, … of the upper half."""
    (count,) = struct.unpack_from(">I", data, 4)
    if count > _MOST_BITMAPS:
        raise ValueError(f"{count} bitmaps")
    position, parts = 8, []
    for key in range(count):
        (size,) = struct.unpack_from(">I", data, position)
        low, _ = _bitmap(data[position + 4 : position + 4 + size], 0)
        parts.append(low | np.uint64(key << 32))
        position += 4 + size
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)


def _bitmap(data: bytes, position: int) -> tuple[Rows, int]:
    """One 32-bit bitmap in the portable format: (its values, the position behind it)."""
    (cookie,) = struct.unpack_from("<I", data, position)
    position += 4
    runs = b""
    if cookie & 0xFFFF == _RUNS:
        count = (cookie >> 16) + 1
        runs = data[position : position + (count + 7) // 8]
        position += (count + 7) // 8
    elif cookie == _NO_RUNS:
        (count,) = struct.unpack_from("<I", data, position)
        position += 4
    else:
        raise ValueError(f"cookie {cookie}")
    if count > 65536:
        raise ValueError(f"{count} containers")
    header = np.frombuffer(data, "<u2", count * 2, position).reshape(count, 2)
    position += count * 4
    if not runs or count >= 4:
        position += count * 4
    parts = []
    for number in range(count):
        key, cardinality = int(header[number, 0]), int(header[number, 1]) + 1
        if runs and runs[number // 8] >> (number % 8) & 1:
            (many,) = struct.unpack_from("<H", data, position)
            pairs = np.frombuffer(data, "<u2", many * 2, position + 2).reshape(many, 2)
            low = np.concatenate([np.arange(int(one[0]), int(one[0]) + int(one[1]) + 1) for one in pairs]) if many else np.empty(0)
            position += 2 + many * 4
        elif cardinality <= 4096:
            low = np.frombuffer(data, "<u2", cardinality, position)
            position += cardinality * 2
        else:
            low = np.flatnonzero(np.unpackbits(np.frombuffer(data, np.uint8, 8192, position), bitorder="little"))
            position += 8192
        parts.append(low.astype(np.uint64) | np.uint64(key << 16))
    return (np.concatenate(parts) if parts else np.empty(0, np.uint64)), position
