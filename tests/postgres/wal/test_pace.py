"""How often a follower looks, cuts and tells, on a clock of its own: a server that commits a thousand times a second wakes it rarely."""

import datetime as dt

import pytest

from holdfast.systems.postgres.follow.route import Leg
from holdfast.systems.postgres.follow.settings import FollowSettings
from holdfast.systems.postgres.follow.streaming import LegStream

STEP = 0.001
SIZE = 500


class Time:
    def __init__(self) -> None:
        self.at = 100.0

    def monotonic(self) -> float:
        return self.at

    def now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(1_700_000_000 + self.at, dt.UTC)

    def sleep(self, seconds: float) -> None:
        self.at += seconds


class Server:
    """A stream that grows by ``SIZE`` bytes each millisecond while ``busy(time)``, behind ``backlog`` bytes that lie there."""

    def __init__(self, time: Time, busy, backlog: int = 0) -> None:
        self.time, self.busy = time, busy
        self.start = self.position = 1 << 24
        self.flushed = self.start + backlog
        self.written = [(time.at, self.flushed)] if backlog else []
        self.ticked = time.at
        self.server_end, self.server_time = self.flushed, 0
        self.reply_requested, self.ended = False, None
        self.looks = 0

    def tick(self) -> None:
        while self.ticked + STEP <= self.time.at:
            self.ticked += STEP
            if self.busy(self.ticked - 100):
                self.flushed += SIZE
                self.written.append((self.ticked, self.flushed))

    def receive(self, buffer, limit, timeout, wake=None) -> int:
        self.looks += 1
        assert self.looks < 20_000, "it looks without end"
        until = self.time.at + timeout
        self.tick()
        while self.flushed == self.position and self.time.at < until:
            self.time.at = min(until, self.time.at + STEP)
            self.tick()
        size = min(limit, self.flushed - self.position)
        buffer += bytes(size)
        self.position += size
        if size:
            self.server_end, self.server_time = self.flushed, int(self.time.at * 1_000_000)
        return size

    def covered(self, position):
        return None

    def confirm(self, durable, *, reply=False) -> None:
        if reply:
            self.server_time = int(self.time.at * 1_000_000)

    def stop(self) -> None:
        pass


class Stored:
    """Storing that takes ``seconds`` for each piece."""

    error, trouble, covered, held = None, "", None, 0

    def __init__(self, time: Time, seconds: float) -> None:
        self.time, self.seconds = time, seconds
        self.pieces = []

    def put(self, piece) -> None:
        begun = max([self.time.at, *(done for done, _ in self.pieces)])
        self.pieces.append((begun + self.seconds, piece))

    @property
    def open(self):
        return [piece for done, piece in self.pieces if done > self.time.at]

    @property
    def waiting(self) -> int:
        return len(self.open)

    @property
    def oldest(self):
        return next((piece.arrived for piece in self.open), None)

    def stored(self, branch):
        return max((piece.end for done, piece in self.pieces if done <= self.time.at), default=None)

    def settle(self, timeout) -> bool:
        self.time.at += timeout
        return not self.open


class Wake:
    fd = -1

    def __init__(self, time: Time, stored: Stored) -> None:
        self.time, self.stored = time, stored

    def wait(self, seconds) -> None:
        """Woken by what becomes durable, as by the storing thread."""
        until = self.time.at + seconds
        self.time.at = min([until, *(done for done, _ in self.stored.pieces if done > self.time.at)])

    def clear(self) -> None:
        pass


class Host:
    def __init__(self, run, seconds) -> None:
        self.run, self.until = run, run.time.at + seconds

    @property
    def stopping(self) -> bool:
        return self.run.time.at >= self.until

    def say(self, state) -> None:
        pass

    def backlog(self, size, durable) -> None:
        """Called in each round: nothing that is not durable may be taken for it."""
        run = self.run
        run.server.tick()
        durable = run.stored.stored("1-1") or run.server.start
        oldest = next((at for at, end in run.server.written if end > durable), run.time.at)
        run.exposures.append(run.time.at - oldest)
        assert run.leg.safe_at <= oldest + STEP


class Run:
    def __init__(self, busy, *, seconds=4.0, storing=0.02, backlog=0, **settings) -> None:
        self.time = Time()
        self.server = Server(self.time, busy, backlog)
        self.stored = Stored(self.time, storing)
        self.exposures = []
        self.settings = FollowSettings(**settings)
        self.leg = LegStream(
            leg=Leg("1-1", 1, self.server.start, None, b"", None),
            stream=self.server,
            storing=self.stored,
            settings=self.settings,
            clock=self.time,
            wake=Wake(self.time, self.stored),
            segment_size=1 << 24,
            known=0,
            vouches=True,
            safe_at=self.time.at,
        )
        self.leg.run(Host(self, seconds))
        self.sizes = [len(piece.data) for _, piece in self.stored.pieces]
        assert self.server.start + sum(self.sizes) == self.server.position


def always(_: float) -> bool:
    return True


def test_a_busy_server_is_looked_at_a_few_times_for_each_increment() -> None:
    run = Run(always, interval=0.25)
    assert 14 <= len(run.sizes) <= 17
    assert run.server.looks <= 8 * len(run.sizes)
    assert max(run.exposures) < 0.25 + 0.02 + run.settings.rest + 0.01


def test_the_rhythm_follows_the_interval() -> None:
    run = Run(always, seconds=12.0, interval=2.0)
    assert 5 <= len(run.sizes) <= 7
    assert run.server.looks <= 12 / run.settings.rest * 1.2
    assert max(run.exposures) < 2.0 + 0.02 + 2 * run.settings.rest


def test_synchronous_commits_never_wait_for_a_rest() -> None:
    run = Run(always, interval=0.0, storing=0.004)
    assert run.settings.rest == 0
    assert max(run.exposures) < 2 * 0.004 + 3 * STEP


def test_a_single_transaction_after_silence_is_stored_within_the_interval() -> None:
    run = Run(lambda at: 1.0 < at <= 1.0 + 2.5 * STEP, interval=0.25)
    assert len(run.sizes) == 1
    assert max(run.exposures) < 0.25 + 0.02 + 0.01


@pytest.mark.parametrize("interval", [0.0, 0.25, 10.0])
def test_a_backlog_is_read_without_rest(interval) -> None:
    """A thousand times as much as is read at once, and no time passes but that of storing."""
    run = Run(lambda at: False, interval=interval, storing=0.0, backlog=1 << 24, largest=1 << 14, seconds=0.5)
    assert run.sizes[:1023] == [1 << 14] * 1023
    assert run.stored.pieces[1022][0] == 100.0


def test_slow_storing_lets_increments_grow() -> None:
    run = Run(always, interval=0.25, storing=1.0)
    assert len(run.sizes) <= 7
    assert max(run.sizes) > 1.5 * 250 * SIZE
