"""One recovery point of a bucket: the listing held against the base's lines, what is new fetched by many requests at once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.connect.objects import Job, Listed, ObjectChanged, ObjectDenied, ObjectGone, Objects, in_order
from holdfast.model import Entry, Progress
from holdfast.systems.bucket.capture.ledger import Ledger
from holdfast.systems.bucket.capture.reading import SMALL, Got, parts, read
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
class _Keep:
    """Unchanged: the base's line."""

    listed: Listed
    line: StoredLine


@dataclass(slots=True)
class _Small:
    listed: Listed


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
        self._bulk: Bulk = self.writer.bulk(_read_many)
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
        jobs = (job for pair in pairs for job in self._jobs(pair))
        for job in in_order(jobs, threads=self.settings.threads, budget=BUDGET):
            self._take(job)
        self._end_part()

    def _pairs(self) -> Iterator[Pair]:
        """What is listed, and the base's line where it is unchanged."""
        for listed in lines_of(self.settings, self.store, everything=self.settings.versions == "all"):
            self._listed += 1
            line = self._base.at(listed)
            yield listed, line if line is not None and unchanged(line, listed) else None

    def _jobs(self, pair: Pair) -> Iterator[Job[Got]]:
        listed, line = pair
        if line is not None:
            yield Job(_Keep(listed, line))
        else:
            yield from self._fetches(listed)

    def _fetches(self, listed: Listed) -> Iterator[Job[Got]]:
        if listed.marker:
            yield Job(_Small(listed))
        elif listed.size <= self._limit:
            yield Job(_Small(listed), lambda: read(self.store, listed), listed.size + 2048)
        else:
            for job in parts(self.store, listed):
                yield Job(_Part(*job.what), job.run, job.cost)

    # ------------------------------------------------------------ what came, in order

    def _take(self, job: Job[Got]) -> None:
        what = job.what
        if isinstance(what, _Part):
            self._part(job, what)
            return
        self._end_part()
        if isinstance(what, _Keep):
            if self._bulk.keep(what.line):
                self._unread += 1
                self._count(what.listed)
                return
            # Some location lost its content: it is read anew.
            for more in in_order(self._fetches(what.listed), threads=self.settings.threads, budget=BUDGET):
                self._take(more)
        elif what.listed.marker:
            self._bulk.entry(entry_of(what.listed))
            self._count(what.listed)
        else:
            self._small(job, what.listed)

    def _small(self, job: Job[Got], listed: Listed) -> None:
        self._asked += 1
        try:
            got = job.result()
        except (ObjectGone, ObjectDenied, ObjectChanged) as error:
            self._not_read(listed, error)
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
        self.progress.advance(len(got.data))

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
        self.progress.advance(len(got.data))
        if what.start + len(got.data) == what.listed.size:
            self._sink.close()
            self._sink = None
            self._count(what.listed)

    def _large(self, listed: Listed, tries: int) -> None:
        """A large object by itself, as it is now."""
        from holdfast.systems.bucket.capture.reading import again

        for left in reversed(range(tries)):
            try:
                listed = again(self.store, listed)
                if listed.size <= self._limit:
                    self._small(_done(read(self.store, listed)), listed)
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


def _done(got: Got) -> Job[Got]:
    from concurrent.futures import Future

    job: Job[Got] = Job(None)
    job.future = Future()
    job.future.set_result(got)
    return job


def _read_many(handles: Sequence[tuple[Entry, bytearray]], view: memoryview) -> Sequence[tuple[Entry, int, int] | None]:
    """Their content came already: it is put where it is hashed."""
    found: list[tuple[Entry, int, int] | None] = []
    at = 0
    for entry, data in handles:
        end = at + len(data)
        view[at:end] = data
        found.append((entry, at, end))
        at = end
    return found
