"""The port to where tables rest, and local folders behind it."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self
from urllib.parse import unquote, urlsplit

from holdfast.connect.durable import sync_file_system, sync_folder
from holdfast.systems.contract import Buffer, Target
from holdfast.systems.delta.errors import StoreFault


@dataclass(frozen=True, slots=True)
class Thing:
    """An object: ``key`` below the store's root, ``size`` in bytes, ``mtime_ns`` as the store tells it, ``etag`` where there is one."""

    key: str
    size: int
    mtime_ns: int
    etag: str = ""


class Missing(LookupError):
    """No such object (any more)."""


class Writing(Protocol):
    """One object being written; parts come from several threads at distinct offsets. It is there under its key after ``close``."""

    def write(self, offset: int, data: memoryview) -> None: ...

    def close(self) -> None: ...


class Many(Protocol):
    """Many objects being written at once; leaving the context by an error drops what is not whole. Several threads may use it."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def put(self, key: str, data: Buffer) -> None:
        """Returns soon; ``data`` must stay as it is."""
        ...

    def large(self, key: str, size: int) -> Target: ...

    def wait(self) -> None:
        """Every object that was put is durable when it returns. Raises the first error."""
        ...


class Store(Protocol):
    """Objects below one root. Methods are called from several threads. Raises Missing for what is not there, StoreFault, and what
    ``connect.objects`` raises.
    """

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        ...

    def things(self, prefix: str) -> Iterator[Thing]:
        """All objects whose key begins with ``prefix``, a folder with its slash or empty, in no promised order."""
        ...

    def folders(self, prefix: str) -> list[str]:
        """Names of what lies directly below the folder ``prefix`` and holds objects."""
        ...

    def head(self, key: str) -> Thing | None: ...

    def get(self, key: str) -> bytes: ...

    def read_into(self, key: str, offset: int, buffer: memoryview) -> int:
        """Fills ``buffer``; fewer bytes only at the end of the object."""
        ...

    def put_new(self, key: str, data: bytes) -> bool:
        """Durable when it returns; False where the key exists, which is then left as it is."""
        ...

    def writing(self, key: str, size: int, mtime_ns: int) -> Writing: ...

    def many(self) -> Many | None:
        """None where each object is best written by itself."""
        ...

    def move(self, source: str, target: str) -> None:
        """A folder with all below it to a new name."""
        ...

    def settle(self) -> None:
        """All that was written is durable when it returns."""
        ...

    def local(self, key: str) -> str | None:
        """The path of an object in this machine's file system; None where it has none."""
        ...


def folder_of(url: str) -> Path | None:
    """The folder that a ``file://`` address or a plain path names; None for other addresses."""
    if "://" not in url and not url.startswith("file:"):
        return Path(url)
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


class LocalStore:
    """A folder. Satisfies ``Store``."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    @property
    def url(self) -> str:
        return str(self._root)

    def things(self, prefix: str) -> Iterator[Thing]:
        top = self._path(prefix)
        waiting = [(top, prefix)]
        while waiting:
            folder, inner = waiting.pop()
            try:
                with os.scandir(folder) as listing:
                    entries = list(listing)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise _fault(error, folder) from error
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((Path(entry.path), f"{inner}{entry.name}/"))
                    continue
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat()
                    yield Thing(inner + entry.name, status.st_size, status.st_mtime_ns)

    def folders(self, prefix: str) -> list[str]:
        try:
            with os.scandir(self._path(prefix)) as listing:
                return sorted(entry.name for entry in listing if entry.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _fault(error, self._path(prefix)) from error

    def head(self, key: str) -> Thing | None:
        try:
            status = self._path(key).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _fault(error, self._path(key)) from error
        return Thing(key, status.st_size, status.st_mtime_ns)

    def get(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise Missing(key) from error
        except OSError as error:
            raise _fault(error, self._path(key)) from error

    def read_into(self, key: str, offset: int, buffer: memoryview) -> int:
        try:
            with self._path(key).open("rb", buffering=0) as file:
                file.seek(offset)
                done = 0
                while done < len(buffer) and (count := file.readinto(buffer[done:])):
                    done += count
                return done
        except (FileNotFoundError, NotADirectoryError) as error:
            raise Missing(key) from error
        except OSError as error:
            raise _fault(error, self._path(key)) from error

    def put_new(self, key: str, data: bytes) -> bool:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Whole under its name or not at all: written aside first, and a link never replaces.
        aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with aside.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(aside, path)
            except FileExistsError:
                return False
        except OSError as error:
            raise _fault(error, path) from error
        finally:
            aside.unlink(missing_ok=True)
        sync_folder(path.parent)
        return True

    def writing(self, key: str, size: int, mtime_ns: int) -> "LocalWriting":
        return LocalWriting(self._path(key), size, mtime_ns)

    def many(self) -> None:
        return None

    def move(self, source: str, target: str) -> None:
        old, new = self._path(source), self._path(target)
        try:
            new.parent.mkdir(parents=True, exist_ok=True)
            old.rename(new)
            sync_folder(new.parent)
            sync_folder(old.parent)
        except OSError as error:
            raise _fault(error, old) from error

    def settle(self) -> None:
        """Files are synced as they are closed; this is for the folders that they lie in, however many (syncfs(2))."""
        try:
            sync_file_system(self._root)
        except OSError as error:
            raise _fault(error, self._root) from error

    def local(self, key: str) -> str | None:
        return str(self._path(key))

    def _path(self, key: str) -> Path:
        return self._root / key if key else self._root


class LocalWriting:
    """A file that is new under its name; durable after ``close``."""

    def __init__(self, path: Path, size: int, mtime_ns: int) -> None:
        self._path = path
        self._mtime_ns = mtime_ns
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            os.ftruncate(self._handle, size)
        except OSError as error:
            raise _fault(error, path) from error

    def write(self, offset: int, data: memoryview) -> None:
        try:
            while data:
                written = os.pwrite(self._handle, data, offset)
                data, offset = data[written:], offset + written
        except OSError as error:
            raise _fault(error, self._path) from error

    def close(self) -> None:
        try:
            os.utime(self._handle, ns=(self._mtime_ns, self._mtime_ns))
            os.fsync(self._handle)
        except OSError as error:
            raise _fault(error, self._path) from error
        finally:
            os.close(self._handle)


def _fault(error: OSError, path: Path) -> StoreFault:
    return StoreFault(f"{path}: {error.strerror or error}.", hint="Is it mounted, is there room, and may this account use it?")
