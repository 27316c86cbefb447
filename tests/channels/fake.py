"""A channel that does what it is told, and the delivery to such."""

import datetime as dt

from holdfast.connect.channels import ChannelDown, ChannelRejected, Reference
from holdfast.state.outbox import Delivery, Way


class Fake:
    """A channel that does what it is told: 'ok', 'down', 'after', 'reject', 'lost' (taken, the answer is not), 'crash'."""

    kind = "fake"
    repeats = "it counts"

    def __init__(self, name="chat", *, keyed=True, settles=0.0) -> None:
        self.name, self.keyed, self.settles = name, keyed, settles
        self.mode: list[str] | str = "ok"
        self.took: list[tuple[str, str]] = []
        self.calls: list[tuple[str, bool, Reference | None]] = []

    def check(self):
        return "it is there"

    def send(self, one, reference=None, *, again=False):
        self.calls.append((one.key, again, reference))
        mode = self.mode if isinstance(self.mode, str) else self.mode.pop(0) if self.mode else "ok"
        if mode == "down":
            raise ChannelDown("chat is down")
        if mode == "after":
            raise ChannelDown("chat is busy", after=600.0)
        if mode == "reject":
            raise ChannelRejected("chat knows no such room")
        if not (again and self.keyed and (one.incident, one.key) in self.took):
            self.took.append((one.incident, one.key))
        if mode == "lost":
            raise ChannelDown("no answer", maybe=True)
        if mode == "crash":
            raise RuntimeError("a token: xoxb-secret")
        return (reference or Reference({"ts": one.key})).also(last=one.key)


def delivery(state, clock, *channels, noted=None, give_up=24):
    ways = {channel.name: Way(channel, dt.timedelta(hours=give_up)) for channel in channels}
    return Delivery(state.outbox, state.outbox.leases, clock, ways.__getitem__, noted=noted)
