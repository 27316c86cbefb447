"""The storing half of a follower: pieces of WAL go into the vault in order, in a thread of its own, and again until they are there."""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.errors import HoldfastError, Unreachable
from holdfast.model import Clock
from holdfast.systems.contract import LogStore, LogWriter
from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.follow.meta import describe
from holdfast.systems.postgres.wal.records import RecordScanner, scanner

LEASE_LOST = "log-lease-lost"
"""The vault's error code of a lease that ran out (during an outage of the vault, say): taken again unless another follower has it."""

FOLLOWED = "log-followed"
"""The vault's error code for a branch whose lease another process holds."""

AHEAD = 2
"""Pieces behind the one being stored that the vault may compress and encrypt meanwhile."""

COMPARED = 4
"""Increments that a new connection compares with what the server has now."""


def held_by_backup(error: HoldfastError) -> bool:
    """The branch is taken for the length of a backup only."""
    return error.code == FOLLOWED and error.details.get("by") == "backup"


@dataclass(slots=True)
class Piece:
    """WAL of one branch. ``known``: the vault holds it already; it is compared, not stored again.

    ``arrived``: monotonic time of its first byte. ``covered``: the server time (microseconds) before which everything committed lies
    before ``end``. ``extra`` joins the meta. ``meta``: what is recorded beside it, once it was scanned.
    """

    branch: str
    timeline: int
    segment_size: int
    start: int
    data: bytes | bytearray
    arrived: float
    covered: int | None = None
    known: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] | None = None

    @property
    def end(self) -> int:
        return self.start + len(self.data)


class SegmentSums:
    """Hashes of the newest whole segments that passed, by which archived files are compared without reading the vault back.

    They are made from the first question on: most servers archive nothing.
    """

    def __init__(self, keep: int = 64) -> None:
        self._keep = keep
        self._done: dict[tuple[str, int], bytes] = {}
        self._open: tuple[str, int] | None = None
        self._hasher: Any = None
        self._asked = False

    def update(self, piece: Piece) -> None:
        """The next bytes that are durable. A segment counts when all of it came in order."""
        if not self._asked:
            return
        import blake3

        view, position = memoryview(piece.data), piece.start
        while view:
            offset = position % piece.segment_size
            part = view[: piece.segment_size - offset]
            if offset == 0:
                self._hasher = blake3.blake3()
            elif self._open != (piece.branch, position):
                self._hasher = None
            if self._hasher is not None:
                self._hasher.update(part)
                if offset + len(part) == piece.segment_size:
                    self._done[piece.branch, position - offset] = self._hasher.digest()
                    while len(self._done) > self._keep:
                        del self._done[next(iter(self._done))]
            view, position = view[len(part) :], position + len(part)
            self._open = (piece.branch, position)

    def get(self, branch: str, start: int) -> bytes | None:
        self._asked = True
        return self._done.get((branch, start))


