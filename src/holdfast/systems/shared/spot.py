"""A file or an object of a point that a person gets back by hand."""

import hashlib
import random
from collections.abc import Callable, Sequence

from holdfast.systems.contract import NothingSmall, PointReader, StoredEntry, StoredLine

LARGEST = 4 << 20
"""Bytes of what a person is asked for: small enough that a reader hands it out whole."""


def choose(reader: PointReader, draw: random.Random, wanted: Callable[[StoredLine], bool]) -> StoredLine:
    """Any of them with the same chance, in one pass (Vitter 1985, algorithm R for one). Raises NothingSmall."""
    found, seen = None, 0
    for line in reader.lines():
        if line.is_file and 0 < line.size <= LARGEST and wanted(line):
            seen += 1
            if draw.randrange(seen) == 0:
                found = line
    if found is None:
        raise NothingSmall("The point holds nothing of at most 4 MiB.", hint="Restore something larger, and record it by a note.")
    return found


def hashed(reader: PointReader, path: str, nonce: str) -> str:
    """SHA-256 over the nonce and the content. Raises Damaged, NothingSmall where the point has no such path."""
    line = next((one for one in reader.lines() if one.path == path), None)
    if line is None:
        raise NothingSmall(f"The point does not hold {path!r} any more.", hint="Ask for another one.")
    digest = hashlib.sha256(nonce.encode())

    def small(many: Sequence[tuple[StoredEntry, memoryview | bytes]]) -> None:
        for _, data in many:
            digest.update(data)

    reader.extract([(line, None)], small=small)
    return digest.hexdigest()


def by_shell(nonce: str, place: str) -> tuple[str, ...]:
    """How a person computes the same. ``place``: the file that was got back."""
    return (f"( printf %s {nonce}; cat {place} ) | sha256sum",)
