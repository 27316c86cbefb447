"""Reads many small files of several folders: in C without the interpreter's lock, or the same in Python."""

import errno
import os
import stat
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

from holdfast.systems.files.attributes import is_kept

NOT_REGULAR = -1
TOO_LARGE = -2

Request = tuple[int, bytes]
"""An open folder and a name in it."""
Answer = tuple[int, ...]
"""``(error,)``, or the fields of ``Got`` behind a zero."""

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

try:
    from holdfast.systems.files import _batch as _found  # type: ignore[attr-defined]
except ImportError:  # not compiled: slower, not different
    _found = None
compiled: ModuleType | None = _found


class Got(NamedTuple):
    """A file as it was read: its content lies from ``start`` to ``stop`` of the buffer.

    ``changed``: it was written to meanwhile, twice. ``details``: it has attributes or holes that must be looked at.
    """

    changed: int
    details: int
    start: int
    stop: int
    mode: int
    uid: int
    gid: int
    links: int
    inode: int
    device: int
    mtime_ns: int
    ctime_ns: int


def read_files_python(requests: Sequence[Request], buffer: memoryview) -> list[Answer]:
    """What ``_batch.read_files`` does."""
    found: list[Answer] = []
    at = 0
    for folder, name in requests:
        try:
            fd = open_file(folder, name)
        except OSError as error:
            found.append((error.errno or errno.EIO,))
            continue
        try:
            answer = _read(fd, buffer, at)
        except OSError as error:
            answer = (error.errno or errno.EIO,)
        finally:
            os.close(fd)
        found.append(answer)
        if not answer[0]:
            at = answer[4]
    return found


read_files: Callable[[Sequence[Request], memoryview], Any] = read_files_python if compiled is None else compiled.read_files


def open_file(folder: int, name: bytes | str) -> int:
    """For reading, leaving its time of access alone where that is allowed; never through a link, never waiting. Raises OSError."""
    try:
        return os.open(name, _FLAGS | os.O_NOATIME, dir_fd=folder)
    except PermissionError as error:
        if error.errno != errno.EPERM:
            raise
        return os.open(name, _FLAGS, dir_fd=folder)


def _read(fd: int, buffer: memoryview, at: int) -> Answer:
    before = os.fstat(fd)
    for _ in range(2):
        if not stat.S_ISREG(before.st_mode):
            return (NOT_REGULAR,)
        if before.st_size > len(buffer) - at:
            return (TOO_LARGE,)
        got = 0
        while got < before.st_size:
            more = os.preadv(fd, [buffer[at + got : at + before.st_size]], got)
            if not more:
                break
            got += more
        after = os.fstat(fd)
        changed = got != before.st_size or not same(before, after)
        if not changed:
            break
        before = after
    details = False
    try:
        details = any(map(is_kept, os.listxattr(fd)))
    except OSError as error:
        details = error.errno == errno.ERANGE
    if before.st_blocks * 512 < before.st_size:
        details = details or os.lseek(fd, 0, os.SEEK_HOLE) < before.st_size
    one = before
    numbers = (one.st_mode, one.st_uid, one.st_gid, one.st_nlink, one.st_ino, one.st_dev, one.st_mtime_ns, one.st_ctime_ns)
    return (0, int(changed), int(details), at, at + got, *numbers)


def same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_size, one.st_mtime_ns, one.st_ctime_ns) == (other.st_size, other.st_mtime_ns, other.st_ctime_ns)