class Storing:
    """``put`` hands over a piece; ``durable`` follows. ``changed`` is called from the thread whenever something is to be looked at."""

    def __init__(self, logs: LogStore, clock: Clock, retry: float, changed: Callable[[], None]) -> None:
        self._logs = logs
        self._clock = clock
        self._retry = retry
        self._changed = changed
        self._condition = threading.Condition()
        self._pieces: deque[Piece] = deque()
        self._held = 0
        self._stopping = False
        self._writer: LogWriter | None = None
        self._scanner: RecordScanner | None = None
        self._branch: str | None = None
        self._ends: dict[str, int] = {}
        self._sums = SegmentSums()
        self.branch: str | None = None
        self.covered: int | None = None
        self.error: BaseException | None = None
        self.trouble = ""
        self.increments = self.bytes = self.commits = 0
        self.lag: float | None = None
        self._thread = threading.Thread(target=self._run, name="wal-storing", daemon=True)
        self._thread.start()

    @property
    def lacking(self) -> Mapping[str, str]:
        """By address: why a location is gone on without."""
        writer = self._writer
        return writer.lacking if writer is not None else {}

    def open(self, branch: str) -> None:
        """Take the branch's lease now: whoever else follows it is refused before anything is received."""
        with self._condition:
            if self._pieces:
                raise AssertionError("a branch is opened before its pieces")
            self._select(branch)
            self.branch = branch

    def note(self, branch: str, end: int | None) -> None:
        """The vault was seen to hold ``branch`` up to ``end``, or up to where its next gap is filled from now on."""
        if end is None:
            self._ends.pop(branch, None)
        else:
            self._ends[branch] = end

    def stored(self, branch: str) -> int | None:
        """Up to where the vault is known to hold a branch; what lies behind a gap does not count before the gap is filled."""
        return self._ends.get(branch)

    def digest(self, branch: str, start: int) -> bytes | None:
        """BLAKE3 of the whole segment at ``start``, when all of it went through here."""
        with self._condition:
            return self._sums.get(branch, start)

    def wait(self, timeout: float) -> None:
        """Until something changed, at most ``timeout`` seconds."""
        with self._condition:
            if self.error is None and not self._stopping:
                self._condition.wait(timeout)

    def put(self, piece: Piece) -> None:
        with self._condition:
            self._pieces.append(piece)
            self._held += len(piece.data)
            self._condition.notify_all()

    @property
    def waiting(self) -> int:
        """Pieces handed over and not yet durable; the one being stored counts."""
        with self._condition:
            return len(self._pieces)

    @property
    def held(self) -> int:
        """Bytes of those pieces."""
        with self._condition:
            return self._held

    @property
    def oldest(self) -> float | None:
        """When the oldest byte that is not yet durable arrived (monotonic)."""
        with self._condition:
            return next((piece.arrived for piece in self._pieces if not piece.known), None)

    def settle(self, timeout: float) -> bool:
        """Wait until everything handed over is durable, or has failed."""
        end = self._clock.monotonic() + timeout
        with self._condition:
            while self._pieces and self.error is None:
                left = end - self._clock.monotonic()
                if left <= 0:
                    return False
                self._condition.wait(min(left, 0.5))
            return not self._pieces

    def close(self) -> None:
        """Stop; what is not yet stored is dropped (it was never acknowledged)."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        self._thread.join()
        self._release()

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._pieces and not self._stopping:
                    self._condition.wait()
                if self._stopping:
                    return
                piece = self._pieces[0]
            try:
                stored = self._store(piece)
            except BaseException as exc:  # noqa: BLE001  -- carried to the follower's thread, which raises it
                with self._condition:
                    self.error = exc
                    self._condition.notify_all()
                self._changed()
                return
            if not stored:
                return
            self._sums.update(piece)
            with self._condition:
                self._pieces.popleft()
                self._held -= len(piece.data)
                if not piece.known:
                    self.increments += 1
                    self.bytes += len(piece.data)
                    self.lag = self._clock.monotonic() - piece.arrived
                    self.branch, self._ends[piece.branch] = piece.branch, piece.end
                    self.covered = piece.covered or self.covered
                self._condition.notify_all()
            self._changed()

    def _store(self, piece: Piece) -> bool:
        meta = self._scan(piece)
        begun = False
        pause = 0.2
        while True:
            try:
                self._select(piece.branch)
                assert self._writer is not None
                if piece.known:
                    self._compare(self._writer, piece)
                else:
                    if not begun:
                        begun = True
                        self._begin_next(self._writer, piece)
                    self._writer.append(piece.start, piece.data, meta)
            except Unreachable as exc:
                self.trouble = f"{exc.message} {exc.hint}".strip()
            except HoldfastError as exc:
                if exc.code != LEASE_LOST and not held_by_backup(exc):
                    raise
                self.trouble = exc.message
                self._release()
            else:
                self.trouble = ""
                return True
            self._changed()
            with self._condition:
                if self._condition.wait_for(lambda: self._stopping, pause):
                    return False
            pause = min(pause * 2, self._retry)

    def _begin_next(self, writer: LogWriter, piece: Piece) -> None:
        with self._condition:
            coming = [self._pieces[at] for at in range(1, min(len(self._pieces), 1 + AHEAD))]
        for one in coming:
            if one.known or one.branch != piece.branch:
                break
            if one.meta is None:
                writer.ahead(one.start, one.data, self._scan(one))

    def _compare(self, writer: LogWriter, piece: Piece) -> None:
        """Offer the newest stored increments again, whole: equal bytes are nothing new, other bytes raise the vault's conflict."""
        whole = [i for i in self._logs.reader(piece.branch).increments(piece.start) if i.start >= piece.start and i.end <= piece.end]
        for found in whole[-COMPARED:]:
            writer.append(found.start, memoryview(piece.data)[found.start - piece.start : found.end - piece.start], {})

    def _select(self, branch: str) -> None:
        if self._writer is None or self._branch != branch:
            self._release()
            self._writer = self._logs.writer(branch)
            self._branch = branch

    def _release(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer, self._branch = None, None

    def _scan(self, piece: Piece) -> dict[str, Any]:
        if piece.meta is not None:
            return piece.meta
        scan = self._scanner
        if scan is None or scan.position != piece.start or self._scanned != piece.branch:
            scan = self._scanner = scanner(piece.start, piece.segment_size)
            self._scanned = piece.branch
        events, summary = scan.feed(piece.data), scan.summary()
        if not piece.known:
            self.commits += summary.commits
        meta = describe(piece.branch, piece.timeline, piece.segment_size, events, summary, covered=piece.covered)
        if scan.record_end:
            meta["record_end"] = lsn.show(scan.record_end)
        piece.meta = {**meta, **piece.extra}
        return piece.meta

    _scanned: str | None = None
