"""An open session that can become one recovery point: takes entries, feeds the workers, commits."""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from holdfast import __version__
from holdfast.errors import HoldfastError
from holdfast.model import Clock, Entry, Finding, Progress, RecoveryPoint, Totals
from holdfast.vault import content, crypto, points
from holdfast.vault.capture.commit import check_not_condemned, check_stored, reusable
from holdfast.vault.capture.engine import Engine
from holdfast.vault.capture.index_log import IndexLog
from holdfast.vault.capture.pace import Pace
from holdfast.vault.capture.session import Session, check_skew
from holdfast.vault.capture.spill import SpillFolder
from holdfast.vault.capture.stream import StreamSink
from holdfast.vault.capture.tree import TreeWriter
from holdfast.vault.capture.work import Buffer, BufferSource, FilePart, FileWork, Inspect, Piece, Source, Task, new_part
from holdfast.vault.capture.worker import Shared, Worker
from holdfast.vault.content import PART_CHUNKS, Part
from holdfast.vault.errors import PackMissing
from holdfast.vault.index.seen import Row, SeenChunks
from holdfast.vault.index.store import IndexStore
from holdfast.vault.keys import SCOPE
from holdfast.vault.locations import Locations
from holdfast.vault.notary import Notary
from holdfast.vault.packs.sink import Finished, PackSink, Sealing
from holdfast.vault.packs.table import PackTable
from holdfast.vault.restore.reader import Reader
from holdfast.vault.text import to_b64, to_time

INLINE = 8192
"""Content lists up to this many bytes stand in the entry's line."""
_FILES = 512
"""Files that may be open in queued tasks."""
_TREE_PACK = 16 << 20


@dataclass(frozen=True, slots=True)
class Settings:
    """How a session captures. ``rate`` in bytes read a second; ``workers`` 0: as many as cores, at least 2."""

    system: str
    kind: str
    label: str | None = None
    note: str | None = None
    keep_until: Any = None
    chunk_size: int = 65536
    level: int = 1
    workers: int = 0
    rate: float | None = None
    host: str = ""


