"""The resident process of one PostgreSQL system: connects, finds where to go on, and follows leg after leg."""

import datetime as dt
import threading
from collections import deque
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, NoReturn

from holdfast.errors import Refused, Unreachable
from holdfast.model import Clock, SystemClock
from holdfast.systems.contract import LogStore
from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.follow.errors import ServerBehind, WalGap
from holdfast.systems.postgres.follow.promise import promised
from holdfast.systems.postgres.follow.route import Leg, Ranges, held_on, legs, stretches_of
from holdfast.systems.postgres.follow.settings import FollowSettings, slot_name
from holdfast.systems.postgres.follow.status import FollowStatus, State
from holdfast.systems.postgres.follow.storing import FOLLOWED, Storing, held_by_backup
from holdfast.systems.postgres.follow.streaming import LegStream, Wake
from holdfast.systems.postgres.link.replication import ReplicationClient, WalStream
from holdfast.systems.postgres.link.replication_errors import SlotMissing, TimelineUnknown, WalAhead, WalRemoved
from holdfast.systems.postgres.wal.timeline import Stretch, holder

TRY_SECONDS = 0.5
"""Between two tries to get a branch that somebody else holds: synchronous commits may wait for it."""


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
        self.stretches: tuple[Stretch, ...] = ()
        self.segment_size = lsn.SEGMENT
        self._conninfo = conninfo
        self._logs = logs
        self._clock = clock or SystemClock()
        self._on_status = on_status
        self._stop = threading.Event()
        self._wake = Wake()
        self._storing: Storing | None = None
        self._at: LegStream | None = None
        self._safe_at = self._clock.monotonic()
        self._backlog = 0
        self._backlog_asked = 0.0
        self._baseline: int | None = None
        self._lost_from: int | None = None
        self._remade = False
        self._warning = self._trouble = ""
        self._state: State = "connecting"

    # ------------------------------------------------------------ life

    def run(self) -> None:
        """Follow until ``stop``. Returns after everything received is durable and acknowledged.

        Raises WalGap, OtherSystem, ServerBehind, the vault's LogConflict and LogFollowed, and Usage for a server that is not set up: what
        nobody but a person or the plan can decide. An unreachable server or vault is waited for.
        """
        storing = self._storing = Storing(self._logs, self._clock, self.settings.retry, self._wake.set)
        pause = 0.2
        try:
            while not self._stop.is_set():
                began = self._clock.monotonic()
                try:
                    try:
                        self._session(storing)
                    except _SlotGivenUp:
                        self._give_up_slot()
                    except _LookAgain:
                        pass
                    continue
                except Unreachable as exc:
                    self._trouble = f"{exc.message} {exc.hint}".strip()
                if self._clock.monotonic() - began > self.settings.retry:
                    pause = 0.2
                self.say("server-away")
                self._stop.wait(pause)
                pause = min(pause * 2, self.settings.retry)
        finally:
            storing.close()
            self.say("stopped")

    def stop(self) -> None:
        """Ask ``run`` to end; safe from any thread and from a signal handler."""
        self._stop.set()
        self._wake.set()

    def close(self) -> None:
        """Release what the object holds; after ``run`` has returned."""
        self._wake.close()

    # ------------------------------------------------------------ what others may ask

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    @property
    def durable(self) -> tuple[str, int] | None:
        """(branch, position) up to which the vault holds the log of the history that is followed."""
        storing = self._storing
        if storing is None or storing.branch is None:
            return None
        end = storing.stored(storing.branch)
        return None if end is None else (storing.branch, end)

    def stored(self, branch: str) -> int | None:
        """The end of what the vault is known to hold of a branch."""
        return self._storing.stored(branch) if self._storing is not None else None

    def digest(self, branch: str, start: int) -> bytes | None:
        """BLAKE3 of the segment at ``start``, when all of it passed through this process and is durable."""
        return self._storing.digest(branch, start) if self._storing is not None else None

    def wait_stored(self, timeout: float) -> None:
        """Return when something more became durable, or after ``timeout`` seconds."""
        if self._storing is not None:
            self._storing.wait(timeout)
        else:
            self._stop.wait(timeout)

    def status(self, state: State | None = None) -> FollowStatus:
        """How it stands. ``state``: as it is told from within."""
        storing, at = self._storing, self._at
        lacking = storing.lacking if storing else {}
        durable = self.durable
        covered = storing.covered if storing else None
        stream = at.stream if at else None
        return FollowStatus(
            state=state or self._state,
            branch=durable[0] if durable else None,
            timeline=at.leg.timeline if at else None,
            durable=durable[1] if durable else None,
            received=stream.position if stream else None,
            server_end=stream.server_end if stream else None,
            covered=dt.datetime.fromtimestamp(covered / 1_000_000, dt.UTC) if covered else None,
            exposure=max(0.0, self._clock.monotonic() - (at.safe_at if at else self._safe_at)),
            behind=max(0, stream.server_end - durable[1]) if stream and durable else 0,
            backlog=self._backlog,
            increments=storing.increments if storing else 0,
            bytes=storing.bytes if storing else 0,
            commits=storing.commits if storing else 0,
            lag=storing.lag if storing else None,
            trouble=(storing.trouble if storing else "") or self._trouble,
            warning=" ".join(one for one in (self._warning, _told(lacking)) if one),
            lacking=tuple(lacking),
        )

    def say(self, state: State) -> None:
        """Tell ``on_status`` where things stand."""
        self._state = state
        if self._on_status is not None:
            self._on_status(self.status(state))

    # ------------------------------------------------------------ one connection

    def _session(self, storing: Storing) -> None:
        self.say("connecting")
        # What was received and handed over is stored first; what was not is received again.
        while not storing.settle(1.0):
            if storing.error is not None:
                raise storing.error
            if self.stopping:
                return
            self.say("vault-away")
        # The slot's name is the one that synchronous_standby_names takes: different followers of one server are told apart.
        client = ReplicationClient(self._conninfo(), timeout=self.settings.timeout, application_name=self.slot, clock=self._clock)
        with client:
            server = client.identify()
            self.segment_size = client.segment_size()
            history = client.timeline_history(server.timeline)
            fresh = self._reserve(client)
            held = {branch: tuple(self._logs.reader(branch).remembered()) for branch in self._logs.branches()}
            self.stretches = stretches_of(self.name, server, history, held)
            since = self._since(client, held)
            found = legs(self.stretches, held, segment_size=self.segment_size, fresh=fresh, since=since)
            for branch, ranges in held.items():
                storing.note(branch, ranges[-1][1] if ranges else None)
            for leg in reversed(found):
                storing.note(leg.branch, leg.stored)
            self._lost_from, taken = None, ""
            for leg in found:
                if not self._take(client, leg.branch, storing):
                    return
                # Until the lease was ours a backup may have shipped its own WAL.
                if leg.branch != taken and tuple(self._logs.reader(leg.branch).remembered()) != held.get(leg.branch, ()):
                    raise _LookAgain
                taken = leg.branch
                self._follow(client, leg, fresh, storing, held)
                if self.stopping:
                    return

    def _follow(self, client: ReplicationClient, leg: Leg, fresh: int, storing: Storing, held: Mapping[str, Ranges]) -> None:
        storing.note(leg.branch, leg.stored)
        first = {"history": leg.history.decode("utf-8", "surrogateescape")} if leg.timeline > 1 and leg.stored is None else {}
        buffer = bytearray()
        begun = self._begin(client, leg, fresh, buffer, held)
        if begun is None:
            return
        stream, gap = begun
        at = LegStream(
            leg=leg,
            stream=stream,
            storing=storing,
            settings=self.settings,
            clock=self._clock,
            wake=self._wake,
            segment_size=self.segment_size,
            known=stream.start if leg.stored is None else leg.stored,
            vouches=not client.in_recovery and not leg.fill,
            safe_at=self._at.safe_at if self._at is not None else self._safe_at,
            first={**first, **gap},
            buffer=buffer,
            promises_from=0 if leg.start >= fresh or self._promised(held) is not None else fresh,
        )
        self._at, self._trouble, self._baseline, self._remade = at, "", None, False
        self.say("streaming")
        try:
            at.run(self)
        except WalRemoved as exc:
            # Recycled while it was sent: below its restart position the slot keeps nothing. What is lost, and whether that may be, is found
            # as if it had been gone at the start.
            raise _LookAgain from exc

    def _promised(self, held: Mapping[str, Ranges]) -> int | None:
        return promised(self._logs, self.stretches, held_on(self.stretches, held))

    def _take(self, client: ReplicationClient, branch: str, storing: Storing) -> bool:
        """The branch's lease comes first: a second follower is refused before anything is received. A backup that ships its own WAL is
        asked for it by each try, and waited for; for a while also a follower that died on another host. False: asked to stop meanwhile.
        """
        until: float | None = None
        asked: deque[tuple[float, int]] = deque(maxlen=4096)
        while not self.stopping:
            try:
                storing.open(branch)
            except Refused as exc:
                if exc.code != FOLLOWED:
                    raise
                now = self._clock.monotonic()
                if held_by_backup(exc):
                    until = None
                    self._watch(client, branch, storing, asked)
                else:
                    until = now + self.settings.lease_patience if until is None else until
                    if now >= until:
                        raise
                self._trouble = exc.message
            else:
                self._trouble = ""
                return True
            self.say("waiting")
            self._stop.wait(TRY_SECONDS)
        return False

    def _watch(self, client: ReplicationClient, branch: str, storing: Storing, asked: deque[tuple[float, int]]) -> None:
        """What a backup stores of the branch is as durable as what a follower does. ``asked``: when the server had flushed how much."""
        asked.append((self._clock.monotonic(), client.identify().position))
        known = storing.stored(branch)
        if known is None:
            return
        end = next((high for low, high in self._logs.reader(branch).coverage(known) if low <= known), known)
        storing.note(branch, end)
        self._at, storing.branch = None, branch
        while asked and asked[0][1] <= end:
            self._safe_at = max(self._safe_at, asked.popleft()[0])

    def _since(self, client: ReplicationClient, held: Mapping[str, Ranges]) -> int | None:
        """Where filling begins: the oldest of the gaps whose WAL the server still has, None when there is none.

        Backups leave gaps that ship their own WAL while nobody follows. Raises WalGap for one that is lost although following had promised
        to go on.
        """
        known = held_on(self.stretches, held)
        since = None
        for before, behind in reversed(list(pairwise(known))):
            low, high = before[1], behind[0]
            if not self._has(client, low):
                newest = promised(self._logs, self.stretches, known)
                if newest is not None and newest <= low:
                    branch = holder(self.stretches, low).branch
                    if not self.settings.after_gap:
                        raise WalGap(branch, low, high, "the server no longer has it")
                    self._warning = f"WAL from {lsn.show(low)} to {lsn.show(high)} is missing in {branch}."
                break
            since = low
        return since

    def _has(self, client: ReplicationClient, position: int) -> bool:
        """Whether the server still has WAL from ``position`` on."""
        leg = holder(self.stretches, position)
        try:
            client.start(position, leg.timeline).first_word(bytearray(), self.settings.timeout).stop()
        except WalRemoved:
            return False
        return True

    def _reserve(self, client: ReplicationClient) -> int:
        """Make sure of the slot; the position from which it keeps WAL."""
        for _ in range(3):
            client.create_slot(self.slot)
            state = client.read_slot(self.slot)
            if state is not None and state.restart is not None:
                return state.restart
            if state is not None:
                # It keeps nothing: the server took its WAL away (max_slot_wal_keep_size), or it was made without reserving any.
                client.drop_slot(self.slot)
        raise SlotMissing(f"The slot {self.slot} cannot be made.", hint="Is there a logical slot of that name?")

    def _begin(
        self, client: ReplicationClient, leg: Leg, fresh: int, buffer: bytearray, held: Mapping[str, Ranges]
    ) -> tuple[WalStream, dict[str, Any]] | None:
        """Start a little early where WAL allows: the vault's last increments are compared, and the scan sees whole records. None: all WAL
        of the leg is gone, and that may be.
        """
        if leg.stored is not None:
            early = self._last(leg.branch, leg.stored)
            try:
                return self._start(client, leg, early - early % self.segment_size, buffer), {}
            except WalRemoved:
                buffer.clear()
        try:
            return self._start(client, leg, leg.start, buffer), {}
        except WalRemoved as exc:
            buffer.clear()
            if leg.fill:
                raise _LookAgain from exc
            start = fresh - fresh % self.segment_size
            newest = self._promised(held)
            if newest is not None and not self.settings.after_gap:
                raise WalGap(leg.branch, leg.start, start if start > leg.start else leg.until, exc.message) from exc
            if start <= leg.start:
                self._remake_slot(client, leg, exc)
        low = self._lost_from = leg.start if self._lost_from is None else self._lost_from
        if leg.until is not None and start >= leg.until:
            return None
        self._warning = f"WAL from {lsn.show(low)} to {lsn.show(start)} is missing in {leg.branch}."
        if newest is None:
            self._warning = (
                f"Following begins at {lsn.show(start)}. Before that it was never followed: WAL behind {lsn.show(low)}, where the newest "
                "backup's own ends, is no longer on the server."
            )
        try:
            return self._start(client, leg, start, buffer), {"gap_before": [lsn.show(low), lsn.show(start)]}
        except WalRemoved as exc:
            self._remake_slot(client, leg, exc)

    def _remake_slot(self, client: ReplicationClient, leg: Leg, lost: WalRemoved) -> NoReturn:
        """The slot's restart position lies in WAL that is gone: acknowledging old WAL moved it back. A new slot says where WAL begins."""
        if self._remade:
            raise WalGap(leg.branch, leg.start, leg.until, lost.message) from lost
        self._remade = True
        client.drop_slot(self.slot)
        raise _LookAgain from lost

    def _start(self, client: ReplicationClient, leg: Leg, position: int, buffer: bytearray) -> WalStream:
        try:
            stream = client.start(position, leg.timeline, self.slot)
            until = self._clock.monotonic() + self.settings.timeout
            while not stream.answered and self._clock.monotonic() < until and not self.stopping:
                stream.first_word(buffer, until - self._clock.monotonic(), self._wake.fd)
                self._wake.clear()
        except (WalAhead, TimelineUnknown) as exc:
            raise ServerBehind(exc.message, hint=exc.hint, timeline=leg.timeline) from exc
        return stream

    def _last(self, branch: str, end: int) -> int:
        """Start of the increment of a branch before ``end``."""
        return max(found.start for found in self._logs.reader(branch).increments(max(0, end - 1)) if found.start < end)

    # ------------------------------------------------------------ the slot's backlog

    def backlog(self, size: int | None, durable: int) -> None:
        """Judge what the slot makes the server keep. While nothing is read, the server is asked over a connection of its own."""
        if size is None:
            now = self._clock.monotonic()
            if now - self._backlog_asked < 5.0:
                return
            self._backlog_asked = now
            with ReplicationClient(self._conninfo(), timeout=self.settings.timeout, clock=self._clock) as other:
                size = max(0, other.identify().position - durable)
        self._backlog = size
        if self._baseline is None:
            self._baseline = size
        limits = self.settings.backlog
        # What was there when the connection began is being caught up with: only what comes on top of it counts against the limit.
        allowed = limits.limit if self._baseline <= limits.limit else self._baseline + limits.limit
        if size > allowed and limits.then == "drop-slot":
            raise _SlotGivenUp
        if size > limits.warn:
            self._warning = (
                f"The slot {self.slot} keeps {size >> 20} MiB of WAL on the server (limit {limits.limit >> 20} MiB, then {limits.then})."
            )
        elif self._warning.startswith("The slot"):
            self._warning = ""

    def _give_up_slot(self) -> None:
        """Free the server's disk; following goes on when the vault is back, behind a gap if the server recycled WAL meanwhile."""
        with ReplicationClient(self._conninfo(), timeout=self.settings.timeout, clock=self._clock) as client:
            client.drop_slot(self.slot, wait=True)
        self._warning = f"The slot {self.slot} was dropped: it kept {self._backlog >> 20} MiB of WAL on the server, over the plan's limit."
        self.say("vault-away")


def _told(lacking: Mapping[str, str]) -> str:
    return "; ".join(f"Going on without {url}, which is brought level when it is back: {why}" for url, why in lacking.items())


class _SlotGivenUp(Exception):
    """The backlog passed its limit, and the plan says to free the server."""


class _LookAgain(Exception):
    """What the vault holds, or the server still has, changed since it was looked at."""
