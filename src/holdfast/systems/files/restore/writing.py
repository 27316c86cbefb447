"""Writing restored files: small ones many at a time, large ones range by range."""

import contextlib
import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from holdfast.connect.durable import sync_file_system
from holdfast.model import Entry
from holdfast.systems.contract import StoredEntry
from holdfast.systems.files import attributes
from holdfast.systems.files.capture.reading import compiled
from holdfast.systems.files.errors import DiskFull, NotWritten
from holdfast.systems.files.handles import Handle
from holdfast.systems.files.restore.folders import Folders
from holdfast.systems.files.restore.owner import Owners, without_special

Request = tuple[int, bytes, memoryview | bytes, int, int, int, int]
"""open folder, name, content, mode, uid, gid (-1: left alone), mtime in ns"""
OPEN, WRITE, OWNER, MODE, TIMES = 1, 2, 3, 4, 5

_NEW = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
UTIME_OMIT = (1 << 30) - 2


def write_files_python(requests: Sequence[Request]) -> list[tuple[int, int, int]]:
    """What ``_batch.write_files`` does: (index, step, errno) of what failed."""
    failed: list[tuple[int, int, int]] = []
    for index, (folder, name, data, mode, uid, gid, mtime_ns) in enumerate(requests):
        step = OPEN
        try:
            fd = os.open(name, os.O_WRONLY | _NEW, 0o600, dir_fd=folder)
            try:
                step = WRITE
                view = memoryview(data)
                while view:
                    view = view[os.write(fd, view) :]
                step = OWNER
                if uid >= 0 or gid >= 0:
                    try:
                        os.fchown(fd, uid, gid)
                    except OSError as error:
                        failed.append((index, OWNER, error.errno or errno.EIO))
                step = MODE
                os.fchmod(fd, mode if not failed or failed[-1][0] != index else without_special(mode))
                step = TIMES
                set_time(fd, mtime_ns)
            finally:
                os.close(fd)
        except OSError as error:
            failed.append((index, step, error.errno or errno.EIO))
            if step in (OPEN, WRITE):
                break
    return failed


write_files: Callable[[Sequence[Request]], Any] = write_files_python if compiled is None else compiled.write_files


def set_time(fd: int, mtime_ns: int) -> None:
    """The time of access stays: it is now, and is nobody's."""
    os.utime(fd, ns=(os.fstat(fd).st_atime_ns, mtime_ns))