class Writer:
    """Made by ``Vault.begin``. Not thread-safe itself, except for its streams. Leaving the context without ``commit`` aborts."""

    def __init__(
        self,
        settings: Settings,
        base: Reader | None,
        *,
        locations: Locations,
        notary: Notary,
        clock: Clock,
        cache: Path,
        progress: Progress,
    ) -> None:
        self.settings = settings
        self._base = base
        self._locations = locations
        self._notary = notary
        self._clock = clock
        self._progress = progress
        self._identity = notary.bundle.identity[SCOPE]
        self._session = Session(locations, notary, clock)
        self.session = self._session.id
        self._present = reusable(locations, notary) if base is not None else None
        self._store: IndexStore | None = None
        self._cache = cache
        self._lazy = threading.Lock()
        self._table = PackTable()
        self._spill = SpillFolder(cache / "sessions", self.session)
        self._seen = SeenChunks(self._spill.path)
        self._log = IndexLog(locations, notary, clock)
        assert notary.bundle.writer is not None
        own = notary.bundle.writer
        number, epoch = notary.bundle.epoch()
        sealing = Sealing(notary.vault, SCOPE, number, own.id, own.sign, [epoch.public], notary.random)
        tree_sealing = Sealing(notary.vault, SCOPE, number, own.id, own.sign, [epoch.public, crypto.box_public(own.box)], notary.random)
        self._data = PackSink("data", sealing, self._table, locations.put, self._packed, failed=self._fail)
        self._trees = PackSink(
            "tree", tree_sealing, self._table, locations.put, self._packed, failed=self._fail, target=_TREE_PACK, buffers=2, uploaders=1
        )
        self._tree = TreeWriter(self._trees, self._table, self._identity)
        chunk = settings.chunk_size
        self._run = max(1 << 20, chunk)
        shared = Shared(
            self._identity,
            chunk,
            self._run,
            settings.level,
            self._data,
            self._seen,
            self._earlier,
            self._finish_part,
            Pace(settings.rate, clock),
            progress,
        )
        count = settings.workers or max(2, os.cpu_count() or 2)
        self._workers = [Worker(shared) for _ in range(count)]
        self._engine: Engine[Task] = Engine(self._workers, count + 2, "capture")
        self._most_pieces = max(8, _FILES // (2 * count + 2))
        self._batch: Task = []
        self._batch_size = 0
        self._batch_lock = threading.Lock()
        self._ended = False
        self._incremental = False
        self._session.keep_alive(self._fail)

    # ------------------------------------------------------------ the contract

    @property
    def base(self) -> Reader | None:
        return self._base

    def add(
        self,
        entry: Entry,
        content: Source | Buffer | None = None,
        *,
        inspect: Inspect | None = None,
        changed: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        self._engine.check()
        if content is None or (entry.size == 0 and not isinstance(content, bytes | bytearray | memoryview)):
            if content is not None:
                content.close()
            self._queue_done(FileWork(entry, 0 if entry.kind == "file" else entry.size, self.settings.chunk_size))
            return
        size = entry.size
        if isinstance(content, bytes | bytearray | memoryview):
            size = memoryview(content).nbytes
            content = BufferSource(bytes(content))
        work = FileWork(entry, size, self.settings.chunk_size, content, inspect, self._base_document(entry.path))
        work.parts_left = max(1, -(-size // (PART_CHUNKS * work.chunk_size)))
        self._tree.queue(work)
        bases = self._base_parts(work)
        for index in range(work.parts_left):
            self._add_part(work, index, size, next(bases, None), changed)

    def reuse(self, entry: Entry) -> bool:
        self._engine.check()
        document = self._base_document(entry.path)
        if document is None or document["s"] != entry.size or document["k"] != "f":
            return False
        assert self._base is not None
        packs: set[int] = set()
        for part in self._base.tree.parts(document):
            if not self._all_present(part):
                return False
            packs.update(self._table.translation(part.packs).tolist())
        if not self._refs_present(document):
            return False
        self._use_refs(document)
        self._table.use(packs)
        work = FileWork(entry, entry.size, self.settings.chunk_size)
        work.document = {
            **document,
            "m": entry.mode,
            "u": entry.uid,
            "g": entry.gid,
            "t": entry.mtime_ns,
            "x": dict(entry.extra),
        }
        if not entry.extra:
            del work.document["x"]
        self._incremental = True
        self._queue_done(work)
        return True

    def stream(self, entry: Entry, *, inspect: Inspect | None = None) -> StreamSink:
        self._engine.check()
        work = FileWork(entry, 0, self.settings.chunk_size, None, inspect, self._base_document(entry.path))
        return StreamSink(work, self._run, self._base_parts(work), self._table, self._put_stream, self._part_queued, self._close_stream)

    def flush(self) -> None:
        with self._batch_lock:
            self._send_batch()
        self._engine.join()

    def commit(
        self,
        *,
        kind: str,
        start: Mapping[str, Any],
        stop: Mapping[str, Any],
        logs: str | None = None,
        facts: Mapping[str, Any] | None = None,
        expected: Mapping[str, Any] | None = None,
        findings: Sequence[Finding] = (),
        method: str = "",
    ) -> RecoveryPoint:
        try:
            return self._commit(kind, start, stop, logs, dict(facts or {}), dict(expected or {}), list(findings), method)
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Give up. What was uploaded stays for the next try to reuse. Never raises: an unreachable session ends with its lease."""
        if self._ended:
            return
        self._end(RuntimeError("the session was aborted"))
        try:
            self._log.flush()
            self._session.abort()
        except HoldfastError as error:
            self._progress.note(f"The session {self.session} ends by its lease: {error.message}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()

    # ------------------------------------------------------------ slicing

    def _add_part(self, work: FileWork, index: int, size: int, base: Part | None, changed: Sequence[tuple[int, int]] | None) -> None:
        chunk = work.chunk_size
        offset = index * PART_CHUNKS * chunk
        length = min(size - offset, PART_CHUNKS * chunk)
        count = -(-length // chunk)
        part = new_part(work, index, offset, count, base, self._table)
        if changed is None or base is None:
            spans = [(0, length)] if length else []
        else:
            spans = list(_read_spans(changed, offset, length, base, chunk))
        for begin, end in spans:
            for first in range(begin, end, self._run):
                with work.lock:
                    part.left += 1
                self._put_piece(Piece(part, first // chunk, offset + first, min(self._run, end - first)))
        self._part_queued(part)

    def _part_queued(self, part: FilePart) -> None:
        """No more pieces of this part will come."""
        with part.file.lock:
            part.queued = True
            ready = not part.left
        if ready:
            self._finish_part(part)

    def _put_piece(self, piece: Piece) -> None:
        if piece.length == self._run:
            self._engine.put([piece])
            return
        with self._batch_lock:
            if self._batch_size + piece.length > self._run or len(self._batch) >= self._most_pieces:
                self._send_batch()
            self._batch.append(piece)
            self._batch_size += piece.length

    def _send_batch(self) -> None:
        if self._batch:
            batch, self._batch, self._batch_size = self._batch, [], 0
            self._engine.put(batch)

    def _put_stream(self, piece: Piece) -> None:
        with piece.part.file.lock:
            piece.part.left += 1
        self._engine.put([piece])

    def _close_stream(self, work: FileWork, part: FilePart | None) -> None:
        work.queued = True
        self._tree.queue(work)
        if part is not None:
            self._part_queued(part)
        self._check_complete(work)

    def _queue_done(self, work: FileWork) -> None:
        work.complete = True
        self._tree.queue(work)
        self._tree.finished()

    # ------------------------------------------------------------ the base

    def _base_document(self, path: str) -> dict[str, Any] | None:
        return None if self._base is None else self._base.tree.find(path)

    def _base_parts(self, work: FileWork) -> Iterator[Part | None]:
        """The base's content lists of the same path, None where one cannot be used."""
        if self._base is None or work.base is None:
            return
        for part in self._base.tree.parts(work.base):
            usable = part.chunk_size == work.chunk_size and self._all_present(part)
            yield part if usable else None

    def _all_present(self, part: Part) -> bool:
        return self._present is not None and all(self._register(pack) for pack in part.packs)

    def _register(self, pack: bytes) -> bool:
        """Whether a pack of the base still lies everywhere; then the session knows its name."""
        assert self._present is not None
        digest = self._present.digest(pack)
        if digest is not None:
            self._table.number(pack, digest)
        return digest is not None

    def _refs_present(self, document: Mapping[str, Any]) -> bool:
        return all(self._register(bytes.fromhex(ref[1])) for ref in document.get("r", ()))

    def _use_refs(self, document: Mapping[str, Any]) -> None:
        self._table.use(self._table.number(bytes.fromhex(ref[1])) for ref in document.get("r", ()))

    def _earlier(self, ids: bytes) -> dict[int, Row]:
        """Chunks that this writer stored in earlier sessions, committed or not."""
        with self._lazy:
            if self._store is None:
                store = IndexStore(self._cache / "index", self._locations, self._notary)
                store.refresh()
                if self._present is None:
                    self._present = reusable(self._locations, self._notary)
                self._store = store
        found: dict[int, Row] = {}
        assert self._present is not None
        for hit in self._store.find(ids, self._notary.writer):
            if hit.position not in found and self._present.digest(hit.pack) == hit.digest:
                found[hit.position] = (self._table.number(hit.pack, hit.digest), hit.frame, hit.whole, hit.at, hit.size)
        return found

    # ------------------------------------------------------------ finishing

    def _finish_part(self, part: FilePart) -> None:
        work = part.file
        size, chunk = work.size, work.chunk_size
        count = max(0, min(len(part.places), -(-(size - part.offset) // chunk)))
        places, ids = part.places[:count], bytes(part.ids[: 32 * count])
        base = part.base
        result: tuple[int, str | None, Sequence[Any] | None]
        numbers = np.unique(places["pack"]).tolist() if count > 64 else set(places["pack"].tolist())
        self._table.use(numbers)
        if count and base is not None and not part.fresh and count == base.count and self._list_reusable(part):
            assert work.base is not None
            inline = work.base.get("c")
            ref = None if inline is not None else work.base["r"][part.index]
            if ref is not None:
                self._table.use([self._table.number(bytes.fromhex(ref[1]))])
            result = (part.offset, inline, ref)
            self._incremental = True
        elif count:
            if base is not None and part.fresh < count:
                self._incremental = True
            data = content.encode(Part(chunk, ids, places, self._table.ids))
            single = part.index == 0 and work.size <= PART_CHUNKS * chunk
            if single and len(data) <= INLINE:
                result = (part.offset, to_b64(data), None)
            else:
                result = (part.offset, None, self._tree.store(data).to_json())
        else:
            result = (part.offset, None, None)
        with work.lock:
            work.done[part.index] = result
        self._check_complete(work)

    def _list_reusable(self, part: FilePart) -> bool:
        refs = part.file.base["r"] if part.file.base is not None and "r" in part.file.base else ()
        return "c" in (part.file.base or {}) or (part.index < len(refs) and self._register(bytes.fromhex(refs[part.index][1])))

    def _check_complete(self, work: FileWork) -> None:
        with work.lock:
            expected = work.parts_left
            if work.complete or (work.source is None and not work.queued) or len(work.done) < expected:
                return
            work.complete = True
        if work.source is not None:
            work.source.close()
            work.source = None
        self._tree.finished()

    def _packed(self, pack: Finished) -> None:
        self._log.add(pack)

    def _fail(self, error: BaseException) -> None:
        self._engine.fail(error)
        self._tree.fail(error)

    # ------------------------------------------------------------ the end

    def _commit(
        self,
        kind: str,
        start: Mapping[str, Any],
        stop: Mapping[str, Any],
        logs: str | None,
        facts: dict[str, Any],
        expected: dict[str, Any],
        findings: list[Finding],
        method: str,
    ) -> RecoveryPoint:
        self.flush()
        self._tree.close()
        self._data.drain()
        self._trees.drain()
        self._log.flush()
        used = self._table.used()
        missing = [pack.hex() for pack, digest in used if digest is None]
        if missing:
            raise PackMissing(
                f"{len(missing)} packs that the point needs were never stored: {', '.join(missing[:3])}.", hint="This is a bug."
            )
        packs = b"".join(pack + digest for pack, digest in used if digest is not None)
        self._session.require_open()
        check_not_condemned(self._locations, self._notary, [pack for pack, _ in used])
        check_stored(self._locations, self._table.reused())
        check_skew(self._locations.first, self._clock)
        now = self._clock.now()
        counts = [worker.counts for worker in self._workers]
        number, _ = self._notary.bundle.epoch()
        point = RecoveryPoint(
            id=self.session,
            system=self.settings.system,
            kind=kind or self.settings.kind,
            method=method or ("incremental" if self._base is not None and self._incremental else "full"),  # type: ignore[arg-type]
            base=self._base.point.id if self._base is not None else None,
            label=self.settings.label,
            note=self.settings.note,
            keep_until=self.settings.keep_until,
            started_at=self._session.started_at,
            committed_at=now,
            start=dict(start),
            stop=dict(stop),
            logs=logs,
            facts=facts,
            expected=expected,
            findings=findings,
            totals=Totals(
                files=self._tree.files,
                bytes=self._tree.bytes,
                read=sum(c.read for c in counts),
                new=sum(c.new for c in counts),
                stored=self._data.stored + self._trees.stored,
                chunks=sum(c.chunks for c in counts),
                new_chunks=sum(c.new_chunks for c in counts),
            ),
            version=__version__,
            host=self.settings.host,
            writer=self._notary.writer,
            packs=len(used),
        )
        fields = {
            "session": self.session,
            "system": self._notary.tag("system", self.settings.system),
            "clock": to_time(self._locations.first.now()),
            "scope": SCOPE,
            "epoch": number,
        }
        name = self._session.point_name
        self._session.commit(self._notary.make(name, "point", now, fields, plain=points.encode(point, self._tree.segments), packs=packs))
        self._end(None)
        return point

    def _end(self, error: BaseException | None) -> None:
        self._ended = True
        self._session.end()
        if error is not None:
            self._engine.fail(error)
        self._engine.stop()
        self._data.stop(error)
        self._trees.stop(error)
        self._seen.close()
        self._spill.close()


def _read_spans(changed: Sequence[tuple[int, int]], offset: int, length: int, base: Part, chunk: int) -> Iterator[tuple[int, int]]:
    """Byte ranges of a part, from its start and cut at chunks, that must be read: what changed and what the base does not hold."""
    count = -(-length // chunk)
    mask = np.zeros(count, dtype=bool)
    for begin, end in changed:
        low, high = max(0, begin - offset), min(length, end - offset)
        if low < high:
            mask[low // chunk : -(-high // chunk)] = True
    held = min(count, base.count)
    mask[held:] = True
    if held:
        expected = min(chunk, length - (held - 1) * chunk)
        if int(base.places["size"][held - 1]) != expected:
            mask[held - 1] = True
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        yield begin * chunk, min(end * chunk, length)
