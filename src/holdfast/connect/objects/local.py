"""A local folder as a store of objects: a file is an object, its path below the folder the key."""

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from holdfast.connect.durable import sync_file_system
from holdfast.connect.objects.contract import Buffer, Described, Fitting, Listed
from holdfast.connect.objects.errors import KeyImpossible, ObjectChanged, ObjectDenied, ObjectGone, StoreUnreachable

_PARTIAL = ".holdfast-partial-"
_REMEMBERED = 10_000


class FolderObjects:
    """Satisfies ``Objects``. Links are not followed and not listed; ``name/`` is an empty folder.

    The ETag tells inode and ctime, so that whatever changes a file changes it.
    """

    keeps_headers = False

    def __init__(self, folder: Path) -> None:
        self.url = f"file://{folder}"
        self._folder = folder
        self._plain: set[Path] = set()
        """Folders that are there, and no links."""

    def list(self, prefix: str = "", after: str = "") -> Iterator[Listed]:
        top = prefix.rpartition("/")[0]
        try:
            if not stat.S_ISDIR(self._folder.stat().st_mode):
                raise NotADirectoryError
        except OSError as error:
            said = error.strerror or "it is no folder"
            raise StoreUnreachable(f"{self.url} cannot be listed: {said}.", hint="Is it mounted, and may this account read it?") from error
        if top and not _fits(top):
            return
        yield from self._walk(self._folder / top, f"{top}/" if top else "", prefix, after)

    def _walk(self, folder: Path | str, inner: str, prefix: str, after: str) -> Iterator[Listed]:
        try:
            with os.scandir(folder) as found:
                entries = sorted((one.name + "/" if one.is_dir(follow_symlinks=False) else one.name, one) for one in found)
        except FileNotFoundError:
            return
        except OSError as error:
            raise ObjectDenied(f"{folder} cannot be listed: {error.strerror}.", hint="May this account read it?") from error
        if not entries and inner.startswith(prefix) and inner > after:
            # An empty folder is an object without content, as stores without folders write it.
            with contextlib.suppress(FileNotFoundError):
                status = Path(folder).lstat()
                yield Listed(inner, 0, status.st_mtime_ns, _etag(status))
        for name, one in entries:
            key = inner + name
            if name.endswith("/"):
                if (key.startswith(prefix) or prefix.startswith(key)) and not (after and key < after and not after.startswith(key)):
                    yield from self._walk(one.path, key, prefix, after)
                continue
            if not key.startswith(prefix) or key <= after or name.startswith(_PARTIAL):
                continue
            with contextlib.suppress(FileNotFoundError):
                status = one.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    yield Listed(key, status.st_size, status.st_mtime_ns, _etag(status))

    def versions(self, prefix: str = "") -> Iterator[Listed]:
        return self.list(prefix)

    def read_into(self, key: str, buffer: memoryview, *, start: int = 0, etag: str = "", version: str = "") -> Described:
        del version
        try:
            handle = os.open(self._path(key), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise self._failed(key, error) from error
        try:
            status = os.fstat(handle)
            size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
            if (etag and etag != _etag(status)) or (not etag and size != len(buffer)):
                raise ObjectChanged(f"{self.url}/{key} was changed meanwhile.", hint="Run it again.", key=key)
            got = 0
            while got < len(buffer):
                more = os.preadv(handle, [buffer[got:]], start + got)
                if not more:
                    raise ObjectChanged(f"{self.url}/{key} was changed meanwhile.", hint="Run it again.", key=key)
                got += more
            if _etag(os.fstat(handle)) != _etag(status):
                raise ObjectChanged(f"{self.url}/{key} was changed while it was read.", hint="Run it again.", key=key)
            return _described(status)
        except OSError as error:
            raise self._failed(key, error) from error
        finally:
            os.close(handle)

    def describe(self, key: str, version: str = "") -> Described | None:
        del version
        if not _fits(key):
            return None
        try:
            status = self._path(key).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._failed(key, error) from error
        return _described(status) if stat.S_ISREG(status.st_mode) or key.endswith("/") else None

    def tags(self, key: str, version: str = "") -> Mapping[str, str]:
        del key, version
        return {}

    def fitting(self, described: Described, tags: Mapping[str, str]) -> Fitting:
        del described, tags
        return Fitting({}, {}, {})

    def put(self, key: str, data: Buffer, described: Described | None = None, tags: Mapping[str, str] | None = None) -> str:
        del described, tags
        if key.endswith("/") and not len(data):
            self._folder_of(key)
            return ""
        upload = self.begin(key)
        self.part(key, upload, 1, data)
        return self.complete(key, upload, ())

    def begin(self, key: str, described: Described | None = None, tags: Mapping[str, str] | None = None) -> str:
        del described, tags
        if key.endswith("/"):
            raise KeyImpossible(
                f"The key {key!r} holds something, and below {self.url} it would be a folder.",
                hint="Restore into a bucket, or leave it out (--path).",
                key=key,
            )
        folder = self._folder_of(key)
        name = f"{_PARTIAL}{os.urandom(8).hex()}"
        (folder / name).touch(exist_ok=False)
        return name

    def part(self, key: str, upload: str, number: int, data: Buffer, offset: int = 0) -> str:
        del number
        try:
            with self._upload(key, upload).open("r+b") as file:
                file.seek(offset)
                file.write(data)
        except OSError as error:
            raise self._failed(key, error) from error
        return ""

    def complete(self, key: str, upload: str, etags: Sequence[str]) -> str:
        del etags
        place, target = self._upload(key, upload), self._path(key)
        try:
            place.rename(target)
            return _etag(target.lstat())
        except OSError as error:
            raise self._failed(key, error) from error

    def abandon(self, key: str, upload: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._upload(key, upload).unlink()

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            try:
                self._path(key).unlink()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise self._failed(key, error) from error

    def sync(self) -> None:
        """Everything on the file system is durable when it returns (syncfs(2))."""
        try:
            sync_file_system(Path(self._folder))
        except OSError as error:
            raise StoreUnreachable(f"{self.url} could not be made durable: {error.strerror}.", hint="Look at the disk.") from error

    def close(self) -> None:
        pass

    # ------------------------------------------------------------ names

    def _path(self, key: str) -> Path:
        """Raises KeyImpossible."""
        if not _fits(key):
            raise KeyImpossible(
                f"The key {key!r} cannot be a file below {self.url}.", hint="Restore into a bucket, or leave it out (--path).", key=key
            )
        return self._folder / key

    def _upload(self, key: str, upload: str) -> Path:
        return self._path(key).parent / upload

    def _folder_of(self, key: str) -> Path:
        path = self._path(key)
        folder = path if key.endswith("/") else path.parent
        if folder in self._plain:
            return folder
        # Links are not listed, so what lies behind one was never looked at: nothing is written there.
        inner = folder.relative_to(self._folder).parts
        for count in range(1, len(inner) + 1):
            one = self._folder.joinpath(*inner[:count])
            if one.is_symlink():
                raise KeyImpossible(
                    f"The key {key!r} cannot be a file below {self.url}: {one} is a link.",
                    hint="Remove the link, or restore elsewhere.",
                    key=key,
                )
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._failed(key, error) from error
        if len(self._plain) > _REMEMBERED:
            self._plain.clear()
        self._plain.add(folder)
        return folder

    def _failed(self, key: str, error: OSError) -> Exception:
        if isinstance(error, FileNotFoundError):
            return ObjectGone(f"{self.url}/{key} is not there.", hint="See: holdfast ls", key=key)
        if isinstance(error, NotADirectoryError | IsADirectoryError | FileExistsError):
            return KeyImpossible(
                f"The key {key!r} cannot be a file below {self.url}: {error.strerror}.",
                hint="A folder holds no file and folder of one name: restore into a bucket.",
                key=key,
            )
        if isinstance(error, PermissionError):
            return ObjectDenied(f"{self.url}/{key} is refused: {error.strerror}.", hint="May this account read and write it?", key=key)
        return StoreUnreachable(f"{self.url} failed at {key}: {error.strerror}.", hint="Look at the disk.", key=key)


def _fits(key: str) -> bool:
    parts = key.removesuffix("/").split("/")
    return bool(key) and "\0" not in key and {"", ".", ".."}.isdisjoint(parts) and all(len(os.fsencode(part)) <= 255 for part in parts)


def _etag(status: os.stat_result) -> str:
    return f"{status.st_ino:x}-{status.st_ctime_ns:x}"


def _described(status: os.stat_result) -> Described:
    return Described(0 if stat.S_ISDIR(status.st_mode) else status.st_size, status.st_mtime_ns, _etag(status))
