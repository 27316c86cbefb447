"""What validation looks at: a point as a restore reads it, and the bucket itself."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import blake3

from holdfast.connect.objects import Job, Listed, Objects, in_order
from holdfast.errors import Damaged, HoldfastError
from holdfast.model import Progress
from holdfast.systems.bucket.capture.reading import PART, Got, read
from holdfast.systems.bucket.entries import described_of, name_of
from holdfast.systems.bucket.errors import BucketNonsense, BucketSql
from holdfast.systems.bucket.listing import BUDGET, lines_of
from holdfast.systems.bucket.proof.hashing import BlockHash, SetHash, of_bytes
from holdfast.systems.bucket.restore.select import Selection
from holdfast.systems.bucket.settings import BucketSettings
from holdfast.systems.contract import Isolated, PointReader, StoredEntry, Structural, Target
from holdfast.systems.shared.views import PlainView

WHOLE = 4 << 20


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

    def differences(self, other: Isolated, name: str, limit: int = 5) -> Mapping[str, Any]:
        del other, name, limit
        return {"missing": 0, "extra": 0, "changed": 0, "examples": []}


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
        detail = f"{found.entries} objects, {found.bytes} bytes equal what was recorded"
        yield Structural("content as recorded", "passed", detail)
        if self._proved:
            yield Structural(
                "content as the store named it", "passed", f"the ETags of {self._proved} objects are the MD5 of what is in the vault"
            )
        else:
            yield Structural("content as the store named it", "skipped", "no ETag is the MD5 of a content")

    def digest(self, selection: Sequence[str] = ()) -> Mapping[str, Any]:
        del selection
        return {self._source: self._read().document()}

    def _read(self) -> SetHash:
        if self._hash is None:
            found = SetHash()
            self._progress.phase("read", int(self._reader.point.facts.get("bytes", 0)))
            self._reader.extract(self._wanted(found), progress=self._progress, small=lambda many: self._small(found, many))
            self._hash = found
        return self._hash

    def _wanted(self, found: SetHash) -> Iterator[tuple[StoredEntry, Callable[[], Target] | None]]:
        last = None
        for line in self._selection.lines(self._reader):
            key = name_of(line.path).key.encode("utf-8", "surrogatepass")
            if last is not None and key <= last:
                raise BucketNonsense(f"The point holds {line.path[:200]!r} behind a key that follows it.", hint="Restore another point.")
            last = key
            yield line, None if line.size <= WHOLE else lambda line=line: self._large(found, line)  # type: ignore[misc]

    def _large(self, found: SetHash, line: StoredEntry) -> Target:
        described, tags = described_of(line)
        return BlockHash(described.size, lambda content: found.add(name_of(line.entry.path).key, described, tags, content))

    def _small(self, found: SetHash, many: Sequence[tuple[StoredEntry, memoryview | bytes]]) -> None:
        proved = 0
        for stored, data in many:
            described, tags = described_of(stored)
            found.add(name_of(stored.entry.path).key, described, tags, of_bytes(data))
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
        open_: dict[str, Any] = {}
        for job in in_order(self._jobs(), threads=self._settings.threads, budget=BUDGET):
            got: Got = job.result()
            listed, start = job.what
            data = got.data if got.data is not None else b""
            if listed.size <= PART:
                found.add(listed.key, got.described, got.tags, of_bytes(data))
                continue
            if not start:
                open_ = {"hash": blake3.blake3(), "got": got}
            open_["hash"].update(blake3.blake3(data).digest())
            if start + len(data) == listed.size:
                found.add(listed.key, open_["got"].described, open_["got"].tags, open_["hash"].digest())
        return {self._settings.url: found.document()}

    def _jobs(self) -> Iterator[Job[Got]]:
        from holdfast.systems.bucket.capture.reading import parts

        for listed in lines_of(self._settings, self._store, everything=False):
            if listed.size <= PART:
                yield Job((listed, 0), _reading(self._store, listed), listed.size + 2048)
            else:
                yield from parts(self._store, listed)


def _reading(store: Objects, listed: Listed) -> Callable[[], Got]:
    return lambda: read(store, listed, limit=PART)
