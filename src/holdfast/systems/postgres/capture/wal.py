"""The WAL of the backup itself, from the segment that holds its start until past its stop: without it no point is committed.

When a resident follower already ships the branch, the backup waits for it. Otherwise a temporary physical slot, made before the start,
keeps the WAL on the server, and a thread receives it and appends it to the branch in the vault while the data is read. Where following was
promised and the follower is away, the WAL from the branch's end on is shipped as well, so that the branch goes on without a gap.

A follower that comes meanwhile gets the branch at once, since production's commits may wait for it. The backup keeps its slot, waits for
the follower as if it had been there first, and takes the branch back where nobody holds it and more is needed.
"""

import contextlib
import secrets
import threading
from collections.abc import Callable, Mapping
from typing import Any

from holdfast.errors import HoldfastError, Refused
from holdfast.model import Clock, Progress
from holdfast.systems.contract import Buffer, LogStore, LogWriter
from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.capture.session import same_timeline
from holdfast.systems.postgres.faults import BackupWalMissing
from holdfast.systems.postgres.follow.meta import describe
from holdfast.systems.postgres.follow.promise import ISLAND
from holdfast.systems.postgres.link.replication import ReplicationClient, WalStream
from holdfast.systems.postgres.link.replication_errors import WalRemoved
from holdfast.systems.postgres.wal.records import RecordScanner, scanner
from holdfast.systems.postgres.wal.timeline import ancestry

BATCH = 8 << 20
"""Bytes of WAL appended at once when it comes fast."""
FLUSH_SECONDS = 1.0
"""How long received WAL waits for company before it is appended."""
MOST_BEHIND = 1 << 30
"""Bytes of WAL before its own that a backup ships for a follower that is away; more is left to the follower and its slot."""
ASK_SECONDS = 0.5
"""How often the vault is asked whether a follower wants the branch."""
HANDOVER_SECONDS = 15.0
"""How long a branch that was let go is left to the follower that asked for it."""
SEGMENT_PATIENCE = 5.0
"""Seconds to wait, past the stop, for the rest of the segment that the stop closed."""

FOLLOWED = "log-followed"
"""The code of the vault's refusal when another process holds the branch."""


class Describe:
    """What is recorded beside each increment: the same that a follower records, so that moments are found in this WAL too."""

    def __init__(self, branch: str, timeline: int, segment_size: int, history: bytes, *, island: bool = True) -> None:
        """``island``: nobody promised that the log goes on behind this WAL."""
        self._island = island
        self._about = (branch, timeline, segment_size)
        self._history = history
        self._scan: RecordScanner | None = None

    def meta(self, start: int, data: Buffer) -> Mapping[str, Any]:
        """Called with each piece in order of position; a piece that does not join the one before begins a new scan."""
        if self._scan is None or self._scan.position != start:
            self._scan = scanner(start, self._about[2])
        events = self._scan.feed(data)
        found = describe(*self._about, events, self._scan.summary(), covered=None)
        if self._scan.record_end:
            found["record_end"] = lsn.show(self._scan.record_end)
        if self._history:
            found["history"] = self._history.decode("utf-8", "replace")
        if self._island:
            found[ISLAND] = True
        return found


