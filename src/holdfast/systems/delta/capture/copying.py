"""Copies files into a point, telling what was gone when it was its turn."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from holdfast.connect.objects import Job, in_order
from holdfast.model import Entry, Progress
from holdfast.systems.contract import CaptureWriter, Done, Sink, StoredEntry
from holdfast.systems.delta.capture.fetching import Got, Lost, Part, Read, Whole, entry_of, jobs, shorter, unlike_parquet
from holdfast.systems.delta.capture.pin import Wanted
from holdfast.systems.delta.errors import SharedOdd, SharedUnseen
from holdfast.systems.delta.store import Missing, Store

Opener = Callable[[str], tuple[Store, str]]
"""(the store, the key) of an absolute address in a log."""


@dataclass(slots=True)
class _Keep:
    """The base has it."""

    wanted: Wanted
    stored: StoredEntry


@dataclass(slots=True)
class _Here:
    """Lies on this machine: the vault's workers read it themselves."""

    wanted: Wanted
    store: Store
    key: str


class Looks(Protocol):
    """Who wants to see files that are read whole anyway."""

    def wanted(self, wanted: Wanted, /) -> bool: ...

    def look(self, wanted: Wanted, data: bytearray, /) -> None: ...


class Copier:
    """Adds files to one point. ``reusable`` says whether a file of the base may stand in for one of the same name and size."""

    def __init__(
        self,
        store: Store,
        opener: Opener,
        writer: CaptureWriter,
        progress: Progress,
        reusable: Callable[[Wanted], bool],
        looks: Looks | None = None,
    ) -> None:
        self._looks = looks
        self._store, self._opener, self._writer, self._progress, self._reusable = store, opener, writer, progress, reusable
        self._bulk = writer.bulk(_read_many)
        self._sink: Sink | None = None
        self._added: set[str] = set()
        self.lost = Lost()
        self.fetched = 0
        self.kept = 0

    def copy(self, files: Iterable[Wanted]) -> None:
        """Add those that are not in the point yet, and wait until they are read."""
        for job in in_order(self._jobs(files)):
            self._take(job)
        self._bulk.flush()
        self._writer.flush()
        for wanted in self.lost.gone:
            self._added.discard(wanted.path)

    def in_base(self, wanted: Wanted) -> bool:
        return self._stored(wanted) is not None

    def lacks(self, wanted: Wanted) -> bool:
        """Whether the file would have to be read: neither the point nor the base has it."""
        return wanted.path not in self._added and self._stored(wanted) is None

    def adopt(self, shard: Sequence[Wanted], done: Done) -> None:
        """What another process stored of these files. Those that it found gone are left for ``copy``. Raises SharedOdd, SharedUnseen."""
        asked = {one.path: one for one in shard}
        gone = set(done.report["gone"])
        paths = done.shard.paths()
        if not gone <= asked.keys() or sorted(paths) != sorted(asked.keys() - gone):
            raise SharedOdd(
                f"A worker was asked for {len(asked)} files, and handed over {len(paths)}, not all of them the same.",
                hint="Nothing was committed. Who else can write with the workers' key?",
            )
        for path in sorted(gone):
            store, key = (self._store, asked[path].key) if asked[path].address is None else self._opener(asked[path].address or "")
            if store.head(key) is not None:
                raise SharedUnseen(
                    f"A worker found no {key} below {store.url}, and it is there.",
                    hint="A folder must be mounted on all workers under the same path.",
                )
        self._bulk.flush()
        self._writer.adopt(done.shard)
        self._added |= asked.keys() - gone
        self.fetched += len(paths)
        for path, why in done.report["broken"].items():
            if path in asked:
                self.lost.broke(asked[path], str(why))

    # ------------------------------------------------------------ what is to be done

    def _jobs(self, files: Iterable[Wanted]) -> Iterator[Job[Got]]:
        for wanted in files:
            if wanted.path in self._added:
                continue
            self._added.add(wanted.path)
            stored = self._stored(wanted)
            if stored is not None:
                yield Job(_Keep(wanted, stored))
            else:
                yield from self._fetches(wanted)

    def _fetches(self, wanted: Wanted) -> Iterator[Job[Got]]:
        store, key = (self._store, wanted.key) if wanted.address is None else self._opener(wanted.address)
        if store.local(key) is not None:
            yield Job(_Here(wanted, store, key))
        else:
            looks = self._looks
            yield from jobs(store, key, wanted, looks.look if looks is not None and looks.wanted(wanted) else None)

    def _stored(self, wanted: Wanted) -> StoredEntry | None:
        """The same file in the base."""
        base = self._writer.base
        if base is None or not self._reusable(wanted):
            return None
        stored = base.find(wanted.path)
        if stored is None or stored.entry.kind != "file" or wanted.size not in (None, stored.entry.size):
            return None
        if wanted.log and (stored.entry.mtime_ns != wanted.mtime_ns or stored.entry.extra.get("e", "") != wanted.etag):
            # A log that was put back and went on has other commits under the same numbers.
            return None
        return stored

    # ------------------------------------------------------------ what came, in order

    def _take(self, job: Job[Got]) -> None:
        what = job.what
        if isinstance(what, Part):
            self._part(job, what)
        elif isinstance(what, Whole):
            self._whole(job, what.wanted)
        elif isinstance(what, _Here):
            self._here(what)
        elif self._bulk.keep(what.stored):
            self.kept += 1
        else:
            # Some location lost its content: it is read anew.
            for more in in_order(self._fetches(what.wanted)):
                self._take(more)

    def _whole(self, job: Job[Got], wanted: Wanted) -> None:
        try:
            got = job.result()
        except Missing:
            self.lost.miss(wanted)
            return
        self.fetched += 1
        entry = entry_of(wanted, got.thing)
        size = len(got.data)
        if size != entry.size:
            self.lost.broke(wanted, shorter(size, entry.size))
        elif why := unlike_parquet(wanted, 0, memoryview(got.data), size):
            self.lost.broke(wanted, why)
        if not size:
            self._bulk.entry(entry)
        elif size <= self._bulk.largest:
            self._bulk.small(entry.path, size, (entry, got.data))
        else:
            self._bulk.flush()
            sink = self._writer.stream(entry)
            sink.write(got.data)
            sink.close()

    def _part(self, job: Job[Got], what: Part) -> None:
        wanted, size = what.wanted, what.wanted.size or 0
        if what.start == 0:
            self._sink = None
        elif self._sink is None:
            return  # an earlier part was gone: so is the file
        try:
            data = job.result().data
        except Missing:
            # A stream that is never closed leaves no entry.
            self._sink = None
            self.lost.miss(wanted)
            return
        if what.start == 0:
            self.fetched += 1
            self._bulk.flush()
            self._sink = self._writer.stream(entry_of(wanted, None))
        assert self._sink is not None
        last = what.start + len(data)
        if why := unlike_parquet(wanted, what.start, memoryview(data), size):
            self.lost.broke(wanted, why)
        self._sink.write(data)
        if job.cost > len(data) and wanted.path not in self.lost.broken:
            self.lost.broke(wanted, shorter(last, size))
        if what.start + job.cost == size:
            self._sink.close()
            self._sink = None

    def _here(self, what: _Here) -> None:
        wanted = what.wanted
        thing = what.store.head(what.key) if wanted.size is None else None
        if wanted.size is None and thing is None:
            self.lost.miss(wanted)
            return
        self.fetched += 1
        entry = entry_of(wanted, thing)
        read = Read(what.store, what.key, wanted, entry.size, self.lost)
        if entry.size <= self._bulk.largest:
            self._bulk.small(entry.path, entry.size, (entry, read))
        else:
            self._bulk.flush()
            self._writer.add(entry, read)


def _read_many(handles: Sequence[tuple[Entry, bytearray | Read]], view: memoryview) -> Sequence[tuple[Entry, int, int] | None]:
    """What was fetched already is put where it is hashed, what lies here is read into it."""
    found: list[tuple[Entry, int, int] | None] = []
    at = 0
    for entry, source in handles:
        if isinstance(source, Read):
            end = at + source.read_into(0, view[at : at + entry.size])
            there = source.close() is not False
        else:
            end, there = at + len(source), True
            view[at:end] = source
        found.append((entry, at, end) if there else None)
        at = end
    return found
