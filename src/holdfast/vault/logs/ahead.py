"""Increments that are sealed before their turn: compressing and encrypting need no order, storing does."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

SEALERS = 2

Seal = Callable[[int, memoryview, Mapping[str, Any]], bytes]


class Ahead:
    """``seal`` makes the object of an increment in threads. The caller bounds how many wait: each holds its bytes and what they became."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal
        self._pool: ThreadPoolExecutor | None = None
        self._begun: dict[int, tuple[memoryview, Mapping[str, Any], Future[bytes]]] = {}

    def begin(self, start: int, data: memoryview, meta: Mapping[str, Any]) -> None:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(SEALERS, "seal")
        self._begun[start] = data, meta, self._pool.submit(self._seal, start, data, meta)

    def take(self, start: int, piece: memoryview, meta: Mapping[str, Any]) -> bytes:
        """The sealed object, made now unless it was begun with these very bytes. Raises what sealing raised; the next call seals anew."""
        data, told, future = self._begun.pop(start, (None, None, None))
        for passed in [at for at in self._begun if at < start]:
            del self._begun[passed]
        if future is not None and data is not None and data.obj is piece.obj and len(data) == len(piece) and told == meta:
            return future.result()
        return self._seal(start, piece, meta)

    def close(self) -> None:
        """Drop what was begun, when the last of it has ended."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._begun.clear()
