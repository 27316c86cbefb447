"""What travels between the session's thread and its workers: files, parts of them, pieces to read, tasks."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from holdfast.model import Entry
from holdfast.vault.capture.intake.batch import Batch
from holdfast.vault.format.content import NO_PACK, PLACE, Part, Places
from holdfast.vault.packs.table import PackTable

Buffer = bytes | bytearray | memoryview


class Source(Protocol):
    """Random access to a file's content while it is captured."""

    def read_into(self, offset: int, buffer: memoryview) -> int: ...

    def close(self) -> bool | None: ...


Inspect = Callable[[Source, int, memoryview], None]


class BufferSource:
    """Content that is already in memory."""

    def __init__(self, data: Buffer) -> None:
        self._view = memoryview(data).cast("B")

    def read_into(self, offset: int, buffer: memoryview) -> int:
        piece = self._view[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        pass


@dataclass(slots=True, eq=False)
class FilePart:
    """At most PART_CHUNKS chunks of a file under capture. ``fresh`` counts chunks that differ from the base's list."""

    file: "FileWork"
    index: int
    offset: int
    ids: bytearray
    places: Places
    base: Part | None = None
    fresh: int = 0
    left: int = 0
    queued: bool = False


@dataclass(slots=True, eq=False)
class FileWork:
    """One entry on its way to the tree. ``size`` shrinks when the file turns out shorter. ``done`` holds finished parts by index.
    ``dropped``: it leaves no line, its source asked for that when it was closed.
    """

    entry: Entry
    size: int
    chunk_size: int
    source: Source | None = None
    inspect: Inspect | None = None
    base: Mapping[str, Any] | None = None
    parts_left: int = 0
    queued: bool = False
    ended: bool = False
    complete: bool = False
    dropped: bool = False
    entries: int = 1
    done: dict[int, tuple[int, str | None, Sequence[Any] | None]] = field(default_factory=dict)
    document: dict[str, Any] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(slots=True)
class Piece:
    """A range of one part to read and hash. ``first``: number of its first chunk in the part. ``data``: bytes that came as a stream."""

    part: FilePart
    first: int
    offset: int
    length: int
    data: bytearray | None = None


Task = list[Piece] | Batch


def new_part(file: FileWork, index: int, offset: int, chunks: int, base: Part | None, table: PackTable) -> FilePart:
    """A part whose chunks are, until proved otherwise, the base's."""
    ids = bytearray(32 * chunks)
    places = np.zeros(chunks, PLACE)
    if base is not None:
        common = min(chunks, base.count)
        ids[: 32 * common] = base.ids[: 32 * common]
        places[:common] = base.places[:common]
        stored = places["pack"][:common]
        if base.packs:
            zero = stored == NO_PACK
            places["pack"][:common] = np.where(zero, NO_PACK, table.translation(base.packs)[np.where(zero, 0, stored)])
    return FilePart(file, index, offset, ids, places, base)
