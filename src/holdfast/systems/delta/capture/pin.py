"""A table at a pinned version: what is to be copied of it."""

import datetime as dt
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from holdfast.systems.delta.errors import LogBroken
from holdfast.systems.delta.log import checkpoint as checkpoints
from holdfast.systems.delta.log import names, vectors
from holdfast.systems.delta.log.features import require_known
from holdfast.systems.delta.log.listing import Listing, StoredLog, last_version, listing
from holdfast.systems.delta.log.snapshot import Snapshot, absolute, commit_actions, key_of, replay, time_of
from holdfast.systems.delta.store import Store, Thing
from holdfast.systems.delta.tables import prefix

_TRIES = 3


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to copy. ``path`` below the point's root; ``address`` of another store for absolute paths, else ``key`` in the lake's.

    ``size`` None: to be asked. ``needed``: the version cannot be read without it.
    """

    path: str
    key: str
    size: int | None
    mtime_ns: int = 0
    etag: str = ""
    address: str | None = None
    needed: bool = True
    log: bool = False
    rows: int | None = None
    table: str = ""


@dataclass
class Pinned:
    name: str
    snapshot: Snapshot
    listing: Listing
    time: dt.datetime | None
    first: int
    last: int | None
    based: int = -1
    folder: str = field(init=False)

    def __post_init__(self) -> None:
        self.folder = prefix(self.name)

    def data(self) -> Iterator[Wanted]:
        """All data files of the version."""
        seen: set[str] = set()
        for add in self.snapshot.files.values():
            path = add["path"]
            if path in seen:
                continue
            seen.add(path)
            when = int(add.get("modificationTime") or 0) * 1_000_000
            yield self._file(path, int(add["size"]), when, _rows(add))

    def vectors(self) -> Iterator[Wanted]:
        """The files of deletion vectors; their sizes are not in the log."""
        seen: set[str] = set()
        for one in self.snapshot.descriptors():
            kind = one["storageType"]
            path = vectors.relative_key(one) if kind == "u" else one["pathOrInlineDv"] if kind == "p" else None
            if path is not None and path not in seen:
                seen.add(path)
                yield self._file(path, None, 0, None) if kind == "p" else self._below(path, None, 0)

    def changes(self, log: StoredLog) -> Iterator[Wanted]:
        """Change data files of the commits kept; a vacuum may have taken them. Commits are read only where the table can have had any."""
        writer = int(self.snapshot.protocol.get("minWriterVersion", 2))
        if not (self.snapshot.features & {"changeDataFeed"} or 4 <= writer < 7):
            return
        for version in sorted(self.listing.commits):
            if version > self.snapshot.version:
                continue
            for name, action in commit_actions(log, version):
                if name == "cdc" and not absolute(action["path"]):
                    yield self._below(key_of(action["path"]), int(action["size"]), 0, needed=False)

    def log(self, files: StoredLog) -> Iterator[Wanted]:
        """The log up to the version, ascending; sidecars before the checkpoints that name them; ``_last_checkpoint`` last."""
        version = self.snapshot.version
        chosen: dict[tuple[int, int, str], Thing] = {}
        for number, thing in self.listing.commits.items():
            if number <= version:
                chosen[number, 1, thing.key] = thing
        for name, thing in self.listing.others:
            if name.end <= version:
                chosen[name.end, 2, thing.key] = thing
        for one in self.listing.checkpoints:
            if one.version > version:
                continue
            try:
                inner = checkpoints.sidecars(files, one) if one.kind in ("v2", "classic") and self.listing.sidecars else []
            except LogBroken:
                inner = []  # told already where the version rests on it
            for key in inner:
                if key in self.listing.sidecars:
                    chosen[one.version, 3, key] = self.listing.sidecars[key]
            for key in one.keys:
                chosen[one.version, 4, key] = self.listing.things[key]
        for (number, _, _), thing in sorted(chosen.items()):
            yield self._logged(thing, needed=number >= self.based)
        if self.last is not None and self.last <= version and self.listing.last is not None:
            yield self._logged(self.listing.last, needed=False)

    def _logged(self, thing: Thing, *, needed: bool) -> Wanted:
        key = f"{self.folder}{names.LOG}{thing.key}"
        return Wanted(f"tables/{key}", key, thing.size, thing.mtime_ns, thing.etag, needed=needed, log=True, table=self.name)

    def _file(self, path: str, size: int | None, mtime_ns: int, rows: int | None) -> Wanted:
        if absolute(path):
            return Wanted(absolute_place(path), "", size, mtime_ns, address=path, rows=rows, table=self.name)
        if not {".", ".."}.isdisjoint(key_of(path).split("/")):
            raise LogBroken(
                f"The log of {self.name} names a file outside of the table: {path}.",
                hint="No writer makes such a path. Look at who wrote it.",
            )
        return self._below(key_of(path), size, mtime_ns, rows=rows)

    def _below(self, key: str, size: int | None, mtime_ns: int, *, needed: bool = True, rows: int | None = None) -> Wanted:
        whole = self.folder + key
        return Wanted(f"tables/{whole}", whole, size, mtime_ns, needed=needed, rows=rows, table=self.name)


def pin(store: Store, name: str) -> Pinned:
    """The table at its newest version. A log that is being cleaned up is listed again. Raises LogBroken, FeatureUnknown."""
    for left in range(_TRIES, 0, -1):
        files = StoredLog(store, prefix(name))
        there = listing(files)
        try:
            state = replay(files, found=there)
        except LogBroken as error:
            if left > 1:
                continue
            raise LogBroken(f"The table {name or store.url} cannot be read: {error.message}", hint=error.hint, table=name) from error
        break
    require_known(name or store.url, state.protocol)
    last = last_version(files) if there.last is not None else None
    based = max((one.version for one in there.checkpoints if one.version <= state.version), default=-1)
    if state.damaged:
        based = -1
    first = there.first_joined(state.version) if state.version in there.commits else state.version
    return Pinned(name, state, there, time_of(state, there), first, last, based)


def absolute_place(path: str) -> str:
    """Where a file that the log names by ``path`` lies in the point."""
    base = re.sub(r"[^A-Za-z0-9._-]", "_", unquote(path).rpartition("/")[2]) or "file"
    return f"absolute/{hashlib.sha256(path.encode()).hexdigest()[:24]}/{base}"


def _rows(add: Mapping[str, Any]) -> int | None:
    found = re.search(r'"numRecords"\s*:\s*(\d+)', add.get("stats") or "")
    return int(found[1]) if found else None
