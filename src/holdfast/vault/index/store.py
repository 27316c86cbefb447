"""All index envelopes of a vault as local segments: kept in the cache between runs, brought up to date by what was added since."""

import contextlib
import fcntl
import json
import os
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from holdfast.errors import Damaged
from holdfast.storage.contract import ObjectMissing
from holdfast.vault.format import names
from holdfast.vault.format.content import Places
from holdfast.vault.format.envelope import Envelope
from holdfast.vault.index import objects
from holdfast.vault.index.objects import PackChunks
from holdfast.vault.index.segment import Segment, keys_of, merge_segments, write_segment
from holdfast.vault.keys.notary import Notary
from holdfast.vault.locations import Locations

_ROWS = 1 << 18
_MOST = 8
"""Segments of one writer before they are merged."""


class Found(NamedTuple):
    """A stored chunk: position in the question, pack, BLAKE3 in the pack's name, frame, whole, at, size."""

    position: int
    pack: bytes
    digest: bytes
    frame: int
    whole: int
    at: int
    size: int


@dataclass(slots=True)
class _Part:
    """A segment of one writer's rows; ``packs``: (id, digest) by local number; ``plain``: bytes that they hold, plain, in the same order;
    ``objects``: the index objects it was made of.
    """

    segment: Segment
    writer: str
    objects: list[str]
    packs: list[tuple[bytes, bytes]]
    plain: list[int]


class IndexStore:
    """``folder`` is a cache: it may be lost or deleted at any time between runs."""

    def __init__(self, folder: Path, locations: Locations, notary: Notary) -> None:
        self._folder = folder
        self._locations = locations
        self._notary = notary
        self._parts: list[_Part] = []
        self._lock = threading.Lock()
        self.damaged: list[Damaged] = []
        """Index objects that no location holds sound: their chunks are not found, so they are stored again."""

    def refresh(self) -> None:
        """Read what was added, forget what was removed."""
        with self._lock, self._exclusive():
            self._parts = self._load()
            present = {info.name for info in self._locations.list(names.INDEX)}
            kept = [part for part in self._parts if present.issuperset(part.objects)]
            for part in self._parts:
                if part not in kept:
                    part.segment.remove()
            known = {name for part in kept for name in part.objects}
            self._parts = kept
            waiting: dict[str, list[tuple[str, list[PackChunks]]]] = {}
            for name in sorted(present - known):
                try:
                    writer, packs = self._locations.read(name, lambda data, name=name: self._open(name, data))  # type: ignore[misc]
                except ObjectMissing:
                    continue  # a prune removed it since it was listed
                except Damaged as error:
                    self.damaged.append(error)
                    continue
                if packs is None:
                    continue
                group = waiting.setdefault(writer, [])
                group.append((name, packs))
                if sum(len(pack.places) for _, inside in group for pack in inside) >= _ROWS:
                    self._write(writer, waiting.pop(writer))
            for writer, group in waiting.items():
                self._write(writer, group)
            for writer in {part.writer for part in self._parts}:
                self._merge(writer)
            self._save()

    def find(self, ids: bytes, writer: str | None = None) -> list[Found]:
        """All places known of each of ``ids`` (32 bytes each); only those that ``writer`` wrote when it is given."""
        keys = keys_of(ids)
        found: list[Found] = []
        for part in self._parts:
            if writer is None or part.writer == writer:
                for position, row in part.segment.find(ids, keys):
                    pack, frame, whole, at, size = part.segment.places[row].item()
                    found.append(Found(position, part.packs[pack][0], part.packs[pack][1], frame, whole, at, size))
        return found

    def plain(self) -> dict[bytes, int]:
        """By pack's id: the bytes of all chunks in it."""
        return {pack: size for part in self._parts for (pack, _), size in zip(part.packs, part.plain, strict=True)}

    def _open(self, name: str, data: bytes) -> tuple[str, list[PackChunks] | None]:
        """None for an index of a scope whose key is not open: nothing of it could be reused."""
        checked: Envelope = self._notary.check(name, data, "index")
        return checked.writer, objects.decode(name, self._notary.open(checked)) if self._notary.can_open(checked) else None

    def _write(self, writer: str, group: list[tuple[str, list[PackChunks]]]) -> None:
        packs = [pack for _, inside in group for pack in inside]
        for number, pack in enumerate(packs):
            pack.places["pack"] = number
        empty: list[Places] = [np.empty(0, packs[0].places.dtype)] if packs else []
        if not packs:
            return
        segment = write_segment(self._path(), b"".join(pack.ids for pack in packs), np.concatenate(empty + [pack.places for pack in packs]))
        plain = [int(pack.places["size"].sum(dtype=np.uint64)) for pack in packs]
        self._parts.append(_Part(segment, writer, [name for name, _ in group], [(pack.id, pack.digest) for pack in packs], plain))

    def _merge(self, writer: str) -> None:
        own = [part for part in self._parts if part.writer == writer]
        if len(own) <= _MOST:
            return
        offsets = np.cumsum([0, *(len(part.packs) for part in own)])

        def translate(i: int, places: Places) -> Places:
            moved = np.array(places)
            moved["pack"] += np.uint32(offsets[i])
            return moved

        segment = merge_segments(self._path(), [part.segment for part in own], translate)
        merged = _Part(
            segment,
            writer,
            [name for part in own for name in part.objects],
            [pack for part in own for pack in part.packs],
            [size for part in own for size in part.plain],
        )
        for part in own:
            part.segment.remove()
        self._parts = [part for part in self._parts if part.writer != writer] + [merged]

    def _path(self) -> Path:
        return self._folder / f"segment-{secrets.token_hex(8)}"

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _load(self) -> list[_Part]:
        try:
            rows: list[dict[str, Any]] = json.loads((self._folder / "state.json").read_bytes())
            return [
                _Part(
                    Segment(self._folder / row["segment"]),
                    row["writer"],
                    row["objects"],
                    [(bytes.fromhex(pack[:32]), bytes.fromhex(pack[32:])) for pack in row["packs"]],
                    [int(size) for size in row["plain"]],
                )
                for row in rows
            ]
        except (OSError, ValueError, KeyError, TypeError):
            for path in self._folder.glob("segment-*"):
                path.unlink(missing_ok=True)
            return []

    def _save(self) -> None:
        rows = [
            {
                "segment": part.segment.path.name,
                "writer": part.writer,
                "objects": part.objects,
                "packs": [(pack + digest).hex() for pack, digest in part.packs],
                "plain": part.plain,
            }
            for part in self._parts
        ]
        temporary = self._folder / f"state.{secrets.token_hex(4)}"
        temporary.write_text(json.dumps(rows))
        temporary.replace(self._folder / "state.json")
