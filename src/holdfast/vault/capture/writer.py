"""An open session that can become one recovery point: takes entries, feeds the workers, commits."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from holdfast import __version__
from holdfast.connect.pace import Pace
from holdfast.errors import HoldfastError
from holdfast.model import Clock, Entry, Finding, Progress, RecoveryPoint, Totals
from holdfast.vault.capture.commit import Commit
from holdfast.vault.capture.finishing import Finisher
from holdfast.vault.capture.intake.batch import Batch, Read
from holdfast.vault.capture.intake.bulk import Bulk
from holdfast.vault.capture.intake.slicing import Slicer
from holdfast.vault.capture.intake.stream import StreamSink
from holdfast.vault.capture.reuse.reuse import Reuse
from holdfast.vault.capture.session.index_log import IndexLog
from holdfast.vault.capture.session.session import Session
from holdfast.vault.capture.session.spill import SpillFolder
from holdfast.vault.capture.settings import Settings
from holdfast.vault.capture.shard import Shard
from holdfast.vault.capture.tree import TreeWriter
from holdfast.vault.capture.workers.engine import Engine
from holdfast.vault.capture.workers.work import Buffer, BufferSource, FilePart, FileWork, Inspect, Source, Task
from holdfast.vault.capture.workers.worker import Shared, Worker
from holdfast.vault.format.content import PART_CHUNKS
from holdfast.vault.format.text import to_time
from holdfast.vault.index.seen import SeenChunks
from holdfast.vault.keys.notary import Notary
from holdfast.vault.locations import Locations
from holdfast.vault.packs.sink import Finished, PackSink, Sealing
from holdfast.vault.packs.table import PackTable
from holdfast.vault.points import stored
from holdfast.vault.restore.reader import Reader

_FILES = 512
"""Files that may be open in queued tasks."""
_TREE_PACK = 16 << 20


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
        self._locations = locations
        self._notary = notary
        self._clock = clock
        self._cache = cache
        self._began = clock.monotonic()
        self._progress = progress
        identity = notary.bundle.identity[settings.scope]
        self._session = Session(locations, notary, clock, notary.tag("system", settings.system))
        self.session = self._session.id
        self._table = PackTable()
        # After the session stands in every location: the order is what a prune relies on.
        self._reuse = Reuse(
            base, self._table, locations=locations, notary=notary, cache=cache, told=progress.note, require_open=self._session.require_open
        )
        self._spill = SpillFolder(cache / "sessions", self.session)
        self._seen = SeenChunks(self._spill.path)
        self._log = IndexLog(locations, notary, clock, settings.scope)
        assert notary.bundle.writer is not None
        own = notary.bundle.writer
        number, epoch = notary.bundle.epoch(settings.scope)
        sealing = Sealing(notary.vault, settings.scope, number, own.id, own.sign, [epoch.public], notary.random)
        manifest_holders = notary.bundle.manifest_holders(settings.scope)
        tree_sealing = Sealing(notary.vault, settings.scope, number, own.id, own.sign, manifest_holders, notary.random)
        self._data = PackSink("data", sealing, self._table, locations.put, self._packed, failed=self._fail)
        self._trees = PackSink(
            "tree", tree_sealing, self._table, locations.put, self._packed, failed=self._fail, target=_TREE_PACK, buffers=2, uploaders=1
        )
        self._tree = TreeWriter(self._trees, self._table, identity, self._reuse.segment)
        if settings.shard:
            self._tree.loose = []
        self._adopting: Shard | None = None
        self._adopted: dict[str, int] = {}
        self._finisher = Finisher(self._reuse, self._table, self._tree)
        chunk = settings.chunk_size
        run = max(1 << 20, chunk)
        shared = Shared(
            identity,
            chunk,
            run,
            settings.level,
            self._data,
            self._seen,
            self._reuse.earlier,
            self._finisher.part,
            Pace(settings.rate, clock),
            progress,
        )
        count = settings.workers or max(2, os.cpu_count() or 2)
        self._workers = [Worker(shared) for _ in range(count)]
        self._engine: Engine[Task] = Engine(self._workers, count + 2, "capture")
        self._slicer = Slicer(self._engine, self._table, run, max(8, _FILES // (2 * count + 2)), self._finisher.part)
        self._ended = False
        self._session.keep_alive(self._fail)

    # ------------------------------------------------------------ the contract

    @property
    def base(self) -> Reader | None:
        return self._reuse.base

    @property
    def lacking(self) -> Mapping[str, str]:
        """By address, which locations do not get (after ``commit``: did not get) the point, and why. A copy brings it there."""
        return self._locations.lacking

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
        work = FileWork(entry, size, self.settings.chunk_size, content, inspect, self._reuse.document(entry.path))
        work.parts_left = max(1, -(-size // (PART_CHUNKS * work.chunk_size)))
        self._tree.queue(work)
        bases = self._reuse.parts(work)
        for index in range(work.parts_left):
            self._slicer.add(work, index, size, next(bases, None), changed)

    def reuse(self, entry: Entry, *, again: bool = False) -> bool:
        self._engine.check()
        document = self._reuse.document(entry.path)
        if document is None or document["s"] != entry.size or document["k"] != "f" or not self._reuse.whole(document, again=again):
            return False
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
        self._finisher.incremental = True
        self._queue_done(work)
        return True

    def stream(self, entry: Entry, *, inspect: Inspect | None = None) -> StreamSink:
        self._engine.check()
        work = FileWork(entry, 0, self.settings.chunk_size, None, inspect, self._reuse.document(entry.path))
        slicer = self._slicer
        return StreamSink(work, slicer.run, self._reuse.parts(work), self._table, slicer.stream, slicer.queued, self._close_stream)

    def bulk(self, read: Read) -> Bulk:
        """Many small things at once; see ``systems.contract.Bulk``. One at a time."""
        return Bulk(
            read,
            run=self._slicer.run,
            table=self._table,
            put=self._put_batch,
            finished=self._tree.finished,
            reuse=self._reuse,
            kept=self._finisher.used_base,
        )

    def adopt(self, shard: Shard, entries: range | None = None) -> None:
        """Entries (all, or those of these numbers) that a session begun after this one stored and handed over. Its packs must lie in every
        location of this session: the commit looks. No prune takes them before, as long as this session lasts: its lists are older than
        they are, or wait for it.
        """
        self._engine.check()
        if shard is not self._adopting:
            self._adopting = shard
            for name, value in shard.counts.items():
                self._adopted[name] = self._adopted.get(name, 0) + value
            for pack, digest, size in shard.packs:
                self._table.weigh({self._table.number(pack, digest): size})
        for line in shard.entries if entries is None else shard.entries[entries.start : entries.stop]:
            document = json.loads(line)
            entry = Entry(document["p"], kind="file" if document["k"] == "f" else "dir", size=document["s"])
            self._queue_done(FileWork(entry, document["s"], self.settings.chunk_size, document=document))

    def hand_over(self) -> Shard:
        """Instead of a commit, of a session begun with ``shard``: what it stored, durable with its index. The session ends."""
        loose = self._tree.loose
        assert loose is not None, "not begun as a shard"
        try:
            self._store_all()
            packs = [(pack, digest or b"", size) for pack, digest, size in self._table.needed()]
            return Shard(loose, packs, self._counted())
        finally:
            self.abort()

    def flush(self) -> None:
        self._slicer.flush()
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
        finally:
            self._locations.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()

    # ------------------------------------------------------------ on the way

    def _close_stream(self, work: FileWork, part: FilePart | None) -> None:
        work.queued = True
        self._tree.queue(work)
        if part is not None:
            self._slicer.queued(part)
        self._finisher.file(work)

    def _put_batch(self, batch: Batch) -> None:
        self._engine.check()
        self._slicer.flush()
        batch.complete = not batch.handles
        self._tree.queue(batch)
        if batch.complete:
            self._tree.finished()
        else:
            self._engine.put(batch)

    def _queue_done(self, work: FileWork) -> None:
        work.complete = True
        if self._tree.crowded:
            self._slicer.flush()
        self._tree.queue(work)
        self._tree.finished()

    def _packed(self, pack: Finished) -> None:
        self._log.add(pack)

    def _fail(self, error: BaseException) -> None:
        self._engine.fail(error)
        self._tree.fail(error)

    # ------------------------------------------------------------ the end

    def _store_all(self) -> None:
        """Everything that was added is durable, and so is the index that tells of it."""
        self.flush()
        self._tree.close()
        self._data.drain()
        self._trees.drain()
        self._log.flush()

    def _counted(self) -> dict[str, int]:
        counts = [worker.counts for worker in self._workers]
        own = {
            "read": sum(c.read for c in counts),
            "new": sum(c.new for c in counts),
            "chunks": sum(c.chunks for c in counts),
            "new_chunks": sum(c.new_chunks for c in counts),
            "stored": self._data.stored + self._trees.stored,
        }
        return {name: value + self._adopted.get(name, 0) for name, value in own.items()}

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
        """The order of the steps is what makes a listed point whole: see ``capture.commit``."""
        self._store_all()
        commit = Commit(
            self._session,
            self._table,
            locations=self._locations,
            notary=self._notary,
            clock=self._clock,
            cache=self._cache,
            system=self.settings.system,
            age=self._clock.monotonic() - self._began,
        )
        packs = commit.prepare()
        thin = [one.to_json() for one in self._reuse.found_thin()]
        counted = self._counted()
        base = self._reuse.base
        made: list[RecoveryPoint] = []

        def make() -> bytes:
            """For the session's present id: it changes when the location that decided is lost."""
            self.session = self._session.id
            point = RecoveryPoint(
                id=self.session,
                system=self.settings.system,
                kind=kind or self.settings.kind,
                method=method or ("incremental" if base is not None and self._finisher.incremental else "full"),  # type: ignore[arg-type]
                base=base.point.id if base is not None else None,
                label=self.settings.label,
                note=self.settings.note,
                keep_until=self.settings.keep_until,
                started_at=self._session.started_at,
                committed_at=self._clock.now(),
                start=dict(start),
                stop=dict(stop),
                logs=logs,
                facts=facts,
                expected=expected,
                findings=findings,
                totals=Totals(
                    files=self._tree.files,
                    bytes=self._tree.bytes,
                    **counted,
                    avoided=self._reuse.avoided,
                ),
                version=__version__,
                host=self.settings.host,
                writer=self._notary.writer,
                packs=len(packs) // 48,
            )
            made.append(point)
            fields = {
                "session": self.session,
                "system": self._notary.tag("system", self.settings.system),
                "clock": to_time(self._locations.first.now()),
                "scope": self.settings.scope,
                "epoch": self._notary.bundle.epoch(self.settings.scope)[0],
            }
            sealed = stored.encode(point, self._tree.segments, thin)
            return self._notary.make(
                self._session.point_name, "point", point.committed_at, fields, plain=sealed, packs=packs, scope=self.settings.scope
            )

        commit.put(make)
        self._end(None)
        self._locations.end()
        if avoided := self._reuse.avoided:
            self._progress.note(
                f"{avoided} packs were not reused, since a check found them damaged in every location: what they hold was read and stored"
                " again. See: holdfast vault check --read all"
            )
        return made[-1]

    def _end(self, error: BaseException | None) -> None:
        self._ended = True
        self._session.end()
        if error is not None:
            self._engine.fail(error)
        self._engine.stop()
        self._data.stop(error)
        self._trees.stop(error)
        for worker in self._workers:
            worker.release()
        self._seen.close()
        self._spill.close()
