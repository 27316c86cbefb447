"""Writes the content of many files at full speed: jobs of some MiB in file order, taken by threads that fetch, open, check and write.

Small files may be handed over whole, many at a time, to whoever writes them: a file then costs no target with locks of its own.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import blake3

from holdfast.errors import Damaged, HoldfastError, Unreachable
from holdfast.model import Extracted, Progress
from holdfast.vault.capture.workers.engine import Engine
from holdfast.vault.errors import ObjectDamaged
from holdfast.vault.format.content import NO_PACK, ZERO_ID, Part
from holdfast.vault.restore.frames import Frames
from holdfast.vault.restore.small import SmallFile, Takes, Wanted, Whole
from holdfast.vault.restore.tree import Stored, StoredEntry, Tree, own

JOB = 4 << 20
_FILES = 64
_SMALL = 512
_DELTA_RUN = 1 << 20


class Target(Protocol):
    """A file being restored."""

    def write(self, offset: int, data: memoryview) -> None: ...

    def existing(self, offset: int, buffer: memoryview) -> int: ...

    def close(self) -> None: ...


Lost = Callable[[StoredEntry, Target | None, HoldfastError], None]
"""Hears of a file whose content cannot be had whole: (its entry, its target if it was opened, why). Called once for each, in a worker
thread, when nobody writes to the target any more; the target is never closed and belongs to who is called."""


@dataclass(slots=True, eq=False)
class _File:
    """Opened by the first worker that needs it, closed by the last. ``wrong``: why its content is not whole."""

    stored: StoredEntry
    path: str
    open: Callable[[], Target]
    wrong: HoldfastError | None = None
    target: Target | None = None
    left: int = 1
    changed: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    writing: threading.Lock = field(default_factory=threading.Lock)

    def opened(self) -> Target:
        with self.lock:
            if self.target is None:
                self.target = self.open()
            return self.target

    def write(self, offset: int, data: memoryview) -> None:
        """One at a time: file systems let no two threads write one file anyway, and burn a core while the second waits for the first."""
        target = self.opened()
        with self.writing:
            self.changed = True
            target.write(offset, data)

    def done(self, lost: Lost | None) -> int:
        """Called once for each piece and once more; the last closes. Returns 1 for a whole file that was written to, else 0."""
        with self.lock:
            self.left -= 1
            finished = not self.left
        if finished:
            if self.wrong is None:
                self.opened().close()
            else:
                assert lost is not None
                lost(self.stored, self.target, self.wrong)
            self.target = None
        return int(finished and self.changed and self.wrong is None)


@dataclass(slots=True)
class _Piece:
    """``count`` chunks of one part from ``first`` on, which lie in the file from ``offset`` on."""

    file: _File
    part: Part
    first: int
    count: int
    offset: int


@dataclass(slots=True)
class _Job:
    """``small``: files that are handed over whole."""

    pieces: list[_Piece] = field(default_factory=list)
    small: list[SmallFile] = field(default_factory=list)
    size: int = 0

    @property
    def full(self) -> bool:
        return self.size >= JOB or len(self.pieces) >= _FILES or len(self.small) >= _SMALL


Small = Callable[[Sequence[Whole]], None]


@dataclass(slots=True)
class _Worker:
    identity: bytes
    frames: Frames
    delta: bool
    progress: Progress
    small: Small | None = None
    lost: Lost | None = None
    written: int = 0
    kept: int = 0
    changed: int = 0
    buffer: bytearray = field(default_factory=bytearray)

    def __call__(self, job: _Job) -> None:
        wanted: dict[bytes, dict[tuple[int, int], list[Wanted]]] = {}
        for piece in job.pieces:
            self._plan(piece, wanted)
        for file in job.small:
            try:
                self._plan_small(file, wanted)
            except Damaged as error:
                self._lose(file, error)
        for pack, frames in wanted.items():
            try:
                by_offset = {offset: rows for (offset, _), rows in frames.items()}
                for offset, plain in self.frames.read(pack, sorted(frames)):
                    self._write(pack, offset, plain, by_offset[offset])
            except (Damaged, Unreachable) as error:
                self._one_by_one(pack, frames, error)
        for piece in job.pieces:
            self.changed += piece.file.done(self.lost)
        if job.small:
            assert self.small is not None
            whole = [file.whole() for file in job.small if file.wrong is None]
            self.small(whole)
            self.changed += len(whole)
            for file in job.small:
                if file.wrong is not None:
                    assert self.lost is not None
                    self.lost(file.stored, None, file.wrong)

    def _lose(self, file: Takes, error: HoldfastError) -> None:
        """Go on without what ``file`` lacks. Raises ``error`` where nobody would hear of that, or where the whole vault does not answer."""
        if self.lost is None or (isinstance(error, Unreachable) and not self.frames.answers()):
            raise error
        file.wrong = error

    def _plan_small(self, file: SmallFile, wanted: dict[bytes, dict[tuple[int, int], list[Wanted]]]) -> None:
        size = 0
        for pack, frame, whole, row in file.rows():
            size += row[3]
            if pack is None:
                self.written += row[3]
            else:
                wanted.setdefault(pack, {}).setdefault((frame, whole), []).append(row)
        self.progress.advance(size)

    def _plan(self, piece: _Piece, wanted: dict[bytes, dict[tuple[int, int], list[Wanted]]]) -> None:
        part, first, count = piece.part, piece.first, piece.count
        rows = part.places[first : first + count].tolist()
        ids = part.ids
        if self.delta:
            have = self._existing(piece, [row[4] for row in rows])
        else:
            piece.file.opened()
            have = None
        offset = piece.offset
        for i, (pack, frame, whole, at, size) in enumerate(rows):
            identity = bytes(ids[32 * (first + i) : 32 * (first + i) + 32])
            if have is not None and have[i]:
                self.kept += size
            elif pack == NO_PACK:
                if have is not None or getattr(piece.file.opened(), "zeros", False):
                    piece.file.write(offset, memoryview(bytes(size)))
                self.written += size
            else:
                wanted.setdefault(part.packs[pack], {}).setdefault((frame, whole), []).append((piece.file, offset, at, size, identity))
            offset += size
        self.progress.advance(offset - piece.offset)

    def _existing(self, piece: _Piece, sizes: list[int]) -> list[bool]:
        """Which chunks the target already holds."""
        target = piece.file.opened()
        total = sum(sizes)
        if len(self.buffer) < total:
            self.buffer = bytearray(max(total, JOB))
        view = memoryview(self.buffer)
        got = 0
        while got < total:
            more = target.existing(piece.offset + got, view[got:total])
            if not more:
                break
            got += more
        have = []
        at = 0
        for i, size in enumerate(sizes):
            identity = piece.part.ids[32 * (piece.first + i) : 32 * (piece.first + i) + 32]
            end = at + size
            if identity == ZERO_ID:
                # Behind the end of what exists the target's close extends with zeros.
                inside = min(end, max(at, got))
                have.append(not any(view[at:inside]) if inside - at < 64 else self.buffer.count(0, at, inside) == inside - at)
            else:
                have.append(end <= got and blake3.blake3(view[at:end], key=self.identity).digest() == identity)
            at = end
        return have

    def _write(self, pack: bytes, frame: int, plain: bytes, rows: list[Wanted]) -> None:
        view = memoryview(plain)
        used = 0
        pending: tuple[Takes, int, int, int] | None = None
        checked: dict[int, bytes] = {}
        for file, offset, at, size, identity in rows:
            if checked.get(at) != identity:
                if at + size > len(plain) or not self.frames.right(view[at : at + size], identity):
                    raise self.frames.wrong(pack)
                checked[at] = identity
                used += size
            if pending is not None and pending[0] is file and pending[1] + pending[3] == offset and pending[2] + pending[3] == at:
                pending = (file, pending[1], pending[2], pending[3] + size)
                continue
            if pending is not None:
                self._put(view, pending)
            pending = (file, offset, at, size)
        if pending is not None:
            self._put(view, pending)
        if used < len(plain):
            self.frames.keep(pack, frame, plain)

    def _put(self, view: memoryview, what: tuple[Takes, int, int, int]) -> None:
        file, offset, at, size = what
        file.write(offset, view[at : at + size])
        self.written += size

    def _one_by_one(self, pack: bytes, frames: dict[tuple[int, int], list[Wanted]], first_error: HoldfastError) -> None:
        """A pack is damaged or gone: take each frame by itself, and each chunk of a lost one from wherever the index knows it."""
        if isinstance(first_error, Unreachable) and (self.lost is None or not self.frames.answers()):
            raise first_error
        for (offset, whole), rows in frames.items():
            try:
                for _, plain in self.frames.read(pack, [(offset, whole)]):
                    self._write(pack, offset, plain, rows)
            except (Damaged, Unreachable) as error:
                for file, position, _, size, identity in rows:
                    try:
                        chunk = self.frames.elsewhere(identity, size, error)
                    except (Damaged, Unreachable) as gone:
                        try:
                            self._lose(file, gone)
                        except Damaged as lost:
                            raise _named(lost, file.path) from first_error
                        continue
                    file.write(position, memoryview(chunk))
                    self.written += size


def _named(error: Damaged, path: str) -> Damaged:
    named = type(error)(f"{path!r} cannot be restored: {error.message}", hint=error.hint, **{**error.details, "path": path})
    return named if isinstance(named, Damaged) else ObjectDamaged(error.message)


def run(
    wanted: Iterable[tuple[StoredEntry, Callable[[], Target] | None]],
    tree: Tree,
    identity: bytes,
    frames: Frames,
    *,
    delta: bool,
    progress: Progress,
    workers: int,
    small: Small | None = None,
    lost: Lost | None = None,
) -> Extracted:
    """Extract; returns when every target was closed. The first error of any worker is raised, and targets not finished stay open.

    A file without a way to open it goes whole to ``small``. With ``lost`` damage ends nothing: it hears of each file that is not whole.
    """
    counted = _Counted(lost) if lost is not None else None
    crew = [_Worker(identity, frames, delta, progress, small, counted) for _ in range(workers)]
    engine: Engine[_Job] = Engine(crew, workers + 2, "restore")
    files = changed = 0
    try:
        job = _Job()
        for stored, opener in wanted:
            files += 1
            if opener is None:
                one = SmallFile(own(stored), tree)
                job.small.append(one)
                job.size += one.size
            else:
                file = _File(stored, stored.entry.path, opener)
                try:
                    for part, first, count, offset, length in _pieces(own(stored), tree):
                        with file.lock:
                            file.left += 1
                        job.pieces.append(_Piece(file, part, first, count, offset))
                        job.size += length
                        if job.full:
                            engine.put(job)
                            job = _Job()
                except Damaged as error:
                    if counted is None:
                        raise
                    file.wrong = error
                changed += file.done(counted)
            if job.full:
                engine.put(job)
                job = _Job()
        if job.size or job.small:
            engine.put(job)
        engine.join()
    finally:
        engine.stop()
    files -= counted.count if counted is not None else 0
    changed += sum(worker.changed for worker in crew)
    return Extracted(files, sum(w.written for w in crew), sum(w.kept for w in crew), frames.fetched, changed)


class _Counted:
    """Passes on what was lost, one at a time."""

    def __init__(self, inner: Lost) -> None:
        self._inner = inner
        self._lock = threading.Lock()
        self.count = 0

    def __call__(self, stored: StoredEntry, target: Target | None, error: HoldfastError) -> None:
        with self._lock:
            self.count += 1
            self._inner(stored, target, error)


def _pieces(stored: Stored, tree: Tree) -> Iterator[tuple[Part, int, int, int, int]]:
    """(part, first chunk, chunks, offset in the file, bytes) of at most a job's size each. The lists must cover the file exactly."""
    offset = 0
    for part in tree.parts(stored.document):
        per = max(1, JOB // part.chunk_size)
        for first in range(0, part.count, per):
            count = min(per, part.count - first)
            length = int(part.places["size"][first : first + count].sum(dtype="u8"))
            yield part, first, count, offset, length
            offset += length
    if stored.entry.kind == "file" and offset != stored.entry.size:
        raise ObjectDamaged(
            f"The content lists of {stored.entry.path!r} cover {offset} of its {stored.entry.size} bytes.",
            hint="Run 'holdfast vault check --read all'.",
        )
