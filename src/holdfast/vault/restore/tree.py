"""The tree of a recovery point: entries in the order of capture, read segment by segment."""

import itertools
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import blake3
import numpy as np
from numpy.typing import NDArray

from holdfast.errors import Damaged, HoldfastError, Unreachable
from holdfast.model import Entry
from holdfast.vault.errors import ObjectDamaged
from holdfast.vault.format import content
from holdfast.vault.format.content import ChunkRef, Part
from holdfast.vault.format.text import from_b64
from holdfast.vault.packs.reader import PackReader

_KINDS = {"f": "file", "d": "dir", "l": "symlink", "p": "fifo", "s": "socket", "c": "char", "b": "block"}
_CODES = {kind: code for code, kind in _KINDS.items()}
_KEPT = 4
"""Decoded segments kept: about 10 MB each."""


def to_document(entry: Entry, size: int, inline: str | None, refs: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """One line of a tree segment."""
    document: dict[str, Any] = {
        "p": entry.path,
        "k": _CODES[entry.kind],
        "s": size,
        "m": entry.mode,
        "u": entry.uid,
        "g": entry.gid,
        "t": entry.mtime_ns,
    }
    if entry.target is not None:
        document["l"] = entry.target
    if entry.extra:
        document["x"] = dict(entry.extra)
    if inline is not None:
        document["c"] = inline
    if refs:
        document["r"] = list(refs)
    return document


class Stored:
    """An entry of a point with the handle to its content. ``document`` is its line in the tree, ``line`` the same as it was stored (empty
    where only the document was read). The entry is made when it is asked for: whoever compares a million lines looks at a few fields.
    """

    __slots__ = ("_entry", "document", "line")

    def __init__(self, document: Mapping[str, Any], line: bytes = b"", entry: Entry | None = None) -> None:
        self.document = document
        self.line = line
        self._entry = entry

    @property
    def entry(self) -> Entry:
        if self._entry is None:
            try:
                self._entry = _entry(self.document)
            except (KeyError, TypeError, AttributeError) as error:
                raise ObjectDamaged(f"A line of a tree is no entry: {error!r}", hint="Run 'holdfast vault check --read all'.") from None
        return self._entry

    @property
    def path(self) -> str:
        return self.document["p"]  # type: ignore[no-any-return]

    @property
    def is_file(self) -> bool:
        return bool(self.document["k"] == "f")

    @property
    def size(self) -> int:
        return self.document["s"]  # type: ignore[no-any-return]

    @property
    def mtime_ns(self) -> int:
        return self.document["t"]  # type: ignore[no-any-return]

    @property
    def extra(self) -> Mapping[str, Any]:
        return self.document.get("x", {})  # type: ignore[no-any-return]


class StoredEntry(Protocol):
    """What callers hand back: a ``Stored`` that they got from ``entries`` or ``find``."""

    @property
    def entry(self) -> Entry: ...


def own(stored: StoredEntry) -> Stored:
    """The handle behind it; TypeError when it is not one of this room's."""
    if not isinstance(stored, Stored):
        raise TypeError(f"{stored!r} did not come from a recovery point of this vault")
    return stored


def to_stored(document: Mapping[str, Any]) -> Stored:
    """Raises KeyError, TypeError when it is no line of a tree."""
    return Stored(document, entry=_entry(document))


def _entry(document: Mapping[str, Any]) -> Entry:
    """Raises KeyError, TypeError."""
    numbers = (document["s"], document["m"], document["u"], document["g"])
    extra = document.get("x", {})
    if not all(type(number) is int and 0 <= number < 1 << 63 for number in numbers) or type(document["t"]) is not int:
        raise TypeError("a number is none")
    if not isinstance(document["p"], str) or not isinstance(document.get("l"), str | None) or not isinstance(extra, dict):
        raise TypeError("a text is none")
    return Entry(
        path=document["p"],
        kind=_KINDS[document["k"]],  # type: ignore[arg-type]
        size=document["s"],
        mode=document["m"],
        uid=document["u"],
        gid=document["g"],
        mtime_ns=document["t"],
        target=document.get("l"),
        extra=extra,
    )


@dataclass(frozen=True, slots=True)
class Segment:
    """``first`` and ``last``: the smallest and greatest path in it."""

    first: str
    last: str
    count: int
    ref: ChunkRef


class Tree:
    """Safe from many threads."""

    def __init__(self, segments: Sequence[Mapping[str, Any]], packs: PackReader, identity: bytes) -> None:
        try:
            self._segments = [Segment(row["first"], row["last"], row["n"], ChunkRef.from_json(row["ref"])) for row in segments]
        except (KeyError, TypeError, ValueError) as error:
            raise ObjectDamaged(f"A recovery point's list of tree segments is damaged: {error}") from None
        ordered = sorted((segment.first, segment.last) for segment in self._segments)
        self._overlapping = any(after[0] <= before[1] for before, after in itertools.pairwise(ordered))
        self._directory: tuple[NDArray[np.uint64], NDArray[np.uint32]] | None = None
        self._packs = packs
        self._identity = identity
        self._kept: OrderedDict[int, dict[str, dict[str, Any]]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        return sum(segment.count for segment in self._segments)

    def chunk(self, ref: ChunkRef) -> bytes:
        """A chunk of a tree pack, its identity checked."""
        plain = self._packs.frame(ref.pack, ref.frame, ref.whole)[ref.at : ref.at + ref.size]
        if len(plain) != ref.size or blake3.blake3(plain, key=self._identity).digest() != ref.id:
            raise ObjectDamaged(
                f"A chunk of the tree in pack {ref.pack.hex()} is not what was written.", hint="Run 'holdfast vault check --read all'."
            )
        return plain

    @property
    def segments(self) -> Sequence[Segment]:
        return self._segments

    def stored_lines(self, lost: Callable[[str, str, int, HoldfastError], None] | None = None) -> Iterator[Stored]:
        """All entries in order with their lines as stored; one segment in memory at a time. ``lost`` hears of segments that are damaged
        (smallest path, greatest path, entries, why), and the others follow.
        """
        for segment in self._segments:
            try:
                plain = self.chunk(segment.ref)
                documents = self._parsed(plain, segment.count)
            except (Damaged, Unreachable) as error:
                if lost is None or (isinstance(error, Unreachable) and not self._packs.answers()):
                    raise
                lost(segment.first, segment.last, segment.count, error)
                continue
            yield from map(Stored, documents, plain.split(b"\n"))

    def documents(self) -> Iterator[dict[str, Any]]:
        """All lines in order; one segment in memory at a time."""
        for segment in self._segments:
            yield from self._lines(segment)

    def entries(self, prefix: str = "") -> Iterator[Stored]:
        for segment in self._segments:
            if segment.last < prefix or (segment.first > prefix and not segment.first.startswith(prefix)):
                continue
            for document in self._lines(segment):
                if document["p"].startswith(prefix):
                    stored = Stored(document)
                    # Whoever asks for entries looks at all of them: one that is none is told here.
                    assert stored.entry is not None
                    yield stored

    def find(self, path: str) -> dict[str, Any] | None:
        """The line of ``path``; cheap when asked in about the order of capture."""
        with self._lock:
            kept = list(self._kept.items())
        table: dict[str, dict[str, Any]]
        for number, table in reversed(kept):
            if path in table:
                with self._lock:
                    if number in self._kept:
                        self._kept.move_to_end(number)
                return table[path]
        known = {number for number, _ in kept}
        for number in self._candidates(path):
            segment = self._segments[number]
            if number not in known:
                table = {document["p"]: document for document in self._lines(segment)}
                with self._lock:
                    self._kept[number] = table
                    while len(self._kept) > _KEPT:
                        self._kept.popitem(last=False)
                if path in table:
                    return table[path]
        return None

    def _candidates(self, path: str) -> list[int]:
        """Segments that may hold a path: by their ranges, or by a hash of each path where the order of capture makes ranges overlap."""
        if not self._overlapping:
            return [number for number, segment in enumerate(self._segments) if segment.first <= path <= segment.last]
        with self._lock:
            if self._directory is None:
                hashes = [np.array([_hash(line["p"]) for line in self._lines(segment)], dtype=np.uint64) for segment in self._segments]
                joined = np.concatenate(hashes)
                order = np.argsort(joined, kind="stable")
                owners = np.repeat(np.arange(len(hashes), dtype=np.uint32), [len(part) for part in hashes])
                self._directory = joined[order], owners[order]
            sorted_hashes, numbers = self._directory
        low, high = (
            np.searchsorted(sorted_hashes, np.uint64(_hash(path)), "left"),
            np.searchsorted(sorted_hashes, np.uint64(_hash(path)), "right"),
        )
        return sorted(set(numbers[low:high].tolist()))

    def parts(self, document: Mapping[str, Any]) -> Iterator[Part]:
        """The content lists of one file, in order, read as they are asked for."""
        try:
            inline = document.get("c")
            refs = [ChunkRef.from_json(row) for row in document.get("r", ())]
            first = None if inline is None else from_b64(inline)
        except (TypeError, ValueError) as error:
            raise ObjectDamaged(
                f"The content of {str(document['p'])[:200]!r} is no list of chunks: {error}", hint="Run 'holdfast vault check --read all'."
            ) from None
        if first is not None:
            yield content.decode(first)
        for ref in refs:
            yield content.decode(self.chunk(ref))

    def _lines(self, segment: Segment) -> list[dict[str, Any]]:
        return self._parsed(self.chunk(segment.ref), segment.count)

    @staticmethod
    def _parsed(plain: bytes, count: int) -> list[dict[str, Any]]:
        try:
            # One call for all lines: JSON never holds a newline of its own.
            documents: list[dict[str, Any]] = json.loads(b"[" + plain.replace(b"\n", b",") + b"]")
        except (ValueError, RecursionError) as error:
            raise ObjectDamaged(f"A tree segment is no JSON: {error}") from None
        if len(documents) != count:
            raise ObjectDamaged(f"A tree segment holds {len(documents)} entries, not {count}.")
        # Whoever has a writer's key signs any tree: what is read without making an entry of it is looked at here.
        if not all(type(one) is dict and type(one.get("p")) is str and type(one.get("s")) is int for one in documents):
            raise ObjectDamaged("A tree segment holds something that is no entry.", hint="Run 'holdfast vault check --read all'.")
        return documents


def _hash(path: str) -> int:
    return int.from_bytes(blake3.blake3(path.encode("utf-8", "surrogatepass")).digest()[:8], "big")
