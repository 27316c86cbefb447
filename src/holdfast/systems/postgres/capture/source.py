"""Reads one file of a data directory while the server goes on writing it."""

import contextlib
import os
import threading


class FileSource:
    """Content of a relation file by ``pread``. Opened at the first read: thousands may be queued.

    A file that vanished (its relation was dropped) reads as empty, as the server itself leaves it until the next checkpoint.
    """

    __slots__ = ("_fd", "_gone", "_lock", "_path")

    def __init__(self, path: bytes) -> None:
        self._path = path
        self._fd = -1
        self._gone = False
        self._lock = threading.Lock()

    def _open(self) -> int:
        with self._lock:
            if self._fd < 0 and not self._gone:
                try:
                    self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
                except FileNotFoundError:
                    self._gone = True
            return self._fd

    def read_into(self, offset: int, buffer: memoryview) -> int:
        fd = self._fd
        if fd < 0:
            fd = self._open()
            if fd < 0:
                return 0
        done = 0
        while done < len(buffer):
            got = os.preadv(fd, [buffer[done:]], offset + done)
            if got == 0:
                break
            done += got
        return done

    def close(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            if self._fd >= 0:
                os.close(self._fd)
            self._fd, self._gone = -1, True
