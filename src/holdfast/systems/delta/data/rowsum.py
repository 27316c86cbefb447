"""The sum of the hashes of a batch's rows, as ``_rowsum.c`` defines it; here once more in Python: what tests hold it against, and what
serves where nothing could be compiled, some hundred times as slow.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

METHOD = "siphash-1-3-128"
Sums = tuple[int, int, int]
"""(rows, sum of the lower halves, sum of the upper halves), each sum modulo 2^64."""

_ALL = (1 << 64) - 1
_NAN = {4: 0x7FC00000, 8: 0x7FF8000000000000}

try:
    from holdfast.systems.delta.data import _rowsum

    compiled: Callable[..., Sums] | None = _rowsum.sums
except ImportError:
    compiled = None


def sums(batch: Any, skipped: bytes | None = None) -> Sums:
    """Of an Arrow record batch whose columns bear the table's names. ``skipped``: a byte for each row, 1 where it is deleted.

    Raises ValueError for a type whose values cannot be hashed.
    """
    if compiled is None:
        return plain(batch, skipped)
    return compiled(*batch.__arrow_c_array__(), skipped)


def added(parts: Sequence[Sums]) -> Sums:
    return sum(one[0] for one in parts), sum(one[1] for one in parts) & _ALL, sum(one[2] for one in parts) & _ALL


def plain(batch: Any, skipped: bytes | None = None) -> Sums:
    """The same without the compiled part."""
    order = sorted(range(batch.num_columns), key=lambda i: batch.schema.field(i).name.encode())
    columns = [batch.column(i) for i in order]
    rows = low = high = 0
    for i in range(batch.num_rows):
        if skipped is not None and skipped[i]:
            continue
        one = _hash([word for column in columns for word in _words(column[i])])
        rows, low, high = rows + 1, low + one[0], high + one[1]
    return rows, low & _ALL, high & _ALL


def _words(value: Any) -> Iterator[int]:
    """Of an Arrow scalar."""
    kind = str(value.type)
    plain: Any = value.as_py() if not kind.startswith(("list", "large_list", "struct", "map", "timestamp", "date")) else None
    if not value.is_valid or kind == "null":
        yield 0
    elif kind in ("string", "large_string", "binary", "large_binary") or kind.startswith("fixed_size_binary"):
        data: bytes = plain.encode() if isinstance(plain, str) else plain
        yield len(data) << 8 | 2
        for start in range(0, len(data), 8):
            yield int.from_bytes(data[start : start + 8], "little")
    elif kind in ("float", "double"):
        size = 4 if kind == "float" else 8
        yield 1
        yield _NAN[size] if plain != plain else int.from_bytes(struct.pack("<f" if size == 4 else "<d", plain), "little")  # noqa: PLR0124 - NaN
    elif kind.startswith("decimal128"):
        unscaled = int(plain.scaleb(value.type.scale, _context()))
        yield from (1, unscaled & _ALL, unscaled >> 64 & _ALL)
    elif kind.startswith(("list", "large_list")):
        yield len(value.values) << 8 | 3
        for one in value.values:
            yield from _words(one)
    elif kind.startswith("struct"):
        yield 4
        for i in sorted(range(value.type.num_fields), key=lambda i: value.type.field(i).name.encode()):
            yield from _words(value[i])
    elif kind.startswith("map"):
        pairs = [_hash([*_words(pair[0]), *_words(pair[1])]) for pair in value.values]
        yield len(pairs) << 8 | 5
        yield sum(one[0] for one in pairs) & _ALL
        yield sum(one[1] for one in pairs) & _ALL
    else:
        yield 1
        yield int(value.value if kind.startswith(("timestamp", "date")) else plain) & _ALL


def _context() -> Any:
    import decimal

    return decimal.Context(prec=80)


def _turn(value: int, bits: int) -> int:
    return (value << bits | value >> (64 - bits)) & _ALL


def _round(a: int, b: int, c: int, d: int) -> tuple[int, int, int, int]:
    a = a + b & _ALL
    b = _turn(b, 13) ^ a
    a = _turn(a, 32)
    c = c + d & _ALL
    d = _turn(d, 16) ^ c
    a = a + d & _ALL
    d = _turn(d, 21) ^ a
    c = c + b & _ALL
    b = _turn(b, 17) ^ c
    return a, b, _turn(c, 32), d


def _hash(words: Sequence[int]) -> tuple[int, int]:
    """SipHash-1-3 with 128 bits of result and a key of zeros, of whole words."""
    a, b, c, d = 0x736F6D6570736575, 0x646F72616E646F6D ^ 0xEE, 0x6C7967656E657261, 0x7465646279746573
    for word in (*words, len(words) << 59 & _ALL):
        d ^= word
        a, b, c, d = _round(a, b, c, d)
        a ^= word
    c ^= 0xEE
    for _ in range(3):
        a, b, c, d = _round(a, b, c, d)
    low = a ^ b ^ c ^ d
    b ^= 0xDD
    for _ in range(3):
        a, b, c, d = _round(a, b, c, d)
    return low, a ^ b ^ c ^ d
