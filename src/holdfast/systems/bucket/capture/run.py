"""One recovery point of a bucket: the listing held against the base's lines, what is new fetched by many requests at once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.connect.objects import Job, Listed, ObjectChanged, ObjectDenied, ObjectGone, Objects, in_order
from holdfast.connect.objects.buffers import Buffers
from holdfast.model import Entry, Progress
from holdfast.systems.bucket.capture.groups import AHEAD, Group, Read, read_one
from holdfast.systems.bucket.capture.ledger import Ledger
from holdfast.systems.bucket.capture.reading import SMALL, Got, again, parts
from holdfast.systems.bucket.entries import entry_of, unchanged
from holdfast.systems.bucket.errors import BucketEmptied
from holdfast.systems.bucket.listing import BUDGET, lines_of
from holdfast.systems.bucket.merge import BaseLines
from holdfast.systems.bucket.settings import BucketSettings
from holdfast.systems.contract import Bulk, CaptureWriter, Sink, StoredLine

_AGAIN = 4
Pair = tuple[Listed, StoredLine | None]
"""An object of the listing, and the base's line that holds it already."""


@dataclass(slots=True)
class _Part:
    listed: Listed
    start: int


@dataclass
class BucketCapture:
    """One run. ``store`` may be asked by many threads."""

    settings: BucketSettings
    store: Objects
    writer: CaptureWriter
    progress: Progress
    ledger: Ledger = field(default_factory=Ledger)

    def __post_init__(self) -> None:
        self._buffers = Buffers()
        self._bulk: Bulk = self.writer.bulk(self._read_many)
        self._base = BaseLines(self.writer.base.lines() if self.writer.base is not None else iter(()))
        self._limit = min(SMALL, self._bulk.largest)
        self._sink: Sink | None = None
        self._failed: Listed | None = None
        self._counts = {"objects": 0, "bytes": 0, "older": 0, "older_bytes": 0, "markers": 0}
        self._unread = self._asked = self._tagged = self._listed = 0

    def run(self) -> Mapping[str, Any]:
        """Everything goes to the writer. Returns facts. Raises BucketEmptied, ListingUnordered, what the store and the writer raise."""
        self.progress.phase("objects")
        self._objects()
        self._bulk.flush()
        self.writer.flush()
        self._not_emptied()
        return {
            **self._counts,
            "unread": self._unread,
            "requests": {"list": -(-self._listed // 1000), "get": self._asked, "tags": self._tagged},
            **self.ledger.facts(),
        }

    # ------------------------------------------------------------ what is to be done

    def _objects(self) -> None:
        self._here(self._pairs())

    def _here(self, pairs: Iterable[Pair]) -> None:
        """By this process."""
        for job in in_order(self._jobs(pairs), threads=self.settings.threads, budget=BUDGET, most=AHEAD):
            self._take(job)
        self._end_part()

    def _pairs(self) -> Iterator[Pair]:
        """What is listed, and the base's line where it is unchanged."""
        for listed in lines_of(self.settings, self.store, everything=self.settings.versions == "all"):
            self._listed += 1
            line = self._base.at(listed)
            yield listed, line if line is not None and unchanged(line, listed) else None

    def _jobs(self, pairs: Iterable[Pair]) -> Iterator[Job[Any]]:
        group = Group()
        for listed, line in pairs:
            large = line is None and listed.size > self._limit
            if group.lines and (large or not group.takes(0 if line is not None else listed.size)):
                yield group.job(self.store, self._buffers)
                group = Group()
            if not large:
                group.add(listed, line)
                continue
            for job in parts(self.store, listed):
                yield Job(_Part(*job.what), job.run, job.cost)
        if group.lines:
            yield group.job(self.store, self._buffers)

    # ------------------------------------------------------------ what came, in order

    def _take(self, job: Job[Any]) -> None:
        if isinstance(job.what, _Part):
            self._part(job, job.what)
            return
        self._end_part()
        group: Group = job.what
        came: Iterator[Read] = iter(job.result() if group.wanted else ())
        for number, listed in enumerate(group.lines):
            line = group.kept.get(number)
            if line is not None:
                self._keep(listed, line)
            elif listed.marker:
                self._bulk.entry(entry_of(listed))
                self._count(listed)
            else:
                self._small(listed, next(came))

    def _keep(self, listed: Listed, line: StoredLine) -> None:
        if self._bulk.keep(line):
            self._unread += 1
            self._count(listed)
        # Some location lost its content: it is read anew.
        elif listed.marker:
            self._bulk.entry(entry_of(listed))
            self._count(listed)
        elif listed.size <= self._limit:
            self._small(listed, read_one(self.store, listed, self._buffers))
        else:
            self._large(listed, _AGAIN)

    def _small(self, listed: Listed, got: Read) -> None:
        self._asked += 1
        if not isinstance(got, Got):
            self._not_read(listed, got)
            return
        if got.data is None:
            self._large(got.listed, _AGAIN)
            return
        entry = self._entry(got)
        if got.data:
            self._bulk.small(entry.path, len(got.data), (entry, got.data))
        else:
            self._bulk.entry(entry)
        self._count(got.listed)

    def _part(self, job: Job[Got], what: _Part) -> None:
        self._asked += 1
        if what.start == 0:
            self._end_part()
        elif self._sink is None:
            return  # an earlier part could not be read: the object was judged there
        try:
            got = job.result()
        except ObjectChanged:
            self._sink, self._failed = None, None
            self._large(what.listed, _AGAIN)
            return
        except (ObjectGone, ObjectDenied) as error:
            self._sink = None
            self._not_read(what.listed, error)
            return
        self._write(got, what)

    def _write(self, got: Got, what: _Part) -> None:
        assert got.data is not None
        if what.start == 0:
            self._bulk.flush()
            self._sink = self.writer.stream(self._entry(got))
        assert self._sink is not None
        self._sink.write(got.data)
        if what.start + len(got.data) == what.listed.size:
            self._sink.close()
            self._sink = None
            self._count(what.listed)

    def _large(self, listed: Listed, tries: int) -> None:
        """A large object by itself, as it is now."""
        for left in reversed(range(tries)):
            try:
                listed = again(self.store, listed)
                if listed.size <= self._limit:
                    self._small(listed, read_one(self.store, listed, self._buffers))
                    return
                for job in in_order(parts(self.store, listed), threads=self.settings.threads, budget=BUDGET):
                    self._asked += 1
                    self._write(job.result(), _Part(*job.what))
                return
            except ObjectChanged as error:
                self._sink = None
                if not left:
                    self._not_read(listed, error)
            except (ObjectGone, ObjectDenied) as error:
                self._sink = None
                self._not_read(listed, error)
                return

    def _end_part(self) -> None:
        """A stream that is not whole by now is left out: it is never closed."""
        self._sink = None

    # ------------------------------------------------------------

    def _entry(self, got: Got) -> Entry:
        self._tagged += bool(got.described.tag_count)
        return entry_of(got.listed, got.described, got.tags)

    def _not_read(self, listed: Listed, error: Exception) -> None:
        if isinstance(error, ObjectGone):
            self.ledger.is_gone(listed.key)
        else:
            self.ledger.cannot_read(listed.key, "" if listed.latest else listed.version, str(error))

    def _count(self, listed: Listed) -> None:
        if listed.marker:
            self._counts["markers"] += 1
        elif listed.latest:
            self._counts["objects"] += 1
            self._counts["bytes"] += listed.size
        else:
            self._counts["older"] += 1
            self._counts["older_bytes"] += listed.size

    def _not_emptied(self) -> None:
        base = self.writer.base
        before = int(base.point.facts.get("objects", 0)) if base is not None else 0
        if before and not self._listed:
            raise BucketEmptied(
                f"{self.settings.url} holds nothing, and held {before} objects in the last point: nothing was committed.",
                hint="Is it the right bucket? If it is meant to be empty, take the point with --full.",
                url=self.settings.url,
            )

    def _read_many(self, handles: Sequence[tuple[Entry, memoryview]], view: memoryview) -> Sequence[tuple[Entry, int, int] | None]:
        """Their content came already: it is put where it is hashed."""
        found: list[tuple[Entry, int, int] | None] = []
        at = 0
        for entry, data in handles:
            end = at + len(data)
            view[at:end] = data
            self._buffers.give(data)
            found.append((entry, at, end))
            at = end
        return found
