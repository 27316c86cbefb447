"""What validation looks at: a point as a restore reads it, and the bucket itself."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import blake3

from holdfast.connect.objects import Described, Job, Listed, Objects, in_order
from holdfast.errors import Damaged, HoldfastError
from holdfast.model import Progress
from holdfast.systems.bucket.capture.reading import PART, Got, read
from holdfast.systems.bucket.entries import described_of, name_of
from holdfast.systems.bucket.errors import BucketNonsense, BucketSql
from holdfast.systems.bucket.listing import BUDGET, lines_of
from holdfast.systems.bucket.proof.hashing import BlockHash, SetHash, of_bytes, of_object
from holdfast.systems.bucket.restore.select import Selection
from holdfast.systems.bucket.settings import BucketSettings
from holdfast.systems.contract import Draw, Isolated, PointReader, Sampled, StoredEntry, Structural, Target
from holdfast.systems.shared import narrowing
from holdfast.systems.shared.views import PlainView

WHOLE = 4 << 20

_Add = Callable[[str, Described, Mapping[str, str], bytes], None]
"""Hears of an object: key, headers, tags, what ``of_bytes`` says of its content."""


class View(PlainView):
    """What every view has. ``connection`` is the address."""

    def unasked(self, table: str | None) -> HoldfastError:
        if table is None:
            return BucketSql("A bucket answers no SQL.", hint="Write the check with command: it finds the objects in HOLDFAST_CONNECTION.")
        return BucketSql(
            "A bucket has no tables.", hint="Suites are run on Delta tables, PostgreSQL, and Parquet and CSV files of folders."
        )

    def digest(self, selection: Sequence[str] = ()) -> Mapping[str, Any]:
        """For the whole bucket: how many objects, bytes, and a hash over all keys, headers, metadata, tags and content."""
        del selection
        return {}

    def sample(self, draw: Draw, selection: Sequence[str] = ()) -> Mapping[str, Sampled]:
        """Objects drawn by their keys."""
        del draw, selection
        return {}

    def differences(self, other: Isolated, name: str, limit: int = 5) -> Mapping[str, Any]:
        """By objects; the whole bucket is one thing. Both sides are read once, and once more what differs."""
        del name
        assert isinstance(other, View)
        return narrowing.differing(self.each, other.each, limit)

    def each(self, choose: narrowing.Choose, note: narrowing.Note) -> None:
        """See ``narrowing.Each``. Raises BucketSql where there is nothing to compare."""
        del choose, note
        raise self.unasked("")


class PointView(View):
    """Everything that a restore would write, read out of the vault, checked and hashed; written nowhere, until somebody asks for
    ``connection``: then ``copy`` makes one, and returns its folder.
    """

    def __init__(
        self,
        reader: PointReader,
        selection: Selection,
        source: str,
        reached: Mapping[str, Any],
        progress: Progress,
        copy: Callable[[], str] = str,
    ) -> None:
        super().__init__(reached, "")
        self._copy = copy
        self._reader, self._selection, self._source, self._progress = reader, selection, source, progress
        self._hash: SetHash | None = None
        self._lock = threading.Lock()
        self._proved = 0

    @property
    def connection(self) -> str:
        if not self._connection:
            self._connection = self._copy()
        return self._connection

    def structure(self, progress: Progress | None = None) -> Iterator[Structural]:
        del progress  # it counts checks, not bytes
        try:
            found = self._read()
        except Damaged as error:
            yield Structural("content as recorded", "failed", str(error))
            return
        narrow = bool(self._selection.paths or self._selection.as_of)
        told = found.entries if narrow else int(self._reader.point.facts.get("objects", found.entries))
        detail = f"{found.entries} objects, {found.bytes} bytes equal what was recorded"
        if found.entries != told:
            yield Structural("content as recorded", "failed", f"the point holds {found.entries} objects, and says that it has {told}")
            return
        yield Structural("content as recorded", "passed" if found.entries else "skipped", detail)
        if self._proved:
            yield Structural(
                "content as the store named it", "passed", f"the ETags of {self._proved} objects are the MD5 of what is in the vault"
            )
        else:
            yield Structural("content as the store named it", "skipped", "no ETag is the MD5 of a content")

    def digest(self, selection: Sequence[str] = ()) -> Mapping[str, Any]:
        del selection
        return {self._source: self._read().document()}

    def sample(self, draw: Draw, selection: Sequence[str] = ()) -> Mapping[str, Sampled]:
        del selection
        counted = lambda: sum(1 for _ in self._selection.lines(self._reader))  # noqa: E731
        return {self._source: narrowing.sampled(self._source, "objects", counted, self.each, draw)}

    def each(self, choose: narrowing.Choose, note: narrowing.Note) -> None:
        def noted(key: str, described: Described, tags: Mapping[str, str], content: bytes) -> None:
            note(key, of_object(key, described, tags, content))

        self._reader.extract(self._wanted(noted, choose), small=lambda many: self._small(noted, many))

    def _read(self) -> SetHash:
        if self._hash is None:
            found = SetHash()
            self._progress.phase("read", int(self._reader.point.facts.get("bytes", 0)))
            self._proved = 0
            self._reader.extract(self._wanted(found.add), progress=self._progress, small=lambda many: self._small(found.add, many))
            self._hash = found
        return self._hash

    def _wanted(self, found: _Add, choose: narrowing.Choose | None = None) -> Iterator[tuple[StoredEntry, Callable[[], Target] | None]]:
        last = None
        for line in self._selection.lines(self._reader):
            if choose is not None and not choose(name_of(line.path).key):
                continue
            key = name_of(line.path).key.encode("utf-8", "surrogatepass")
            if last is not None and key <= last:
                raise BucketNonsense(f"The point holds {line.path[:200]!r} behind a key that follows it.", hint="Restore another point.")
            last = key
            yield line, None if line.size <= WHOLE else lambda line=line: self._large(found, line)  # type: ignore[misc]

    def _large(self, found: _Add, line: StoredEntry) -> Target:
        described, tags = described_of(line)
        return BlockHash(described.size, lambda content: found(name_of(line.entry.path).key, described, tags, content))

    def _small(self, found: _Add, many: Sequence[tuple[StoredEntry, memoryview | bytes]]) -> None:
        proved = 0
        for stored, data in many:
            described, tags = described_of(stored)
            found(name_of(stored.entry.path).key, described, tags, of_bytes(data))
            if len(described.etag) == 32 and hashlib.md5(data, usedforsecurity=False).hexdigest() == described.etag:
                proved += 1
        with self._lock:
            self._proved += proved


class SourceView(View):
    """The protected bucket as it is now."""

    def __init__(self, settings: BucketSettings, store: Objects, reached: Mapping[str, Any]) -> None:
        super().__init__(reached, settings.url)
        self._settings, self._store = settings, store

    def digest(self, selection: Sequence[str] = ()) -> Mapping[str, Any]:
        """Reads everything."""
        del selection
        found = SetHash()
        self._objects(lambda _: True, found.add)
        return {self._settings.url: found.document()}

    def sample(self, draw: Draw, selection: Sequence[str] = ()) -> Mapping[str, Sampled]:
        del selection
        counted = lambda: sum(1 for _ in lines_of(self._settings, self._store, everything=False))  # noqa: E731
        return {self._settings.url: narrowing.sampled(self._settings.url, "objects", counted, self.each, draw)}

    def each(self, choose: narrowing.Choose, note: narrowing.Note) -> None:
        def noted(key: str, described: Described, tags: Mapping[str, str], content: bytes) -> None:
            note(key, of_object(key, described, tags, content))

        self._objects(choose, noted)

    def _objects(self, choose: narrowing.Choose, found: _Add) -> None:
        open_: dict[str, Any] = {}
        for job in in_order(self._jobs(choose), threads=self._settings.threads, budget=BUDGET):
            got: Got = job.result()
            listed, start = job.what
            data = got.data if got.data is not None else b""
            if listed.size <= PART:
                found(listed.key, got.described, got.tags, of_bytes(data))
                continue
            if not start:
                open_ = {"hash": blake3.blake3(), "got": got}
            open_["hash"].update(blake3.blake3(data).digest())
            if start + len(data) == listed.size:
                found(listed.key, open_["got"].described, open_["got"].tags, open_["hash"].digest())

    def _jobs(self, choose: narrowing.Choose) -> Iterator[Job[Got]]:
        from holdfast.systems.bucket.capture.reading import parts

        for listed in lines_of(self._settings, self._store, everything=False):
            if not choose(listed.key):
                continue
            if listed.size <= PART:
                yield Job((listed, 0), _reading(self._store, listed), listed.size + 2048)
            else:
                yield from parts(self._store, listed)


def _reading(store: Objects, listed: Listed) -> Callable[[], Got]:
    return lambda: read(store, listed, limit=PART)