class BackupWal:
    """Ships the WAL of one backup.

    Order: ``prepare``, (backup start), ``begin``, (read the data), (backup stop), ``finish``; ``close`` at the end in any case.
    """

    def __init__(
        self,
        dsn: str,
        logs: LogStore,
        *,
        clock: Clock,
        progress: Progress,
        patience: float = 60.0,
        before_slot: Callable[[], None] | None = None,
        follower_slot: str | None = None,
        continuous: bool = False,
    ) -> None:
        """``patience``: seconds without any progress before the WAL counts as missing. ``before_slot``: asked before a slot is made.

        The branch is to go on without a gap when ``continuous`` says so, or when the server has the slot of a follower.
        """
        self._follower_slot, self._continuous = follower_slot, continuous
        self._dsn = dsn
        self._client = ReplicationClient(dsn, application_name="holdfast backup", clock=clock)
        self._logs = logs
        self._clock = clock
        self._progress = progress
        self._patience = patience
        self._before_slot = before_slot
        self._timeline = 0
        self._slot = f"holdfast_backup_{secrets.token_hex(6)}"
        self._writer: LogWriter | None = None
        self._thread: threading.Thread | None = None
        self._target: tuple[int, int] | None = None
        self._stopping = threading.Event()
        self._fault: BaseException | None = None
        self._durable = 0
        self._first = 0
        self._known: list[tuple[int, int]] = []
        self._let_go: float | None = None
        self._untold = False
        self.branch = ""
        self.history = b""
        self.segment_size = lsn.SEGMENT
        self.system_identifier = ""

    def prepare(self) -> None:
        """Take the branch, and make the slot: the server keeps from now on what the backup will need. A follower saves both."""
        server = self._client.identify()
        self.system_identifier, self._timeline = server.system_identifier, server.timeline
        self.segment_size = self._client.segment_size()
        self.history = self._client.timeline_history(server.timeline)
        self.branch = lsn.branch(self.system_identifier, server.timeline, self.history)
        try:
            self._writer = self._logs.writer(self.branch, "backup")
        except Refused as error:
            if error.code != FOLLOWED:
                raise
            self._progress.note(f"WAL comes from the follower: {error.message}")
            # Whoever holds the branch may let go of it before our stop (another backup does): then we go on, with what our slot kept.
            try:
                self._client.create_slot(self._slot, temporary=True)
            except HoldfastError:
                self._client.close()
                self._slot = ""
            return
        if not self._continuous and self._follower_slot:
            self._continuous = self._client.read_slot(self._follower_slot) is not None
        if self._before_slot is not None:
            self._before_slot()
        self._client.create_slot(self._slot, temporary=True)

    def begin(self, start: int, timeline: int) -> None:
        """The backup started at ``start``: ship its branch from that segment on, unless a follower does."""
        same_timeline(self._timeline, timeline, "The server")
        self._first = start - start % self.segment_size
        if self._writer is None:
            return
        self._known = _coverage(self._logs, self.branch, self._first)
        position = self._first
        while self._known and self._known[0][0] <= position:
            position = max(position, self._known.pop(0)[1])
        end = self._end_before() if self._continuous else None
        joins = end is not None and (end >= self._first or self._reaches(end, timeline))
        meta = Describe(self.branch, timeline, self.segment_size, self.history, island=not joins)
        if joins and end is not None and end < self._first:
            position, self._known = end, _coverage(self._logs, self.branch, end)
        self._durable = position
        stream = self._client.start(position, timeline, self._slot)
        # The slot keeps from now on also what lies before the backup's own WAL.
        stream.confirm(position)
        self._thread = threading.Thread(target=self._work, args=(stream, meta), name="holdfast-backup-wal", daemon=True)
        self._thread.start()

    def _reaches(self, end: int, timeline: int) -> bool:
        """Whether this backup ships the WAL from ``end`` up to its own as well."""
        gap = f"the WAL from {lsn.show(end)} to {lsn.show(self._first)}, which nobody followed"
        if self._first - end > MOST_BEHIND:
            self._progress.note(f"Left to the follower: {gap}, is {(self._first - end) >> 20} MiB.")
            return False
        try:
            # Asked over another connection: an error would take the temporary slot with it.
            with ReplicationClient(self._dsn, application_name="holdfast backup", clock=self._clock) as other:
                other.start(end, timeline).first_word(bytearray(), self._patience)
        except WalRemoved:
            self._progress.note(f"No longer on the server: {gap}.")
            return False
        self._progress.note(f"Shipped as well: {gap}.")
        return True

    def _end_before(self) -> int | None:
        """The end of the branch's log before the backup's own WAL. A new timeline's begins with the segment in which it left the old one,
        where that was followed.
        """
        ends = [end for start, end in self._logs.reader(self.branch).coverage() if start <= self._first]
        if ends or self._timeline == 1:
            return max(ends, default=None)
        stretches = ancestry(self.system_identifier, self._timeline, self.history)
        begin = stretches[-1].start
        followed = {one.branch for one in stretches} & set(self._logs.branches())
        return begin - begin % self.segment_size if followed else None

    def check(self) -> None:
        """Raise early what the shipping thread met, so that no hours are spent on a backup that cannot be committed."""
        if self._fault is not None:
            raise self._fault
        if self._untold:
            self._untold = False
            self._progress.note("The branch of the log went to the follower, which asked for it: WAL comes from there.")

    def finish(self, stop: int) -> str:
        """Wait until everything up to ``stop`` is durable in the vault; returns the branch. Raises BackupWalMissing."""
        segment_end = stop if stop % self.segment_size == 0 else stop - stop % self.segment_size + self.segment_size
        self._target = (stop, segment_end)
        while True:
            if self._thread is None:
                self._await_follower(stop)
                if self._thread is None:
                    return self.branch
            self._await_thread(self._thread, stop)
            if self._durable >= stop:
                return self.branch
            if self._writer is not None:
                raise self._missing(stop, "the stream ended")
            self._thread = None

    def _await_thread(self, thread: threading.Thread, stop: int) -> None:
        """Until it has shipped everything, or let go of the branch. Raises what it met."""
        seen, since = self._durable, self._clock.monotonic()
        while thread.is_alive():
            thread.join(0.05)
            if self._durable != seen:
                seen, since = self._durable, self._clock.monotonic()
            if self._clock.monotonic() - since > self._patience:
                self._stopping.set()
                raise self._missing(stop, f"nothing more came within {self._patience:g} s")
        self.check()

    def close(self) -> None:
        """End the stream; the temporary slot goes with its connection."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(30)
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._client.close()

    def _missing(self, stop: int, why: str) -> BackupWalMissing:
        return BackupWalMissing(
            f"The WAL from {lsn.show(self._first)} to {lsn.show(stop)} on branch {self.branch} "
            f"is in the vault only up to {lsn.show(self._durable)}: {why}.",
            hint="No point was committed. Take the backup again: what was stored is reused. `holdfast status` tells of a follower.",
            start=lsn.show(self._first),
            stop=lsn.show(stop),
            stored=lsn.show(self._durable),
        )

    def _await_follower(self, stop: int) -> None:
        """Until the log reaches ``stop``, or the branch is free: then ``begin`` has taken it over."""
        reached, since = -1, self._clock.monotonic()
        reader = self._logs.reader(self.branch)
        stored = tuple(reader.remembered())
        while True:
            end = self._first
            for begin, until in _coverage(self._logs, self.branch, self._first):
                if begin > end:
                    break
                end = max(end, until)
            self._durable = end
            if end >= stop:
                return
            if end != reached:
                reached, since = end, self._clock.monotonic()
            elif self._slot and self._may_take() and self._take():
                self.begin(self._first, self._timeline)
                return
            if self._clock.monotonic() - since > self._patience:
                # One that was away for long brings what lies before our WAL first.
                before, stored = stored, tuple(reader.remembered())
                if stored != before:
                    since = self._clock.monotonic()
                    continue
                raise self._missing(stop, f"the follower brought nothing more within {self._patience:g} s")
            self._clock.sleep(0.25)

    def _may_take(self) -> bool:
        return self._let_go is None or self._clock.monotonic() - self._let_go > HANDOVER_SECONDS

    def _take(self) -> bool:
        """Whether the branch is ours now."""
        try:
            self._writer = self._logs.writer(self.branch, "backup")
        except Refused as error:
            if error.code != FOLLOWED:
                raise
            return False
        self._progress.note("The branch of the log was let go: the backup ships its WAL itself.")
        return True

    def _work(self, stream: WalStream, meta: Describe) -> None:
        try:
            self._ship(stream, meta)
            with contextlib.suppress(HoldfastError):
                stream.stop()
        except BaseException as error:  # noqa: BLE001 - carried to the caller's thread by check() and finish()
            self._fault = error

    def _ship(self, stream: WalStream, meta: Describe) -> None:
        buffer = bytearray()
        flushed = told = asked = self._clock.monotonic()
        passed: float | None = None
        while not self._stopping.is_set():
            stream.receive(buffer, BATCH, 0.1)
            moment = self._clock.monotonic()
            done = stream.ended is not None
            if self._target is not None and stream.position >= self._target[0]:
                passed = moment if passed is None else passed
                done = done or stream.position >= self._target[1] or moment - passed > SEGMENT_PATIENCE
            wanted = False
            if moment - asked >= ASK_SECONDS and self._writer is not None:
                wanted, asked = self._writer.wanted, self._clock.monotonic()
            if buffer and (done or wanted or len(buffer) >= BATCH or moment - flushed >= FLUSH_SECONDS):
                self._append(stream.position - len(buffer), buffer, meta)
                buffer = bytearray()
                flushed = self._clock.monotonic()
            if stream.reply_requested or moment - told > 5:
                stream.confirm(self._durable)
                told = moment
            if wanted:
                self._hand_over()
            if done or wanted:
                return

    def _hand_over(self) -> None:
        """Everything received is durable, and no more is appended: the follower that asked may go on from here."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
        self._let_go, self._untold = self._clock.monotonic(), True

    def _append(self, start: int, data: bytearray, meta: Describe) -> None:
        """Store what is not stored yet: an earlier backup or a follower may have left pieces further on."""
        assert self._writer is not None
        view = memoryview(data)
        at, end = start, start + len(data)
        while at < end:
            while self._known and self._known[0][1] <= at:
                self._known.pop(0)
            until = min(end, self._known[0][0]) if self._known else end
            if until > at:
                piece = view[at - start : until - start]
                self._writer.append(at, piece, meta.meta(at, piece))
                at = until
            else:
                at = min(end, self._known[0][1])
            self._durable = at


def _coverage(logs: LogStore, branch: str, start: int) -> list[tuple[int, int]]:
    """Stretches of a branch that are stored, from ``start`` on, joined, in order."""
    return [one for one in logs.reader(branch).coverage(start) if one[1] > start]
