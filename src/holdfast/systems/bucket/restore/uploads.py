"""Uploads in parts that a restore began: a store keeps, and charges, one that nobody ends. The next restore gives up those of a killed one.

Each restore writes what it begins into a file of its own on this host, and holds a lock on it: a lock that can be taken belongs to a
process that is gone, however it went.
"""

import fcntl
import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from holdfast.connect.objects import Described, Objects
from holdfast.connect.objects.errors import shown
from holdfast.errors import HoldfastError

_SUFFIX = ".jsonl"


class Begun(NamedTuple):
    """One that was not ended. ``address`` of the target, ``key`` whole."""

    address: str
    key: str
    upload: str


class Uploads:
    """``folder``: where the host keeps them for one system."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def watched(self, address: str, store: Objects) -> Iterator[Objects]:
        """The same store, whose uploads are written down until they end."""
        notes = _Notes(self._folder, address)
        try:
            yield cast("Objects", _Watched(store, notes))
        finally:
            notes.close()

    def left(self) -> list[Begun]:
        """Those of processes that are gone."""
        found: list[Begun] = []
        for _, begun in self._files():
            found += begun
        return found

    def sweep(self, open_: Callable[[str], Objects]) -> Sequence[str]:
        """Give up what is left, and tell each. What a store cannot be asked about now stays for the next time."""
        told: list[str] = []
        for path, begun in self._files():
            done = True
            for one in begun:
                where = f"{shown(one.key)} in {one.address}"
                try:
                    store = open_(one.address)
                    try:
                        store.abandon(one.key, one.upload)
                    finally:
                        store.close()
                    told.append(f"An upload in parts of {where}, which an earlier restore left behind, was given up.")
                except HoldfastError as error:
                    done = False
                    told.append(f"An upload in parts of {where}, which an earlier restore left behind, is still there: {error.message}")
            if done:
                path.unlink(missing_ok=True)
        return told

    def _files(self) -> Iterator[tuple[Path, list[Begun]]]:
        """Each with its lock held."""
        for path in sorted(self._folder.glob("*" + _SUFFIX)) if self._folder.is_dir() else ():
            try:
                file = path.open(encoding="utf-8")
            except FileNotFoundError:
                continue
            with file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield path, _begun(file)


def _begun(file: IO[str]) -> list[Begun]:
    found: dict[str, Begun] = {}
    for line in file:
        if not line.endswith("\n"):
            break  # its process ended while it wrote
        told = json.loads(line)
        if "key" in told:
            found[told["upload"]] = Begun(told["address"], told["key"], told["upload"])
        else:
            found.pop(told["upload"], None)
    return list(found.values())


class _Notes:
    """The file of one restore; made when something is begun."""

    def __init__(self, folder: Path, address: str) -> None:
        self._folder, self._address = folder, address
        self._lock = threading.Lock()
        self._file: IO[str] | None = None
        self._path = folder
        self._open: set[str] = set()

    def begun(self, key: str, upload: str) -> None:
        with self._lock:
            self._open.add(upload)
            self._write({"address": self._address, "key": key, "upload": upload})

    def ended(self, upload: str) -> None:
        with self._lock:
            self._open.discard(upload)
            self._write({"upload": upload})

    def close(self) -> None:
        if self._file is not None:
            if not self._open:
                self._path.unlink(missing_ok=True)
            self._file.close()

    def _write(self, told: Mapping[str, Any]) -> None:
        while self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            number, name = tempfile.mkstemp(_SUFFIX, dir=self._folder)
            file = os.fdopen(number, "w", encoding="utf-8")
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(number).st_nlink:
                self._file, self._path = file, Path(name)
            else:
                file.close()  # swept between the two
        self._file.write(json.dumps(told) + "\n")
        self._file.flush()


class _Watched:
    """A store; only what concerns uploads is done here."""

    def __init__(self, store: Objects, notes: _Notes) -> None:
        self._store, self._notes = store, notes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def begin(self, key: str, described: Described | None = None, tags: Mapping[str, str] | None = None) -> str:
        upload = self._store.begin(key, described, tags)
        self._notes.begun(key, upload)
        return upload

    def complete(self, key: str, upload: str, etags: Sequence[str]) -> str:
        etag = self._store.complete(key, upload, etags)
        self._notes.ended(upload)
        return etag

    def abandon(self, key: str, upload: str) -> None:
        self._store.abandon(key, upload)
        self._notes.ended(upload)
