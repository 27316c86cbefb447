"""Writing restored files: the vault's reader calls these from several threads."""

import ctypes
import errno
import functools
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from holdfast.connect.durable import sync_file_system, sync_folder
from holdfast.model import Entry
from holdfast.systems.postgres.running.binaries import Account

MARKER = "holdfast.restoring"
"""Lies in a directory while a restore is under way; a directory that holds it is not started and not taken for a cluster."""


_RESERVED = 1 << 20
"""bytes of a new file from which on its room is reserved before it is written"""
_FLUSHED = 32 << 20
"""bytes written to a file after which the system is asked to begin writing them to disk"""


class FileTarget:
    """One file being written. In a delta restore it offers what lies there already."""

    def __init__(self, path: Path, entry: Entry, who: Account, *, delta: bool) -> None:
        self._size, self._mode = entry.size, entry.mode & 0o777
        self._dirty = 0
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | (0 if delta else os.O_EXCL)
        if delta and path.is_symlink():
            path.unlink()
        self._descriptor = os.open(path, flags | os.O_NOFOLLOW, 0o600)
        try:
            if who.switch:
                os.fchown(self._descriptor, who.uid, who.gid)
            if not delta and entry.size >= _RESERVED:
                reserve(self._descriptor, entry.size)
        except BaseException:
            os.close(self._descriptor)
            raise

    def write(self, offset: int, data: memoryview) -> None:
        done = 0
        while done < len(data):
            done += os.pwrite(self._descriptor, data[done:], offset + done)
        self._dirty += done
        if self._dirty >= _FLUSHED:
            self._dirty = 0
            begin_writing(self._descriptor)

    def existing(self, offset: int, buffer: memoryview) -> int:
        return os.preadv(self._descriptor, [buffer], offset)

    @property
    def closed(self) -> bool:
        return self._descriptor < 0

    def abandon(self) -> None:
        """Let go of the file as it is: the restore failed. Fine when it is closed."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def close(self) -> None:
        try:
            if os.fstat(self._descriptor).st_size != self._size:
                os.ftruncate(self._descriptor, self._size)
            os.fchmod(self._descriptor, self._mode or 0o600)
            if self._dirty >= _FLUSHED // 32:
                begin_writing(self._descriptor)
        finally:
            self.abandon()


@functools.cache
def _fallocate() -> Callable[[int, int, int, int], int] | None:
    call = getattr(ctypes.CDLL(None, use_errno=True), "fallocate64", None)
    if call is not None:
        call.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    return call


def reserve(descriptor: int, size: int) -> None:
    """Take the file's room at once (Linux: fallocate(2)), which saves the file system a third of its work for each block written, and
    hears of a full disk early. Raises OSError for no room; a file system that reserves nothing is written to without.
    """
    # posix_fallocate(3) would write every block there by itself.
    call = _fallocate()
    if call is not None and call(descriptor, 0, 0, size) != 0 and ctypes.get_errno() in (errno.ENOSPC, errno.EDQUOT):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


_WRITE = 2
"""SYNC_FILE_RANGE_WRITE"""


@functools.cache
def _sync_file_range() -> Callable[[int, int, int, int], int] | None:
    call = getattr(ctypes.CDLL(None, use_errno=True), "sync_file_range", None)
    if call is not None:
        call.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    return call


def begin_writing(descriptor: int) -> None:
    """Let the disk begin with what was written to a file, without waiting for it: the sync at the end then has little left to do
    (Linux: sync_file_range(2)). It promises nothing, so its failure means nothing.
    """
    call = _sync_file_range()
    if call is not None:
        call(descriptor, 0, 0, _WRITE)


def write_file(path: Path, content: bytes | str, who: Account, mode: int = 0o600, *, sync: bool = True) -> None:
    """Write a small file by way of a temporary one that is renamed, so that it is whole or not there; ``sync``: and durable on return."""
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(path.name + ".holdfast")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        if who.switch:
            os.fchown(descriptor, who.uid, who.gid)
        os.fchmod(descriptor, mode)
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.rename(path)
    if sync:
        sync_folder(path.parent)


def remove_file(path: Path) -> None:
    """Remove a file, durable; fine when there is none."""
    path.unlink(missing_ok=True)
    if path.parent.is_dir():
        sync_folder(path.parent)


def sync_filesystems(paths: Iterable[Path]) -> None:
    """Everything written to the file systems that hold ``paths`` is durable when this returns. Raises OSError.

    Where a system cannot sync a file system as a whole, every file below is fsynced.
    """
    seen: set[int] = set()
    for path in paths:
        device = path.stat().st_dev
        if device in seen:
            continue
        try:
            sync_file_system(path)
        except OSError as error:
            if error.errno != errno.ENOSYS:
                raise
            _sync_each(path)
        else:
            seen.add(device)


def _sync_each(top: Path) -> None:
    for folder, _, files in os.walk(top):
        for name in files:
            path = Path(folder, name)
            if path.is_symlink():
                continue
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(Path(folder))


def make_folder(path: Path, who: Account, mode: int = 0o700) -> None:
    """Create a folder for the account; parents that are missing are made passable, so that the account reaches it. Fine when
    it is there.
    """
    if path.is_dir() and not path.is_symlink():
        path.chmod(mode)
        who.own(path)
        return
    if not path.parent.exists():
        make_folder(path.parent, who, 0o755)
    path.mkdir(mode=mode)
    path.chmod(mode)
    who.own(path)


def clear(path: Path) -> None:
    """Remove everything inside a folder, not the folder."""
    for inside in path.iterdir():
        if inside.is_dir() and not inside.is_symlink():
            shutil.rmtree(inside)
        else:
            inside.unlink()
