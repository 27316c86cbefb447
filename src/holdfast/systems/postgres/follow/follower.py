"""The resident process of one PostgreSQL system: receives WAL while the previous piece is being stored, acknowledges what is durable."""

import datetime as dt
import os
import select
import threading
from collections.abc import Callable
from typing import Any

from holdfast.errors import Unreachable
from holdfast.model import Clock, SystemClock
from holdfast.systems.contract import LogStore
from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.follow.errors import ServerBehind, WalGap
from holdfast.systems.postgres.follow.route import Leg, legs
from holdfast.systems.postgres.follow.settings import FollowSettings, slot_name
from holdfast.systems.postgres.follow.status import FollowStatus, State
from holdfast.systems.postgres.follow.storing import Piece, Storing
from holdfast.systems.postgres.replication import ReplicationClient, WalStream
from holdfast.systems.postgres.replication_errors import SlotMissing, TimelineUnknown, WalAhead, WalRemoved


class Follower:
    """Follows one system for ever. ``conninfo`` is asked for anew at each connection: it finds the member to follow.

    ``on_status`` is called from the follower's thread about once a second and at each change of state; it must be quick.
    """

    def __init__(
        self,
        name: str,
        conninfo: Callable[[], str],
        logs: LogStore,
        settings: FollowSettings | None = None,
        *,
        clock: Clock | None = None,
        on_status: Callable[[FollowStatus], None] | None = None,
    ) -> None:
        self.name = name
        self.settings = settings or FollowSettings()
        self.slot = self.settings.slot or slot_name(name)
        self._conninfo = conninfo
        self._logs = logs
        self._clock = clock or SystemClock()
        self._on_status = on_status
        self._stop = threading.Event()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._storing: Storing | None = None
        self._stream: WalStream | None = None
        self._leg: Leg | None = None
        self._buffer = bytearray()
        self._arrived: float | None = None
        self._covered: int | None = None
        self._safe_at = self._clock.monotonic()
        self._backlog = 0
        self._warning = ""
        self._trouble = ""
        self._state: State = "connecting"
        self._told = 0.0
        self._gap: dict[str, Any] = {}

    # ------------------------------------------------------------ life

    def run(self) -> None:
        """Follow until ``stop``. Returns after everything received is durable and acknowledged.

        Raises WalGap, OtherSystem, ServerBehind, the vault's LogConflict and LogFollowed, and Usage for a server that is not set up: what
        nobody but a person or the plan can decide. An unreachable server or vault is waited for.
        """
        self._storing = Storing(self.name, self._logs, self._clock, self.settings.retry, self._wake)
        pause = 0.2
        try:
            while not self._stop.is_set():
                began = self._clock.monotonic()
                try:
                    self._session()
                except _SlotGivenUp:
                    self._give_up_slot()
                except Unreachable as exc:
                    self._trouble = f"{exc.message} {exc.hint}".strip()
                    self._say("server-away")
                    if self._clock.monotonic() - began > self.settings.retry:
                        pause = 0.2
                    self._stop.wait(pause)
                    pause = min(pause * 2, self.settings.retry)
        finally:
            self._storing.close()
            self._say("stopped")

    def stop(self) -> None:
        """Ask ``run`` to end; safe from any thread and from a signal handler."""
        self._stop.set()
        self._wake()

    def close(self) -> None:
        """Release what the object holds; after ``run`` has returned."""
        os.close(self._wake_read)
        os.close(self._wake_write)

    @property
    def durable(self) -> tuple[str, int] | None:
        """(branch, position) up to which the vault holds the log."""
        storing = self._storing
        if storing is None or storing.branch is None or storing.durable is None:
            return None
        return storing.branch, storing.durable

    def _wake(self) -> None:
        try:
            os.write(self._wake_write, b"w")
        except (BlockingIOError, OSError):
            # Full: it is awake already. Closed: nobody listens any more.
            return

    # ------------------------------------------------------------ one connection

    def _session(self) -> None:
        storing = self._storing
        assert storing is not None
        self._say("connecting")
        # What was received but not stored stays in the storing queue; what lies in the buffer is received again.
        self._buffer.clear()
        self._arrived = None
        if not self._settle(storing):
            return
        with ReplicationClient(self._conninfo(), timeout=self.settings.timeout, clock=self._clock) as client:
            server = client.identify()
            segment_size = client.segment_size()
            history = client.timeline_history(server.timeline)
            fresh = self._reserve(client, server.position)
            # The current branch's end is asked of its writer, which levels the locations first.
            ends = {branch: self._end(branch) for branch in self._logs.branches()}
            for leg in legs(self.name, server, history, ends, segment_size, fresh):
                self._follow(client, leg, segment_size, fresh)
                if self._stop.is_set():
                    return

    def _give_up_slot(self) -> None:
        """Free the server's disk; go on when the vault is back, with a gap if the server recycled WAL meanwhile."""
        with ReplicationClient(self._conninfo(), timeout=self.settings.timeout, clock=self._clock) as client:
            client.drop_slot(self.slot)
        self._warning = f"The slot {self.slot} was dropped: it kept {self._backlog >> 20} MiB of WAL on the server, over the plan's limit."
        self._say("vault-away")

    def _settle(self, storing: Storing) -> bool:
        while not storing.settle(1.0):
            if storing.error is not None:
                raise storing.error
            if self._stop.is_set():
                return False
            self._say("vault-away")
        return True

    def _end(self, branch: str) -> int | None:
        ranges = self._logs.reader(branch).coverage()
        return ranges[-1][1] if ranges else None

    def _reserve(self, client: ReplicationClient, position: int) -> int:
        """Make sure of the slot; the position from which it keeps WAL."""
        for _ in range(2):
            client.create_slot(self.slot)
            state = client.read_slot(self.slot)
            if state is not None:
                return position if state.restart is None else state.restart
        raise SlotMissing(f"The slot {self.slot} cannot be made.", hint="Is there a logical slot of that name?")

    def _begin(self, client: ReplicationClient, leg: Leg, segment_size: int, fresh: int) -> WalStream:
        """Start a little early where WAL allows: the vault's last increments are compared, and the scan sees whole records."""
        starts = [leg.start]
        if leg.stored is not None:
            early = self._last(leg.branch)
            starts.insert(0, early - early % segment_size)
        for number, start in enumerate(starts):
            try:
                stream = client.start(start, leg.timeline, self.slot)
                self._first(stream)
            except WalRemoved as exc:
                if number + 1 < len(starts):
                    continue
                return self._behind_gap(client, leg, segment_size, fresh, exc)
            except (WalAhead, TimelineUnknown) as exc:
                raise ServerBehind(exc.message, hint=exc.hint, timeline=leg.timeline) from exc
            else:
                return stream
        raise AssertionError("no start")

    def _behind_gap(self, client: ReplicationClient, leg: Leg, segment_size: int, fresh: int, cause: WalRemoved) -> WalStream:
        start = fresh - fresh % segment_size
        known = start > leg.start and (leg.until is None or start < leg.until)
        if not known or not self.settings.after_gap:
            raise WalGap(leg.branch, leg.start, start if known else leg.until, cause.message) from cause
        self._gap = {"gap_before": [lsn.show(leg.start), lsn.show(start)]}
        self._warning = f"WAL from {lsn.show(leg.start)} to {lsn.show(start)} is missing in {leg.branch}."
        stream = client.start(start, leg.timeline, self.slot)
        self._first(stream)
        return stream

    def _first(self, stream: WalStream) -> None:
        """Wait for the server's first word: that it lacks the WAL it says only after the copy began."""
        stream.confirm(0, reply=True)
        end = self._clock.monotonic() + self.settings.timeout
        while not stream.server_time and stream.ended is None and self._clock.monotonic() < end and not self._stop.is_set():
            if stream.receive(self._buffer, 1, 0.5, self._wake_read):
                self._arrived = self._clock.monotonic()
                return
            self._drain_wake()

    def _last(self, branch: str) -> int:
        """Start of the vault's last increment of a branch."""
        reader = self._logs.reader(branch)
        return max(found.start for found in reader.increments(max(0, reader.coverage()[-1][1] - 1)))

    # ------------------------------------------------------------ one leg

    def _follow(self, client: ReplicationClient, leg: Leg, segment_size: int, fresh: int) -> None:
        storing, settings = self._storing, self.settings
        assert storing is not None
        if not self._settle(storing):
            return
        end = storing.open(leg.branch)
        self._leg, self._buffer, self._arrived, self._covered, self._gap = leg, bytearray(), None, None, {}
        stream = self._stream = self._begin(client, leg, segment_size, fresh)
        known = stream.start if end is None else end
        first = {"history": leg.history.decode("utf-8", "surrogateescape")} if leg.timeline > 1 and leg.stored is None else {}
        position = stream.start
        sent, asked, heard = -1, 0.0, self._clock.monotonic()
        self._trouble = ""
        self._say("streaming")
        while True:
            if storing.error is not None:
                raise storing.error
            now = self._clock.monotonic()
            while (size := self._due(position, known, now, storing, stream)) > 0:
                piece = Piece(
                    leg.branch,
                    leg.timeline,
                    segment_size,
                    position,
                    bytes(memoryview(self._buffer)[:size]),
                    self._arrived or now,
                    self._proved(stream, client) if size == len(self._buffer) else None,
                    position < known,
                    {} if position < known else {**first, **self._gap},
                )
                if not piece.known:
                    first, self._gap = {}, {}
                del self._buffer[:size]
                position += size
                self._arrived = now if self._buffer else None
                storing.put(piece)
            durable = self._flushed(storing, leg, known)
            if durable != sent or stream.reply_requested or now - asked >= settings.heartbeat:
                ask = now - asked >= settings.heartbeat
                stream.confirm(durable, reply=ask)
                sent, asked = durable, now if ask else asked
            self._judge(storing, stream, client, now, heard, durable)
            if self._stop.is_set() or stream.ended is not None:
                break
            full = storing.held + len(self._buffer) >= settings.buffer
            if full:
                # The slot keeps what is not read; status updates go on, so that the server does not take this side for dead.
                heard = now
                self._wait(min(1.0, settings.heartbeat))
                continue
            room = settings.largest - len(self._buffer)
            before = stream.server_time
            if stream.receive(self._buffer, max(room, 1), self._patience(now, storing, asked), self._wake_read) and self._arrived is None:
                self._arrived = self._clock.monotonic()
            if stream.server_time != before:
                heard = self._clock.monotonic()
            self._drain_wake()
        self._finish(stream, leg, segment_size, position, known, storing, first)

    def _finish(
        self, stream: WalStream, leg: Leg, segment_size: int, position: int, known: int, storing: Storing, first: dict[str, Any]
    ) -> None:
        """Everything received becomes durable and acknowledged before the stream is left."""
        while self._buffer:
            size = self._cut(position, known, len(self._buffer))
            data = bytes(memoryview(self._buffer)[:size])
            extra = {} if position < known else {**first, **self._gap}
            now = self._clock.monotonic()
            storing.put(Piece(leg.branch, leg.timeline, segment_size, position, data, self._arrived or now, None, position < known, extra))
            del self._buffer[:size]
            position += size
            if extra:
                first, self._gap = {}, {}
        patience = self._clock.monotonic() + self.settings.timeout
        while not storing.settle(0.5) and storing.error is None:
            if self._stop.is_set() and self._clock.monotonic() > patience:
                # The vault is away: what is not stored was not acknowledged, and the slot keeps it.
                return
            self._say("vault-away" if storing.trouble else "streaming")
        if storing.error is not None:
            raise storing.error
        if stream.ended is None:
            stream.confirm(self._flushed(storing, leg, known))
            stream.stop()

    # ------------------------------------------------------------ decisions

    def _cut(self, position: int, known: int, size: int) -> int:
        """Where a piece ends at the latest: a multiple of the largest size, and the end of what the vault holds already."""
        largest = self.settings.largest
        edge = position - position % largest + largest
        if position < known:
            edge = min(edge, known)
        return min(size, edge - position)

    def _due(self, position: int, known: int, now: float, storing: Storing, stream: WalStream) -> int:
        """Bytes to cut off now; 0 to go on collecting."""
        have = len(self._buffer)
        if not have:
            return 0
        size = self._cut(position, known, have)
        if size < have or stream.ended is not None or (position + size) % self.settings.largest == 0 or position + size == known:
            return size
        # While an earlier piece waits, a later one only grows: fewer objects, and the order is kept.
        waiting = storing.waiting
        if self.settings.interval <= 0:
            return size if waiting == 0 else 0
        return size if waiting <= 1 and self._arrived is not None and now - self._arrived >= self.settings.interval else 0

    def _patience(self, now: float, storing: Storing, asked: float) -> float:
        until = asked + self.settings.heartbeat
        if self._buffer and self._arrived is not None and storing.waiting <= 1:
            until = min(until, self._arrived + self.settings.interval)
        return min(max(until - now, 0.0), 1.0)

    def _flushed(self, storing: Storing, leg: Leg, known: int) -> int:
        """What may be reported: durable on this leg's branch. 0 says nothing."""
        if storing.branch != leg.branch or storing.durable is None:
            return 0
        return max(storing.durable, known if leg.stored is not None else 0)

    def _proved(self, stream: WalStream, client: ReplicationClient) -> int | None:
        """The server time up to which everything committed was received. A standby cannot vouch for its primary."""
        found = stream.covered(stream.position)
        if found is not None and not client.in_recovery:
            self._covered = found
        return self._covered

    def _judge(self, storing: Storing, stream: WalStream, client: ReplicationClient, now: float, heard: float, durable: int) -> None:
        settings = self.settings
        if now - heard > settings.timeout:
            raise Unreachable(f"The server has been silent for {now - heard:.0f} s.")
        oldest = storing.oldest or self._arrived
        if oldest is None and stream.position >= stream.server_end:
            self._safe_at = max(self._safe_at, heard)
            if self._proved(stream, client):
                storing.covered = self._covered
        elif oldest is not None:
            self._safe_at = max(self._safe_at, oldest)
        if storing.trouble:
            self._watch_backlog(now, durable)
        else:
            self._backlog = max(0, stream.server_end - durable)
            self._limits(client)
        if now - self._told >= min(1.0, settings.heartbeat):
            self._say("vault-away" if storing.trouble else "streaming")

    def _watch_backlog(self, now: float, durable: int) -> None:
        """While nothing is read the server's own end is asked for, over a connection of its own."""
        if now - self._asked_end < 5.0:
            return
        self._asked_end = now
        with ReplicationClient(self._conninfo(), timeout=self.settings.timeout, clock=self._clock) as other:
            self._backlog = max(0, other.identify().position - durable)
            self._limits(other)

    def _limits(self, _client: ReplicationClient) -> None:
        limits = self.settings.backlog
        if self._backlog > limits.limit and limits.then == "drop-slot":
            raise _SlotGivenUp
        if self._backlog > limits.warn:
            self._warning = (
                f"The slot {self.slot} keeps {self._backlog >> 20} MiB of WAL on the server "
                f"(limit {limits.limit >> 20} MiB, then {limits.then})."
            )
        elif self._warning.startswith("The slot"):
            self._warning = ""

    _asked_end = 0.0

    def _wait(self, seconds: float) -> None:
        select.select([self._wake_read], [], [], seconds)
        self._drain_wake()

    def _drain_wake(self) -> None:
        try:
            os.read(self._wake_read, 4096)
        except BlockingIOError:
            return

    # ------------------------------------------------------------ telling

    def status(self, state: State | None = None) -> FollowStatus:
        """How it stands. ``state``: as it is called from within."""
        storing, stream, leg = self._storing, self._stream, self._leg
        durable = storing.durable if storing else None
        covered = storing.covered if storing else None
        trouble = (storing.trouble if storing else "") or self._trouble
        return FollowStatus(
            state=state or self._state,
            branch=storing.branch if storing else None,
            timeline=leg.timeline if leg else None,
            durable=durable,
            received=stream.position if stream else None,
            server_end=stream.server_end if stream else None,
            covered=dt.datetime.fromtimestamp(covered / 1_000_000, dt.UTC) if covered else None,
            exposure=max(0.0, self._clock.monotonic() - self._safe_at),
            behind=max(0, stream.server_end - durable) if stream and durable else 0,
            backlog=self._backlog,
            increments=storing.increments if storing else 0,
            bytes=storing.bytes if storing else 0,
            commits=storing.commits if storing else 0,
            lag=storing.lag if storing else None,
            trouble=trouble,
            warning=self._warning,
        )

    def _say(self, state: State) -> None:
        self._state = state
        self._told = self._clock.monotonic()
        if self._on_status is not None:
            self._on_status(self.status(state))


class _SlotGivenUp(Exception):
    """The backlog passed its limit and the plan says to free the server."""