def failed(path: str, error: OSError) -> NoReturn:
    """Raise what ended a restore, in words."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise DiskFull(
            f"{path} could not be written: {error.strerror}.",
            hint="What was written stays, and is not whole. Make room, then run the same restore with --delta.",
            path=path,
        ) from error
    raise NotWritten(
        f"{path} could not be written: {error.strerror}.",
        hint="What was written stays, and is not whole. Remove the cause, then run the same restore with --delta.",
        path=path,
    ) from error


def sync(folder: Path) -> None:
    """Everything written to the file system that holds ``folder`` is durable when it returns. Raises DiskFull, NotWritten."""
    try:
        sync_file_system(folder)
    except OSError as error:
        failed(str(folder), error)


class SmallWriter:
    """Takes whole files from the reader. ``place``: where an entry goes, relative to the top of ``folders``."""

    def __init__(self, folders: Folders, owners: Owners, place: Callable[[str], str]) -> None:
        self._folders = folders
        self._owners = owners
        self._place = place

    def __call__(self, files: Sequence[tuple[StoredEntry, memoryview | bytes]]) -> None:
        handles: list[Handle] = []
        requests: list[Request] = []
        names: list[str] = []
        last, folder = "\0", None
        for stored, data in files:
            entry = stored.entry
            path = self._place(entry.path)
            if "a" in entry.extra or "h" in entry.extra:
                self._single(path, entry, data)
                continue
            parent, _, name = path.rpartition("/")
            if parent != last or folder is None:
                folder = self._folders.at(parent)
                handles.append(folder)
                last = parent
            uid, gid, mode = self._owners.of(entry)
            requests.append((folder.fd, os.fsencode(name), data, mode, uid, gid, entry.mtime_ns))
            names.append(path)
        for index, step, number in write_files(requests):
            if step == OWNER and number == errno.EPERM:
                self._owners.miss("owner")
                continue
            failed(self._folders.show(names[index]), OSError(number, os.strerror(number)))

    def _single(self, path: str, entry: Entry, data: memoryview | bytes) -> None:
        target = FileTarget(path, entry, self._folders, self._owners, delta=False)
        target.write(0, memoryview(data))
        target.close()


class FileTarget:
    """One file being written; new, or in a delta restore over what lies there."""

    def __init__(self, path: str, entry: Entry, folders: Folders, owners: Owners, *, delta: bool) -> None:
        self._entry = entry
        self._owners = owners
        self._folders = folders
        self._shown = folders.show(path)
        self._data: list[list[int]] | None = entry.extra.get("h")
        folder, name = folders.parent(path)
        self.written = 0
        self.fresh = True
        try:
            fd = self._there(folder, name) if delta else None
            if fd is None:
                fd = os.open(name, os.O_RDWR | _NEW, 0o600, dir_fd=folder.fd)
                # Zeros are not written: they are there from the beginning.
                os.ftruncate(fd, entry.size)
            else:
                self.fresh = False
        except OSError as error:
            failed(self._shown, error)
        self._fd = fd
        folders.opened.add(self)

    def abandon(self) -> None:
        """Let go of the file as it is: the restore failed. Fine when it is closed."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _there(self, folder: Handle, name: str) -> int | None:
        """What stands there, opened for repair; None when it is better written anew, after it was removed."""
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder.fd)
        except FileNotFoundError:
            return None
        except PermissionError:
            os.unlink(name, dir_fd=folder.fd)
            return None
        try:
            status = os.fstat(fd)
            # With other names it may be somebody's copy of an earlier state, which stays as it is. Holes cannot be put back in place.
            reusable = status.st_nlink == 1 and attributes.data_ranges(fd, status.st_size) == self._data
            if reusable:
                if not status.st_mode & 0o200:
                    os.fchmod(fd, status.st_mode & 0o7777 | 0o200)
                return os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_CLOEXEC)
        finally:
            os.close(fd)
        os.unlink(name, dir_fd=folder.fd)
        return None

    def write(self, offset: int, data: memoryview) -> None:
        try:
            if self._data is None:
                self._put(offset, data)
                return
            end = offset + len(data)
            for start, stop in self._data:
                low, high = max(start, offset), min(stop, end)
                if low < high:
                    self._put(low, data[low - offset : high - offset])
        except OSError as error:
            failed(self._shown, error)

    def _put(self, offset: int, data: memoryview) -> None:
        self.written += len(data)
        while data:
            done = os.pwrite(self._fd, data, offset)
            data, offset = data[done:], offset + done

    def existing(self, offset: int, buffer: memoryview) -> int:
        return 0 if self.fresh else os.preadv(self._fd, [buffer], offset)

    def close(self) -> None:
        fd = self._fd
        self._folders.opened.discard(self)
        try:
            if self.fresh and self._entry.size:
                self._allocate(self._data if self._data is not None else [[0, self._entry.size]])
            longer = os.fstat(fd).st_size != self._entry.size
            if longer:
                os.ftruncate(fd, self._entry.size)
            if longer or self.fresh or self.written:
                self._folders.count_changed()
            dress(fd, self._entry, self._owners, clean=True)
        except OSError as error:
            failed(self._shown, error)
        finally:
            self.abandon()

    def _allocate(self, data: Sequence[Sequence[int]]) -> None:
        """Zeros that were data are data again: a dense file comes back dense, a sparse one with its own holes."""
        zeros = bytes(1 << 20)
        for start, stop in data:
            at = start
            while at < stop:
                try:
                    hole = os.lseek(self._fd, at, os.SEEK_HOLE)
                except OSError:
                    return
                if hole >= stop:
                    break
                after = stop
                with contextlib.suppress(OSError):
                    after = min(stop, os.lseek(self._fd, hole, os.SEEK_DATA))
                for position in range(hole, after, len(zeros)):
                    os.pwrite(self._fd, zeros[: min(len(zeros), after - position)], position)
                at = after


def dress(fd: int, entry: Entry, owners: Owners, *, clean: bool = False) -> None:
    """Owner, mode, attributes, time, in the order in which none undoes another. ``clean``: attributes that do not belong there go."""
    uid, gid, mode = owners.of(entry)
    if uid >= 0 or gid >= 0:
        try:
            os.fchown(fd, uid, gid)
        except PermissionError:
            owners.miss("owner")
            mode = without_special(mode)
    wanted = attributes.decoded(entry.extra.get("a", {}))
    if clean:
        for name in attributes.read_attributes(fd):
            if name not in entry.extra.get("a", {}):
                with contextlib.suppress(OSError):
                    os.removexattr(fd, name)
    set_attributes(fd, [one for one in wanted if one[0].startswith("user.")], owners)
    os.fchmod(fd, mode)
    set_attributes(fd, [one for one in wanted if not one[0].startswith("user.")], owners)
    set_time(fd, entry.mtime_ns)


def set_attributes(place: int | str, wanted: Sequence[tuple[str, bytes]], owners: Owners) -> None:
    for name, value in wanted:
        try:
            os.setxattr(place, name, value, follow_symlinks=isinstance(place, int))
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP):
                raise
            owners.miss("attribute")
