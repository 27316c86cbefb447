"""Objects somewhere, a restored copy or the bucket itself, held against a point: by listing, and by content."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from holdfast.connect.objects import Job, Listed, ObjectChanged, ObjectDenied, ObjectGone, Objects, in_order
from holdfast.connect.objects.errors import shown
from holdfast.systems.bucket.entries import described_of, name_of, unchanged
from holdfast.systems.bucket.listing import BUDGET, lines_of
from holdfast.systems.bucket.merge import BaseLines, pairs
from holdfast.systems.bucket.proof.view import View
from holdfast.systems.bucket.restore.select import Renaming, Selection, listing
from holdfast.systems.bucket.settings import BucketSettings
from holdfast.systems.contract import History, PointReader, StoredEntry, StoredLine, Structural, Target

WHOLE = 4 << 20
_NAMED = 10


class AgainstView(View):
    """``quick``: keys, sizes and, where they say anything, ETags. Else every object's headers and content as well."""

    def __init__(
        self,
        reader: PointReader,
        selection: Selection,
        source: str,
        address: str,
        store: Objects,
        reached: Mapping[str, Any],
        threads: int,
        *,
        quick: bool,
    ) -> None:
        super().__init__(reached, address)
        self._reader, self._selection, self._store, self._threads, self._quick = reader, selection, store, threads, quick
        self._names = Renaming.between(source, address)
        self._wrong: list[str] = []
        self._bad: set[str] = set()

    def structure(self, progress: Any = None) -> Iterator[Structural]:
        del progress
        count = 0
        for line, listed in self._sides():
            count += 1
            if what := _by_listing(line, listed):
                self._note(self._key(line) if line is not None else listed.key if listed is not None else "", what)
        if not count:
            yield Structural("keys, sizes, ETags", "skipped", "neither the point nor the place holds an object")
            return
        yield self._result("keys, sizes, ETags", f"{count} objects")
        if self._quick:
            return
        self._wrong, before = [], len(self._bad)
        done = self._reader.extract(self._wanted(), delta=True)
        yield self._result("headers, metadata, tags, content", f"{done.files} objects, {done.kept} bytes equal what was recorded", before)

    def _result(self, name: str, right: str, before: int = 0) -> Structural:
        bad = len(self._bad) - before
        if not bad:
            return Structural(name, "passed", right)
        more = f"; {bad - len(self._wrong)} more" if bad > len(self._wrong) else ""
        return Structural(name, "failed", f"{bad} objects differ: {'; '.join(self._wrong)}{more}")

    def _sides(self) -> Iterator[tuple[StoredLine | None, Listed | None]]:
        there = listing(self._store, self._selection, self._names)
        return pairs(self._selection.lines(self._reader), there, self._names.key)

    def _key(self, stored: StoredEntry) -> str:
        return self._names.key(name_of(stored.entry.path).key)

    def _note(self, key: str, what: str) -> None:
        if key in self._bad:
            return
        self._bad.add(key)
        if len(self._wrong) < _NAMED:
            self._wrong.append(f"{shown(key)} {what}")

    # ------------------------------------------------------------ content

    def _wanted(self) -> Iterator[tuple[StoredEntry, Callable[[], Target]]]:
        for job in in_order(self._jobs(), threads=self._threads, budget=BUDGET):
            line, listed = job.what
            try:
                data = job.result()
            except (ObjectGone, ObjectChanged, ObjectDenied) as error:
                self._note(listed.key, error.message)
                continue
            yield line, lambda line=line, listed=listed, data=data: _Compared(self, line, listed, data)  # type: ignore[misc]

    def _jobs(self) -> Iterator[Job[bytearray | None]]:
        for line, listed in self._sides():
            if line is not None and listed is not None and line.size == listed.size:
                cost = listed.size if listed.size <= WHOLE else 0
                yield Job((line, listed), lambda line=line, listed=listed: self._read(line, listed), cost + 2048)  # type: ignore[misc]

    def _read(self, line: StoredLine, listed: Listed) -> bytearray | None:
        """The content, of a small object; its headers are compared on the way."""
        data = bytearray(listed.size) if listed.size <= WHOLE else None
        view = memoryview(data if data is not None else bytearray(1))
        now = self._store.read_into(listed.key, view, etag=listed.etag, version=listed.version)
        if self._store.keeps_headers:
            headers, metadata, tags = self._store.fitting(*described_of(line))
            have = self._store.tags(listed.key) if now.tag_count else {}
            for what, mine, theirs in (
                ("headers", headers, now.headers),
                ("metadata", metadata, now.metadata),
                ("tags", tags, have),
            ):
                if mine != theirs:
                    self._note(listed.key, f"has other {what}")
        return data


class _Compared:
    """A target that is only looked at: the reader asks what exists, and would write only what differs."""

    def __init__(self, view: AgainstView, line: StoredLine, listed: Listed, data: bytearray | None) -> None:
        self._view, self._line, self._listed, self._data = view, line, listed, data

    def write(self, offset: int, data: memoryview) -> None:
        del data
        self._view._note(self._listed.key, f"has other content (at {offset})")  # noqa: SLF001 - its own

    def existing(self, offset: int, buffer: memoryview) -> int:
        size = min(len(buffer), self._listed.size - offset)
        if size <= 0:
            return 0
        if self._data is not None:
            buffer[:size] = self._data[offset : offset + size]
        else:
            self._view._store.read_into(self._listed.key, buffer[:size], start=offset, etag=self._listed.etag)  # noqa: SLF001
        return size

    def close(self) -> None:
        self._data = None


def _by_listing(line: StoredLine | None, listed: Listed | None) -> str:
    if line is None:
        return "is too many"
    if listed is None:
        return "is missing"
    if line.size != listed.size:
        return f"has {listed.size} bytes instead of {line.size}"
    return ""


def newest_matching(settings: BucketSettings, history: History | None) -> str | None:
    """The newest point, if the bucket is still as it was when that was taken; judged by listing."""
    points = history.points() if history is not None else ()
    if history is None or not points or points[-1].facts.get("incomplete"):
        return None
    point = points[-1]
    if point.facts.get("versions") != settings.versions or point.facts.get("prefixes") != list(settings.prefixes):
        return None
    store = settings.open(settings.url)
    try:
        count = 0
        base = BaseLines(history.open(point.id).lines())
        for listed in lines_of(settings, store, everything=settings.versions == "all"):
            line = base.at(listed)
            if line is None or not unchanged(line, listed):
                return None
            count += 1
        return point.id if count == sum(int(point.facts.get(name, 0)) for name in ("objects", "older", "markers")) else None
    finally:
        store.close()
