"""Send what waits: one thread for each channel, so that a slow ticket system does not hold up a page; one process for each channel, of all
hosts where they share the outbox.
"""

import datetime as dt
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from holdfast.connect.channels import Channel, ChannelDown, ChannelFailed, ChannelRejected
from holdfast.errors import HoldfastError
from holdfast.model import Clock
from holdfast.state.leases import Lease, Leases
from holdfast.state.outbox.line import Line
from holdfast.state.outbox.queue import LEASE, Outbox

AT_ONCE = 16
TAKEN_OVER = dt.timedelta(minutes=10)
"""What waits for so long on one host alone may be told by another by now: it is looked for before it is sent."""
LATE = "It is not sent any more: what was said of this incident after it has reached '{}' already."
GIVE_UP = dt.timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Way:
    """A channel, and after how much waiting a message to it is lost."""

    channel: Channel
    give_up: dt.timedelta = GIVE_UP


Opener = Callable[[str], Way]
"""The channel of that name; raises a HoldfastError when the plan has none, or a secret or an extra is missing (tried again later)."""


class Delivery:
    """``noted`` is told each message that was sent, lost or dropped, at least once, before the next pass ends: the hook for evidence. Its
    answer says whether that is done; False leaves it to another host.
    """

    def __init__(
        self,
        outbox: Outbox,
        leases: Leases,
        clock: Clock,
        open_way: Opener,
        *,
        noted: Callable[[Line], object] | None = None,
    ) -> None:
        self._outbox, self._leases, self._clock, self._open, self._noted = outbox, leases, clock, open_way, noted

    def run(self, channels: Iterable[str] | None = None, *, patience: float = 0.0) -> int:
        """Try what is due; how many messages were taken.

        ``channels``: only these. ``patience``: seconds to wait for another process that sends to the same channel, so that what was just
        queued is not left to the next pass. Errors of channels stay with their messages (``Outbox.lines``). Raises what ``noted`` raises,
        and StateUnusable.
        """
        wanted = self._outbox.channels_waiting()
        if channels is not None:
            only = set(channels)
            wanted = [one for one in wanted if one in only]
        try:
            if len(wanted) == 1:
                return self._channel(wanted[0], patience)
            if not wanted:
                return 0
            with ThreadPoolExecutor(min(len(wanted), AT_ONCE), thread_name_prefix="channel") as pool:
                return sum(pool.map(lambda name: self._channel(name, patience), wanted))
        finally:
            self.note()

    def note(self) -> None:
        """Hand over what was settled and not yet told to ``noted``."""
        if self._noted is None:
            return
        for line in self._outbox.unnoted():
            if self._noted(line) is not False:
                self._outbox.noted(line)

    def _channel(self, name: str, patience: float) -> int:
        until = self._clock.monotonic() + patience
        while (lease := self._leases.acquire(f"outbox:{name}", LEASE)) is None:
            if self._clock.monotonic() >= until or not self._outbox.ready(name):
                return 0
            self._clock.sleep(0.1)
        try:
            return self._pass(name, lease)
        finally:
            self._leases.release(lease)

    def _pass(self, name: str, lease: Lease) -> int:
        """Until nothing is due, or the channel failed twice in a row: what fails for one message may work for another."""
        taken = failures = 0
        way: Way | None = None
        while failures < 2:
            ready = self._outbox.ready(name)
            if not ready or not self._leases.renew(lease, LEASE):
                break
            line = ready[0]
            if line.late:
                self._outbox.give_up(name, line.message, LATE.format(name))
                continue
            if way is None and (way := self._opened(name, line, lease)) is None:
                break
            if line.interrupted and way.channel.settles:
                # Its look-up shows what was just made only after a while.
                self._outbox.put_off(line, way.channel.settles)
                continue
            done = self._one(way, line, lease)
            if done is None:
                break
            taken, failures = taken + done, 0 if done else failures + 1
        return taken

    def _opened(self, name: str, line: Line, lease: Lease) -> Way | None:
        try:
            return self._open(name)
        except HoldfastError as error:
            # A secret that this shell lacks may be there for the schedule: nothing is lost by waiting.
            token = self._outbox.begin(line, lease)
            if token is not None:
                self._outbox.failed(line, token, error.message, maybe=False, after=None, give_up=GIVE_UP.total_seconds())
            return None

    def _one(self, way: Way, line: Line, lease: Lease) -> bool | None:
        """Whether it was taken; None when the channel asks for quiet."""
        token = self._outbox.begin(line, lease)
        if token is None:
            return False
        limit = way.give_up.total_seconds()
        again = line.again or (not self._outbox.shared and self._clock.now() - line.queued >= TAKEN_OVER)
        try:
            reference = way.channel.send(line.message, line.reference, again=again)
        except ChannelRejected as error:
            self._outbox.refused(line, token, error.message, error.so_far)
            return False
        except ChannelDown as error:
            least = way.channel.settles if error.maybe else 0.0
            self._outbox.failed(
                line, token, error.message, maybe=error.maybe, after=error.after, least=least, give_up=limit, so_far=error.so_far
            )
            return None if error.after else False
        except HoldfastError as error:
            so_far = error.so_far if isinstance(error, ChannelFailed) else None
            self._outbox.failed(line, token, error.message, maybe=False, after=None, give_up=limit, so_far=so_far)
            return False
        except Exception as error:  # noqa: BLE001 - one service's nonsense must not keep messages from the others
            said = (
                f"The channel '{line.channel}' failed with {type(error).__name__}: a defect of Holdfast, or an answer that nobody expects."
            )
            self._outbox.failed(line, token, said, maybe=True, after=None, give_up=limit)
            return False
        self._outbox.sent(line, reference)
        return True
