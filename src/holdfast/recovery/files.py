"""Entries of a recovery point written out as plain files: for `get` and `export`, where no system is started on them."""

import ctypes
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from holdfast.errors import Damaged
from holdfast.model import Extracted, Progress
from holdfast.systems.contract import PointReader, StoredEntry, Target


class PathEscapes(Damaged):
    """An entry's path leads out of the folder that it is written into."""

    code = "entry-path-escapes"


class PlainFile:
    """One file being written under its own name; created anew, never over something."""

    def __init__(self, path: Path, mode: int, mtime_ns: int, size: int) -> None:
        self._mode = mode
        self._mtime_ns = mtime_ns
        self._handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
        # Zeros are not written: they are there from the beginning.
        os.ftruncate(self._handle, size)

    def write(self, offset: int, data: memoryview) -> None:
        while data:
            written = os.pwrite(self._handle, data, offset)
            data, offset = data[written:], offset + written

    def existing(self, offset: int, buffer: memoryview) -> int:
        del offset, buffer
        return 0

    def close(self) -> None:
        os.fchmod(self._handle, self._mode & 0o777)
        os.utime(self._handle, ns=(self._mtime_ns, self._mtime_ns))
        os.close(self._handle)


def write_out(reader: PointReader, entries: Sequence[StoredEntry], root: str, target: Path, progress: Progress) -> Extracted:
    """Write ``entries`` (all at or below ``root``) so that ``root`` becomes ``target``. Durable when it returns.

    Raises FileExistsError's kin only for names that appear meanwhile; PathEscapes for a path with '..' or a leading '/'.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    progress.phase("get", sum(stored.entry.size for stored in entries if stored.entry.kind == "file"))
    folders = [stored.entry for stored in entries if stored.entry.kind == "dir"]
    for entry in sorted(folders, key=lambda entry: entry.path):
        _place(root, entry.path, target).mkdir(parents=True, exist_ok=True, mode=0o700)

    def wanted() -> Iterable[tuple[StoredEntry, Callable[[], Target]]]:
        for stored in entries:
            entry = stored.entry
            place = _place(root, entry.path, target)
            place.parent.mkdir(parents=True, exist_ok=True)
            if entry.kind == "symlink":
                place.symlink_to(entry.target or "")
            elif entry.kind == "file":
                yield stored, lambda place=place, entry=entry: PlainFile(place, entry.mode, entry.mtime_ns, entry.size)  # type: ignore[misc]

    done = reader.extract(wanted(), progress=progress)
    for entry in sorted(folders, key=lambda entry: entry.path, reverse=True):
        place = _place(root, entry.path, target)
        place.chmod(entry.mode & 0o777)
        os.utime(place, ns=(entry.mtime_ns, entry.mtime_ns))
    sync_file_system(target.parent)
    return done


def _place(root: str, path: str, target: Path) -> Path:
    inner = path[len(root) :].strip("/") if root else path
    if ".." in inner.split("/") or path.startswith("/"):
        raise PathEscapes(f"The point holds an entry that leads out of its folder: {path!r}.", hint="Nothing of it was written.")
    return target / inner if inner else target


def sync_file_system(path: Path) -> None:
    """Everything written to the file system that holds ``path`` is durable when it returns (syncfs(2)). Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syncfs(handle) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(handle)
