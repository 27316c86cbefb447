"""Does a restore of a bucket: what differs is written by many requests at once, then the target is listed and compared."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.connect.objects import Described, Job, Listed, Objects, in_order
from holdfast.connect.objects.errors import shown
from holdfast.connect.pace import Pace
from holdfast.model import Extracted, Progress
from holdfast.systems.bucket.entries import described_of, name_of
from holdfast.systems.bucket.errors import NotRestored
from holdfast.systems.bucket.listing import BUDGET
from holdfast.systems.bucket.restore.plan import Detail, maybe_same, sides, surely_same
from holdfast.systems.bucket.restore.writing import LargeTarget, Putter
from holdfast.systems.contract import PointReader, RestorePlan, StoredEntry, StoredLine, Target

WHOLE = 4 << 20
_NAMED = 5
_REMOVED = 1000
_TOLD = 20


@dataclass
class BucketRestore:
    """One run."""

    reader: PointReader
    plan: RestorePlan
    store: Objects
    threads: int
    progress: Progress
    pace: Pace | None = None
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        assert isinstance(self.plan.detail, Detail)
        self._detail = self.plan.detail
        self._kept = self._dressed = 0
        self._left: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._uploads: list[LargeTarget] = []

    def run(self) -> Extracted:
        """Everything is in the target, durably, when it returns. Raises NotRestored, and what the store and the reader raise."""
        detail = self._detail
        if detail.address.startswith("file://"):
            Path(detail.address.removeprefix("file://")).mkdir(parents=True, exist_ok=True)
        self.progress.phase("restore", self.plan.bytes)
        with Putter(self.store, self.threads, BUDGET, self.pace) as putter:
            try:
                done = self.reader.extract(self._wanted(putter), progress=self.progress, small=lambda many: self._small(putter, many))
                putter.wait()
            except BaseException:
                self._give_up()
                raise
        if detail.remove:
            self._remove()
        self.store.sync()
        self.progress.phase("compare", None, "objects")
        self._check()
        self._tell(putter)
        return Extracted(done.files, done.written, self._kept, done.fetched)

    # ------------------------------------------------------------ what is written

    def _wanted(self, putter: Putter) -> Iterator[tuple[StoredEntry, Callable[[], Target] | None]]:
        for line in self._lines():
            yield line, None if line.size <= WHOLE else self._opener(putter, line)

    def _lines(self) -> Iterator[StoredLine]:
        if self._detail.mode == "new":
            yield from self._detail.selection.lines(self.reader)
            return
        for job in in_order(self._compared(), threads=self.threads):
            line: StoredLine = job.what
            if job.run is not None and job.result():
                self._kept += line.size
            else:
                yield line

    def _compared(self) -> Iterator[Job[bool]]:
        """Each object that may have to be written; its job tells whether it is right already."""
        for line, listed in sides(self.reader, self.store, self._detail):
            if line is None:
                continue
            if listed is None or not (surely_same(line, listed) or maybe_same(line, listed)):
                yield Job(line)
            elif surely_same(line, listed) and not self.store.keeps_headers:
                self._kept += line.size
            else:
                yield Job(line, lambda line=line, listed=listed: self._same(line, listed))  # type: ignore[misc]

    def _same(self, line: StoredLine, listed: Listed) -> bool:
        """The content is; and headers, metadata, storage class and tags?"""
        if not self.store.keeps_headers:
            return True
        headers, metadata, tags = self.store.fitting(*described_of(line))
        # Even of the very object that was captured the tags may be others by now, and no listing tells it.
        now = self.store.describe(listed.key)
        if now is None or now.etag != listed.etag or now.headers != headers or now.metadata != metadata:
            return False
        return (self.store.tags(listed.key) if now.tag_count else {}) == tags

    def _opener(self, putter: Putter, line: StoredLine) -> Callable[[], Target]:
        def opened() -> Target:
            described, tags = described_of(line)
            self._dress(described, tags)
            target = LargeTarget(putter, self.store, self._key(line), described, tags)
            self._uploads.append(target)
            return target

        return opened

    def _small(self, putter: Putter, many: Sequence[tuple[StoredEntry, memoryview | bytes]]) -> None:
        for stored, data in many:
            described, tags = described_of(stored)
            self._dress(described, tags)
            putter.put(self._key(stored), data, described, tags)

    def _dress(self, described: Described, tags: Mapping[str, str]) -> None:
        """Counts what belongs to an object, and what of it the target does not take."""
        fits = self.store.fitting(described, tags)
        left = [name for name in described.headers if name not in fits.headers]
        left += [f"metadata {name}" for name in described.metadata if name not in fits.metadata]
        left += [f"tag {name}" for name in tags if name not in fits.tags]
        with self._counting:
            self._dressed += bool(described.headers or described.metadata or tags)
            self._left.update(left)

    def _key(self, stored: StoredEntry) -> str:
        return self._detail.names.key(name_of(stored.entry.path).key)

    # ------------------------------------------------------------ afterwards

    def _remove(self) -> None:
        waiting: list[str] = []
        removed = 0
        for line, listed in sides(self.reader, self.store, self._detail):
            if line is None and listed is not None:
                waiting.append(listed.key)
                removed += 1
            if len(waiting) == _REMOVED:
                self.store.delete(waiting)
                waiting = []
        self.store.delete(waiting)
        if removed:
            self.notes.append(f"{removed} objects that the point does not hold were removed.")

    def _check(self) -> None:
        """What was restored is there under its key, with its size. Some stores take other keys than those they are given."""
        wrong: list[str] = []
        bad = 0
        for line, listed in sides(self.reader, self.store, self._detail):
            said = ""
            if line is not None and listed is None:
                # A folder that holds something stands in no listing by itself.
                if self.store.keeps_headers or not self._key(line).endswith("/") or self.store.describe(self._key(line)) is None:
                    said = f"{shown(self._key(line))} is missing"
            elif line is not None and listed is not None and line.size != listed.size:
                said = f"{shown(listed.key)} has {listed.size} bytes instead of {line.size}"
            elif line is None and listed is not None and (self._detail.remove or self._detail.mode == "new"):
                said = f"{shown(listed.key)} is too many"
            self.progress.advance(1)
            bad += bool(said)
            if said and len(wrong) < _NAMED:
                wrong.append(said)
        if bad:
            raise NotRestored(
                f"{bad} objects in {self._detail.address} are not as they were restored: {'; '.join(wrong)}.",
                hint="Does somebody else write there? Does the store take these keys? Compare: holdfast verify --against.",
            )

    def _give_up(self) -> None:
        """Uploads in parts that were begun are not left behind, as far as the store can be asked."""
        from holdfast.errors import HoldfastError

        for upload in self._uploads:
            try:
                upload.abandon()
            except HoldfastError as error:
                self.progress.note(f"An upload in parts was left behind: {error.message}")

    def _tell(self, putter: Putter) -> None:
        if self._dressed and not self.store.keeps_headers:
            self.notes.append(f"A folder keeps no content types, metadata or tags: those of {self._dressed} objects stay in the point.")
        elif self.store.keeps_headers:
            for name, count in self._left.most_common(_TOLD):
                self.notes.append(f"{self.store.url} does not take {shown(name)}: of {count} objects it stays in the point alone.")
            if len(self._left) > _TOLD:
                self.notes.append(f"{self.store.url} does not take {len(self._left) - _TOLD} more names of metadata or tags.")
        for name, count in sorted(putter.classes.items()):
            self.notes.append(f"{count} objects of the storage class {name} were written with the standard one.")
