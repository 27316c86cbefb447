"""One leg of following: bytes come in, pieces are cut off and handed to storing, what is durable is acknowledged."""

import contextlib
import os
import select
import threading
from dataclasses import dataclass, field
from typing import Any, Protocol

from holdfast.errors import Unreachable
from holdfast.model import Clock
from holdfast.systems.postgres.follow.promise import ISLAND
from holdfast.systems.postgres.follow.route import Leg
from holdfast.systems.postgres.follow.settings import FollowSettings
from holdfast.systems.postgres.follow.status import State
from holdfast.systems.postgres.follow.storing import Piece, Storing
from holdfast.systems.postgres.link.replication import WalStream


class Host(Protocol):
    """What a leg asks of its follower."""

    @property
    def stopping(self) -> bool: ...

    def say(self, state: State) -> None: ...

    def backlog(self, size: int | None, durable: int) -> None:
        """``size`` bytes kept by the slot, None: to be asked of the server. May end the leg by raising."""
        ...


class Wake:
    """Lets another thread wake a select: a pipe. ``fd`` is readable once ``set`` was called."""

    def __init__(self) -> None:
        self.fd, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        # A signal's handler may come in while its own thread holds it.
        self._lock = threading.RLock()
        self._full = False

    def set(self) -> None:
        """Nothing once it is closed: nobody listens any more, and the number may be another file's by then."""
        with self._lock:
            if self._write >= 0:
                # Full: it is awake already.
                with contextlib.suppress(BlockingIOError):
                    os.write(self._write, b"w")
                # Behind the byte, so that none stays unread.
                self._full = True

    def clear(self) -> None:
        if self._full:
            self._full = False
            with contextlib.suppress(BlockingIOError):
                self._full = len(os.read(self.fd, 4096)) == 4096 or self._full

    def wait(self, seconds: float) -> None:
        select.select([self.fd], [], [], seconds)
        self.clear()

    def close(self) -> None:
        with self._lock:
            numbers, self.fd, self._write = (self.fd, self._write), -1, -1
        for number in numbers:
            if number >= 0:
                os.close(number)


