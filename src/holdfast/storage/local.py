"""A folder of a local or mounted file system as a location.

An object is written to a temporary file of the same file system, synced, and linked to its final name: link(2) fails when the name is
taken, so it is the put-if-absent, and no reader ever sees half an object. The folder and every folder above that this process has not
yet synced are synced before success is told. Object stores' libraries skip these syncs, which is why this is our own code.
"""

import contextlib
import datetime as dt
import errno
import os
import secrets
import stat
import threading
from collections.abc import Iterator, Sequence
from typing import ClassVar, NoReturn

from holdfast.storage.contract import (
    Buffer,
    Capabilities,
    ObjectExists,
    ObjectInfo,
    ObjectMissing,
    StorageDenied,
    StorageFull,
    StorageUnfit,
    StorageUnreachable,
)
from holdfast.storage.names import TEMPORARY, check_name, common
from holdfast.storage.posix import FileSystem, RealFileSystem

STALE = 86_400
"""Seconds after which a temporary file belongs to nobody: no put takes a day."""
_WRITEBACK = 8 << 20
_BATCH = 512  # parts a writev; the kernel takes 1024


class LocalStorage:
    """``root`` is an absolute path. ``create`` makes it (and its parents); without it a missing root is refused, since an unmounted
    disk must not turn into a vault on the system disk.
    """

    capabilities: ClassVar[Capabilities] = Capabilities()

    def __init__(self, root: str, *, create: bool = False, files: FileSystem | None = None) -> None:
        self.root = os.path.abspath(root)  # noqa: PTH100 - strings all along: this is the hot path
        self.url = f"file://{self.root}"
        self._files = files or RealFileSystem()
        self._synced: set[str] = set()
        self._lock = threading.Lock()
        self._swept = False
        try:
            if create:
                self._make_folder(self.root)
            if not stat.S_ISDIR(self._files.stat(self.root).st_mode):
                raise StorageDenied(f"{self.root} is not a folder.", hint="Name a folder as the location.", url=self.url)
        except FileNotFoundError:
            raise StorageUnreachable(
                f"The location {self.root} does not exist.",
                hint="Is its disk mounted? 'holdfast init' creates a new vault there.",
                url=self.url,
            ) from None
        except OSError as error:
            self._fail(error, self.root)

    # ------------------------------------------------------------ writing

    def put_if_absent(self, name: str, parts: Sequence[Buffer]) -> None:
        target = f"{self.root}/{check_name(name)}"
        folder = target[: target.rindex("/")]
        try:
            self._make_folder(folder)
            temporary, created = self._write_temporary(parts)
            try:
                self._sweep(created)
                self._files.link(temporary, target)
            finally:
                with contextlib.suppress(OSError):
                    self._files.unlink(temporary)
            self._sync_folder(folder)
        except FileExistsError:
            # Whoever linked it may not have synced the folder yet, and our caller may take "exists" for "durable".
            with contextlib.suppress(OSError):
                self._sync_folder(folder)
            raise ObjectExists(name) from None
        except OSError as error:
            self._fail(error, name)

    def delete(self, name: str) -> None:
        target = f"{self.root}/{check_name(name)}"
        try:
            self._files.unlink(target)
            self._sync_folder(target[: target.rindex("/")])
        except FileNotFoundError:
            return
        except OSError as error:
            self._fail(error, name)

    def now(self) -> dt.datetime:
        try:
            temporary, created = self._write_temporary(())
            self._files.unlink(temporary)
        except OSError as error:
            self._fail(error, TEMPORARY)
        return dt.datetime.fromtimestamp(created, dt.UTC)

    def _write_temporary(self, parts: Sequence[Buffer]) -> tuple[str, float]:
        """A synced file holding ``parts``: its path and the file system's time of it. Nothing is left behind on failure."""
        path = f"{self.root}/{TEMPORARY}/{os.getpid():x}-{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        seen_before = f"{self.root}/{TEMPORARY}" in self._synced
        try:
            fd = self._files.open(path, flags)
        except FileNotFoundError:
            # Seen before and gone now: the disk was unmounted under us, and what is written here would go to another one.
            if seen_before:
                raise
            self._make_folder(f"{self.root}/{TEMPORARY}")
            fd = self._files.open(path, flags)
        try:
            try:
                self._write(fd, parts)
                # A failed fsync is never repeated on the same file: the kernel may have dropped the pages and would say "fine".
                self._files.fsync(fd)
                return path, self._files.fstat(fd).st_mtime
            finally:
                self._files.close(fd)
        except BaseException:
            with contextlib.suppress(OSError):
                self._files.unlink(path)
            raise

    def _write(self, fd: int, parts: Sequence[Buffer]) -> None:
        written = started = 0
        views = [view for view in (memoryview(part).cast("B") for part in parts) if len(view)]
        first = 0
        while first < len(views):
            batch: list[Buffer] = []
            size = 0
            for view in views[first : first + _BATCH]:
                batch.append(view[: _WRITEBACK - size])
                size += len(batch[-1])
                if size >= _WRITEBACK:
                    break
            done = self._files.writev(fd, batch)
            written += done
            while done:
                step = min(done, len(views[first]))
                done -= step
                views[first] = views[first][step:]
                if not len(views[first]):
                    first += 1
            if written - started >= _WRITEBACK:
                self._files.start_writeback(fd, started, written - started)
                started = written

    def _make_folder(self, folder: str) -> None:
        """The folder exists and its name is durable, up to the first one that this process knows to be so."""
        if folder in self._synced:
            return
        parent = folder[: folder.rindex("/")] or "/"
        try:
            self._files.mkdir(folder)
        except FileExistsError:
            pass
        except FileNotFoundError:
            self._make_folder(parent)
            with contextlib.suppress(FileExistsError):
                self._files.mkdir(folder)
        except OSError as error:
            # A read-only or foreign parent is no matter where the folder is there already.
            try:
                self._files.stat(folder)
            except OSError:
                raise error from None
        if folder.startswith(f"{self.root}/"):
            self._make_folder(parent)
        # Also for a folder that was there: its maker may have died before syncing its name.
        with contextlib.suppress(PermissionError):
            self._sync_folder(parent)
        self._synced.add(folder)

    def _sync_folder(self, folder: str) -> None:
        fd = self._files.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._files.fsync(fd)
        finally:
            self._files.close(fd)

    def _sweep(self, now: float) -> None:
        """Remove what died in mid-write long ago; once a process. ``now`` is the file system's time."""
        with self._lock:
            if self._swept:
                return
            self._swept = True
        folder = f"{self.root}/{TEMPORARY}"
        for name, _ in list(self._files.scan(folder)):
            with contextlib.suppress(OSError):
                if now - self._files.stat(f"{folder}/{name}").st_mtime > STALE:
                    self._files.unlink(f"{folder}/{name}")

    # ------------------------------------------------------------ reading

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        try:
            fd = self._files.open(f"{self.root}/{check_name(name)}", os.O_RDONLY)
            try:
                if length is None:
                    length = max(0, self._files.fstat(fd).st_size - start)
                data = self._files.pread(fd, length, start)
                if len(data) in (length, 0):
                    return data
                pieces = [data]
                got = len(data)
                while got < length and (data := self._files.pread(fd, length - got, start + got)):
                    pieces.append(data)
                    got += len(data)
                return b"".join(pieces)
            finally:
                self._files.close(fd)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise ObjectMissing(f"There is no {name} in {self.url}.", hint="Run 'holdfast vault check'.", name=name, url=self.url) from None
        except OSError as error:
            self._fail(error, name)

    def head(self, name: str) -> ObjectInfo | None:
        try:
            found = self._files.stat(f"{self.root}/{check_name(name)}")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._fail(error, name)
        return _info(name, found) if stat.S_ISREG(found.st_mode) else None

    def list(self, prefix: str = "", after: str = "") -> Iterator[ObjectInfo]:
        if prefix:
            check_name(f"{prefix}x")
        return self._walk(common(prefix), prefix, after)

    def _walk(self, folder: str, prefix: str, after: str) -> Iterator[ObjectInfo]:
        """``folder`` is '' or ends in '/'. A folder sorts among its neighbours as its name with the slash, as its objects' names do."""
        for key in self._scan(folder):
            name = folder + key
            if key.endswith("/"):
                if (name.startswith(prefix) or prefix.startswith(name)) and (name > after or after.startswith(name)):
                    yield from self._walk(name, prefix, after)
            elif name > after and name.startswith(prefix):
                with contextlib.suppress(FileNotFoundError):
                    try:
                        yield _info(name, self._files.stat(f"{self.root}/{name}"))
                    except FileNotFoundError:
                        raise
                    except OSError as error:
                        self._fail(error, name)

    def folders(self, prefix: str) -> Iterator[str]:
        if prefix:
            check_name(f"{prefix}x")
        for key in self._scan(prefix):
            if key.endswith("/") and next(self._walk(prefix + key, prefix + key, ""), None) is not None:
                yield key[:-1]

    def _scan(self, folder: str) -> Sequence[str]:
        """Sorted names in a folder, folders with a slash; none for a folder that is not there."""
        try:
            entries = self._files.scan(f"{self.root}/{folder}")
            keys = [f"{name}/" if is_folder else name for name, is_folder in entries if name.isascii()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self._fail(error, folder)
        if not folder:
            keys = [key for key in keys if key != f"{TEMPORARY}/"]
        return sorted(keys)

    def close(self) -> None:
        pass

    # ------------------------------------------------------------ errors

    def _fail(self, error: OSError, what: str) -> NoReturn:
        said = f"{self.url}: {what}: {error.strerror or error}"
        details = {"url": self.url, "name": what, "errno": errno.errorcode.get(error.errno or 0, str(error.errno))}
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFull(f"No room left in {said}.", hint="Free space there; nothing half-written was kept.", **details) from error
        if error.errno in {errno.EROFS, errno.EACCES} or (error.errno == errno.EPERM and error.filename2 is None):
            raise StorageDenied(f"Not allowed in {said}.", hint="Mount it writable and give this user the rights.", **details) from error
        if error.errno in {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EINVAL}:
            raise StorageUnfit(
                f"The file system cannot link or sync, so it cannot keep a vault's promises: {said}.",
                hint="Use a local file system (ext4, xfs, zfs), NFS 4, or an S3 store.",
                **details,
            ) from error
        raise StorageUnreachable(f"The location failed: {said}.", hint="Look at the disk or mount, then try again.", **details) from error


def _info(name: str, found: os.stat_result) -> ObjectInfo:
    return ObjectInfo(name, found.st_size, dt.datetime.fromtimestamp(found.st_mtime, dt.UTC))
