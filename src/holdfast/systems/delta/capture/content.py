"""What the rows of a point's tables hash to, kept with the point: a later proof needs no source (docs/delta-format.md, "Content hash").

Sums of files add up, so those of unchanged files are taken from the base, and only new ones are read. Small files are hashed out of the
bytes that are captured anyway.
"""

import dataclasses
import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.model import Entry, Progress
from holdfast.systems.contract import CaptureWriter
from holdfast.systems.delta.capture.pin import Pinned, Wanted
from holdfast.systems.delta.data import conform, rows, scan
from holdfast.systems.delta.data.rows import TableAt
from holdfast.systems.delta.data.rowsum import METHOD, Sums
from holdfast.systems.delta.data.view import Fetch
from holdfast.systems.delta.errors import VectorBroken
from holdfast.systems.delta.held import content
from holdfast.systems.delta.log import vectors
from holdfast.systems.delta.log.snapshot import FileKey, key_of
from holdfast.systems.delta.settings import DeltaSettings
from holdfast.systems.delta.store import Missing, Store


def place(name: str) -> str:
    """Where the sums of a table's files lie in a point."""
    return f"content/{name}" if name else "content"


class Contents:
    """Of one capture. ``broken``: files that came and whose rows cannot be read, and why, by path in the point."""

    def __init__(self, settings: DeltaSettings, store: Store, writer: CaptureWriter, progress: Progress) -> None:
        self._settings, self._store, self._writer, self._progress = settings, store, writer, progress
        self._tables: dict[str, _Table] = {}
        self._lock = threading.Lock()
        self._hashing = threading.Semaphore(max(2, os.cpu_count() or 2))
        self.broken: dict[str, tuple[Wanted, str]] = {}

    def pinned(self, tables: Mapping[str, Pinned]) -> None:
        """What is to be hashed. Called again when the capture starts anew: what is known stays known."""
        for name, one in tables.items():
            before = self._tables.get(name)
            self._tables[name] = _Table(one, before.sums if before is not None and before.print == fingerprint(one) else self._of_base(one))

    def wanted(self, wanted: Wanted) -> bool:
        """Whether ``look`` has a use for the file's bytes."""
        table = self._tables.get(wanted.table)
        return table is not None and wanted.path in table.fresh

    def look(self, wanted: Wanted, data: bytearray) -> None:
        """Hashes a data file that was just read. Called from many threads."""
        from holdfast.systems.delta.log.checkpoint import arrow

        pa, _ = arrow()
        table = self._tables[wanted.table]
        key, add = table.fresh[wanted.path]
        try:
            deleted = self._deleted(table.pinned, add)
            with self._hashing:
                found = scan.file_sums(pa.BufferReader(pa.py_buffer(data)), table.pinned.snapshot.metadata, add, deleted)
        except scan.Unreadable as error:
            with self._lock:
                self.broken[wanted.path] = wanted, unreadable(str(error))
        except (VectorBroken, Missing):
            pass  # told by the scan of what is left
        else:
            with self._lock:
                table.sums[key] = found

    def store(self) -> dict[str, dict[str, Any]]:
        """Reads what is left, and puts the sums into the point. The digest of each table that could be read whole."""
        digests = {}
        with tempfile.TemporaryDirectory(prefix="hf-delta-") as folder:
            fetch = Fetch(self._settings, self._store, Path(folder))
            for name, table in self._tables.items():
                broken: dict[str, tuple[Wanted, str]] = {}
                try:
                    table.sums |= scan.by_file(table.rest(fetch), done=fetch.drop, broken=broken)
                except HoldfastError as error:
                    self._progress.note(f"The content of {name or self._store.url} is not recorded: {error.message}")
                    continue
                self.broken |= {path: (one, unreadable(why)) for path, (one, why) in broken.items()}
                if not table.sums.keys() >= table.pinned.snapshot.files.keys():
                    self._progress.note(f"The content of {name or self._store.url} is not recorded: not all of its files can be read.")
                    continue
                kept = {key: table.sums[key] for key in table.pinned.snapshot.files}
                digests[name] = rows.summed(TableAt(name, table.pinned, fetch), kept.values())
                self._writer.add(Entry(place(name), size=0, mode=0o644), _encoded(table.print, kept))
        return digests

    def _of_base(self, pinned: Pinned) -> dict[FileKey, Sums]:
        base = self._writer.base
        stored = base.find(place(pinned.name)) if base is not None else None
        if base is None or stored is None:
            return {}
        try:
            return decoded(content(base, stored), fingerprint(pinned))
        except (ValueError, TypeError):
            return {}

    def _deleted(self, pinned: Pinned, add: Mapping[str, Any]) -> Any:
        descriptor = add.get("deletionVector")
        if not descriptor:
            return None
        kind = descriptor["storageType"]
        if kind == "p":
            raise Missing(descriptor["pathOrInlineDv"])  # elsewhere: left to the scan
        relative = vectors.relative_key(descriptor)
        return vectors.rows(descriptor, None if relative is None else self._store.get(pinned.folder + relative))


class _Table:
    def __init__(self, pinned: Pinned, sums: dict[FileKey, Sums]) -> None:
        self.pinned, self.sums, self.print = pinned, sums, fingerprint(pinned)
        adds = {one.path: one for one in pinned.data()}
        by_key = {one.address or one.key: one.path for one in adds.values()}
        self.fresh: dict[str, tuple[FileKey, Mapping[str, Any]]] = {}
        for key, add in pinned.snapshot.files.items():
            if key not in sums and (path := by_key.get(key[0]) or by_key.get(pinned.folder + key_of(key[0]))):
                self.fresh[path] = key, add

    def rest(self, fetch: Fetch) -> TableAt:
        """The part of the table whose sums are not known."""
        state = self.pinned.snapshot
        files = {key: add for key, add in state.files.items() if key not in self.sums}
        part = dataclasses.replace(self.pinned, snapshot=dataclasses.replace(state, files=files))
        return TableAt(self.pinned.name, part, fetch)


def unreadable(why: str) -> str:
    return f"cannot be decoded ({why})"


def fingerprint(pinned: Pinned) -> str:
    """What the sums of a file depend on besides the file: the table, its columns, and how they are found."""
    metadata = pinned.snapshot.metadata
    told = [METHOD, pinned.snapshot.id, metadata.get("schemaString"), metadata.get("partitionColumns"), conform.mode(metadata)]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _encoded(print_: str, sums: Mapping[FileKey, Sums]) -> bytes:
    """A line that says what the sums depend on, then a line for each file and its vector."""
    lines = [json.dumps({"of": print_, "method": METHOD})]
    lines += [json.dumps([path, vector, rows, f"{low:x}", f"{high:x}"]) for (path, vector), (rows, low, high) in sums.items()]
    return "".join(f"{line}\n" for line in lines).encode()


def decoded(data: bytes, print_: str) -> dict[FileKey, Sums]:
    """Empty where they are of something else. Raises ValueError, TypeError where they are nothing."""
    head, *lines = data.decode().splitlines()
    if json.loads(head).get("of") != print_:
        return {}
    found: dict[FileKey, Sums] = {}
    for line in lines:
        path, vector, rows_, low, high = json.loads(line)
        found[str(path), str(vector)] = int(rows_), int(low, 16), int(high, 16)
    return found
