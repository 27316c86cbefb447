"""Making durable what was written to this machine's disks, where a file's own ``fsync`` is not enough: names in a folder, whole trees."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """The names in a folder are durable when it returns: a file that is new, was renamed or removed. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file_system(path: Path) -> None:
    """Everything written to the file system that holds ``path`` is durable when it returns (Linux: syncfs(2), which reports write errors).

    Raises OSError; ENOSYS where the system has no such call.
    """
    # Commands that only read a journal import this module, and ctypes costs them a millisecond.
    import ctypes
    import errno

    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
        number = errno.ENOSYS if call is None else ctypes.get_errno() if call(descriptor) != 0 else 0
        if number:
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)
