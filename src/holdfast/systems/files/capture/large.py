"""A large file as the writer reads it: piece by piece, from several threads."""

import bisect
import os
from collections.abc import Callable

from holdfast.systems.files.capture.reading import same


class LargeFile:
    """Takes over ``fd``. ``data``: its ranges of data where it has holes, which are not read.

    ``moved`` is called when the file turns out, at the end, to have been written to meanwhile; its answer decides as ``Source.close`` says.
    """

    def __init__(self, fd: int, status: os.stat_result, data: list[list[int]] | None, moved: Callable[[], bool]) -> None:
        self._fd = fd
        self._status = status
        self._data = data
        self._starts = [start for start, _ in data] if data is not None else []
        self._moved = moved

    def read_into(self, offset: int, buffer: memoryview) -> int:
        if self._data is not None and self._is_hole(offset, offset + len(buffer)):
            length = min(len(buffer), self._status.st_size - offset)
            buffer[:length] = bytes(length)
            return length
        return os.preadv(self._fd, [buffer], offset)

    def close(self) -> bool:
        try:
            moved = not same(self._status, os.fstat(self._fd))
        finally:
            os.close(self._fd)
        return self._moved() if moved else True

    def _is_hole(self, start: int, end: int) -> bool:
        assert self._data is not None
        before = bisect.bisect_right(self._starts, start) - 1
        if before >= 0 and self._data[before][1] > start:
            return False
        return before + 1 == len(self._starts) or self._starts[before + 1] >= end
