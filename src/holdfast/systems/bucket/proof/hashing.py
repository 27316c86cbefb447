"""A hash over objects in any order, and over one object whose bytes come in any order."""

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

import blake3

from holdfast.connect.objects import Described

BLOCK = 4 << 20
_MOST = 1 << 256


class SetHash:
    """The sum of the members' BLAKE3 hashes modulo 2^256: equal for equal sets whatever their order, in constant memory. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sum = 0
        self.entries = 0
        self.bytes = 0

    def add(self, key: str, described: Described, tags: Mapping[str, str], content: bytes) -> None:
        """``content``: what ``of_bytes`` or ``BlockHash`` says of it."""
        number = int.from_bytes(of_object(key, described, tags, content), "big")
        with self._lock:
            self._sum = (self._sum + number) % _MOST
            self.entries += 1
            self.bytes += described.size

    def document(self) -> dict[str, Any]:
        return {"entries": self.entries, "bytes": self.bytes, "hash": f"{self._sum:064x}"}


def of_object(key: str, described: Described, tags: Mapping[str, str], content: bytes) -> bytes:
    """Over its key, headers, metadata, tags and content."""
    told = [key, described.size, dict(described.headers), dict(described.metadata), dict(tags)]
    return blake3.blake3(json.dumps(told, sort_keys=True).encode() + content).digest()


def of_bytes(data: bytes | bytearray | memoryview) -> bytes:
    """Of a whole object: the hash of the hashes of its blocks of 4 MiB."""
    view = memoryview(data)
    whole = blake3.blake3()
    for start in range(0, len(view), BLOCK):
        whole.update(blake3.blake3(view[start : start + BLOCK]).digest())
    return whole.digest()


class BlockHash:
    """The same of an object whose bytes come in pieces in any order: a target that keeps nothing. What never comes is zeros."""

    zeros = True

    def __init__(self, size: int, done: Callable[[bytes], None]) -> None:
        self._size, self._done = size, done
        self._lock = threading.Lock()
        self._open: dict[int, tuple[bytearray, int]] = {}
        self._digests: dict[int, bytes] = {}

    def write(self, offset: int, data: memoryview) -> None:
        while data:
            number, at = divmod(offset, BLOCK)
            whole = self._length(number)
            take = min(len(data), whole - at)
            full = None
            with self._lock:
                buffer, left = self._open.get(number) or (bytearray(whole), whole)
                buffer[at : at + take] = data[:take]
                self._open[number] = buffer, left - take
                if left == take:
                    full = self._open.pop(number)[0]
            if full is not None:
                self._digests[number] = blake3.blake3(full).digest()
            data, offset = data[take:], offset + take

    def existing(self, offset: int, buffer: memoryview) -> int:
        del offset, buffer
        return 0

    def close(self) -> None:
        whole = blake3.blake3()
        for number in range(-(-self._size // BLOCK)):
            if number not in self._digests:
                rest = self._open.pop(number, None)
                self._digests[number] = blake3.blake3(rest[0] if rest else bytes(self._length(number))).digest()
            whole.update(self._digests[number])
        self._done(whole.digest())

    def _length(self, number: int) -> int:
        return min(BLOCK, self._size - number * BLOCK)