@dataclass
class LegStream:
    """``buffer`` holds what was received from ``stream`` and not yet cut off; it begins at ``position``.

    WAL below ``known`` is in the vault already: it is compared. ``first`` joins the meta of the first new increment. ``vouches``: the
    server is a primary, whose clock tells what was committed. ``safe_at``: monotonic time of which everything earlier is durable.
    ``promises_from``: WAL below it is not kept by the slot, and nobody promised it: it is stored as an island.
    """

    leg: Leg
    stream: WalStream
    storing: Storing
    settings: FollowSettings
    clock: Clock
    wake: Wake
    segment_size: int
    known: int
    vouches: bool
    safe_at: float
    first: dict[str, Any] = field(default_factory=dict)
    buffer: bytearray = field(default_factory=bytearray)
    promises_from: int = 0
    covered: int | None = None
    position: int = 0
    arrived: float | None = None

    def __post_init__(self) -> None:
        self.position = self.stream.start
        self.arrived = self.clock.monotonic() if self.buffer else None
        self._heard = self._looked = self._rest_until = self.clock.monotonic()
        self._asked = 0.0
        self._sent = -1
        self._told = 0.0
        self._trim()

    def run(self, host: Host) -> None:
        """Until the follower stops or the timeline ends; then everything received is durable (unless the vault stays away)."""
        while True:
            if self.storing.error is not None:
                raise self.storing.error
            now = self.clock.monotonic()
            while (size := self._due()) > 0:
                self._hand_over(size, now)
            self._confirm(now)
            self._judge(host, now)
            if host.stopping or self.stream.ended is not None or self._filled:
                break
            if self.storing.held + len(self.buffer) >= self.settings.buffer:
                # The slot keeps what is not read; status updates go on, so that the server does not take this side for dead.
                self._heard = now
                self.wake.wait(min(1.0, self.settings.heartbeat))
            elif now < self._rest_until:
                self.wake.wait(self._rest_until - now)
            else:
                self._receive(now)
        self._finish(host)

    @property
    def durable(self) -> int:
        """What may be reported as flushed: everything of the server's history below it is in the vault. 0 says nothing."""
        durable = self.storing.stored(self.leg.branch)
        return durable if durable is not None and durable >= self.stream.start else 0

    @property
    def _filled(self) -> bool:
        until = self.leg.until
        return self.leg.fill and until is not None and self.position + len(self.buffer) >= until

    def _receive(self, now: float) -> None:
        before = self.stream.server_time
        room = max(self.settings.largest - len(self.buffer), 1)
        took = self.stream.receive(self.buffer, room, self._patience(now), self.wake.fd)
        looked = self.clock.monotonic()
        # What was found after a rest may have come at its beginning.
        came = self._looked if self._rest_until > self._looked else looked
        self._looked = self._rest_until = looked
        if took and self.arrived is None:
            self.arrived = came
        self._trim()
        if self.stream.server_time != before:
            self._heard = came
        if took and self.arrived is not None and self.stream.position >= self.stream.server_end:
            # A server under load sends each transaction by itself, and each would wake this process: they are taken many at a time.
            self._rest_until = min(looked + self.settings.rest, max(looked, self.arrived + self.settings.interval))
        self.wake.clear()

    def _trim(self) -> None:
        """What lies behind the gap that is filled is in the vault."""
        if self._filled and self.leg.until is not None:
            del self.buffer[self.leg.until - self.position :]

    # ------------------------------------------------------------ cutting

    def _edge(self) -> int:
        """Where a piece ends at the latest: a multiple of the largest size, and the end of what the vault holds already."""
        largest = self.settings.largest
        edge = self.position - self.position % largest + largest
        return min(edge, self.known) if self.position < self.known else edge

    def _due(self) -> int:
        """Bytes to cut off now; 0 to go on collecting."""
        have = len(self.buffer)
        if not have:
            return 0
        room = self._edge() - self.position
        if have >= room or self.stream.ended is not None:
            return min(have, room)
        return have if self._free and self.arrived is not None and self._looked - self.arrived >= self.settings.interval else 0

    @property
    def _free(self) -> bool:
        """Whether a piece may be cut before it is full. While an earlier one waits, a later one only grows: fewer objects, and the order
        is kept.
        """
        return self.storing.waiting <= (1 if self.settings.interval > 0 else 0)

    def _hand_over(self, size: int, now: float) -> None:
        known = self.position < self.known
        covered = self._proved() if size == len(self.buffer) else None
        # The buffer itself becomes the piece: only what is left over is copied.
        rest = self.buffer[size:]
        del self.buffer[size:]
        island = {ISLAND: True} if self.position + size < self.promises_from else {}
        piece = Piece(
            branch=self.leg.branch,
            timeline=self.leg.timeline,
            segment_size=self.segment_size,
            start=self.position,
            data=self.buffer,
            arrived=self.arrived if self.arrived is not None else now,
            covered=covered,
            known=known,
            extra={} if known else {**self.first, **island},
        )
        if not known:
            self.first = {}
        self.buffer = rest
        self.position += size
        self.arrived = now if self.buffer else None
        self.storing.put(piece)

    def _proved(self) -> int | None:
        """The server time before which everything committed was received. A standby cannot vouch for its primary."""
        found = self.stream.covered(self.stream.position)
        if found is not None and self.vouches:
            self.covered = found
        return self.covered

    def _patience(self, now: float) -> float:
        until = self._asked + self.settings.heartbeat
        if self.buffer and self.arrived is not None and self._free:
            until = min(until, self.arrived + self.settings.interval)
        return min(max(until - now, 0.0), 1.0)

    # ------------------------------------------------------------ acknowledging and judging

    def _confirm(self, now: float) -> None:
        ask = now - self._asked >= self.settings.heartbeat
        durable = self.durable
        if durable != self._sent or ask or self.stream.reply_requested:
            self.stream.confirm(durable, reply=ask)
            self._sent = durable
            if ask:
                self._asked = now

    def _judge(self, host: Host, now: float) -> None:
        if now - self._heard > self.settings.timeout:
            raise Unreachable(f"The server has been silent for {now - self._heard:.0f} s.")
        oldest = self.storing.oldest
        if oldest is None:
            oldest = self.arrived
        if oldest is not None:
            self.safe_at = max(self.safe_at, oldest)
        elif not self.leg.fill and self.stream.position >= self.stream.server_end:
            self.safe_at = max(self.safe_at, self._heard)
            if self._proved() is not None:
                self.storing.covered = self.covered
        durable = self.durable
        host.backlog(None if self.storing.trouble else max(0, self.stream.server_end - (durable or self.stream.start)), durable)
        if now - self._told >= min(1.0, self.settings.heartbeat):
            self._told = now
            host.say("vault-away" if self.storing.trouble else "streaming")

    def _finish(self, host: Host) -> None:
        """Everything received becomes durable and is acknowledged before the stream is left."""
        while self.buffer:
            self._hand_over(min(len(self.buffer), self._edge() - self.position), self.clock.monotonic())
        until = self.clock.monotonic() + self.settings.timeout
        while not self.storing.settle(0.5):
            if self.storing.error is not None:
                raise self.storing.error
            if host.stopping and self.clock.monotonic() > until:
                # The vault is away: what is not stored was not acknowledged, and the slot keeps it.
                return
            host.say("vault-away" if self.storing.trouble else "streaming")
        if self.stream.ended is None:
            self.stream.confirm(self.durable)
            self.stream.stop()
