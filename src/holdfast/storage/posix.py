"""The calls that the local storage makes on a file system, behind one port: a test can record them, or lose what was not synced."""

import contextlib
import ctypes
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from holdfast.storage.contract import Buffer

_WRITE = 2  # SYNC_FILE_RANGE_WRITE of linux/fs.h


def _find_sync_file_range() -> Callable[[int, int, int, int], int] | None:
    """The C library's sync_file_range(2), which Python's ``os`` lacks; None where the C library has none."""
    try:
        function = ctypes.CDLL(None, use_errno=True).sync_file_range
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    function.restype = ctypes.c_int
    call: Callable[[int, int, int, int], int] = function
    return call


_sync_file_range = _find_sync_file_range()


class FileSystem(Protocol):
    """Paths are absolute strings; descriptors are those of ``open``. All raise OSError."""

    def open(self, path: str, flags: int, mode: int = 0o600) -> int: ...
    def writev(self, fd: int, parts: Sequence[Buffer]) -> int: ...
    def start_writeback(self, fd: int, offset: int, length: int) -> None:
        """A hint: begin to write dirty pages now, so that fsync finds less to do. Promises nothing, never fails."""
        ...

    def fsync(self, fd: int) -> None: ...
    def close(self, fd: int) -> None: ...
    def link(self, source: str, target: str) -> None: ...
    def unlink(self, path: str) -> None: ...
    def mkdir(self, path: str) -> None: ...
    def fstat(self, fd: int) -> os.stat_result: ...
    def stat(self, path: str) -> os.stat_result: ...
    def pread(self, fd: int, length: int, offset: int) -> bytes: ...
    def scan(self, path: str) -> Iterable[tuple[str, bool]]:
        """(name, is a folder) of every entry of a folder."""
        ...


class RealFileSystem:
    """The operating system's own."""

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        return os.open(path, flags | os.O_CLOEXEC, mode)

    def writev(self, fd: int, parts: Sequence[Buffer]) -> int:
        return os.writev(fd, parts)

    def start_writeback(self, fd: int, offset: int, length: int) -> None:
        if _sync_file_range is not None:
            _sync_file_range(fd, offset, length, _WRITE)

    def fsync(self, fd: int) -> None:
        os.fsync(fd)

    def close(self, fd: int) -> None:
        os.close(fd)

    def link(self, source: str, target: str) -> None:
        os.link(source, target)

    def unlink(self, path: str) -> None:
        os.unlink(path)  # noqa: PTH108

    def mkdir(self, path: str) -> None:
        os.mkdir(path, 0o700)  # noqa: PTH102

    def fstat(self, fd: int) -> os.stat_result:
        return os.fstat(fd)

    def stat(self, path: str) -> os.stat_result:
        return os.stat(path)  # noqa: PTH116

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        return os.pread(fd, length, offset)

    def scan(self, path: str) -> Iterable[tuple[str, bool]]:
        with os.scandir(path) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    yield entry.name, entry.is_dir()
