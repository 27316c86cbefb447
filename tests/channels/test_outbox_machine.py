"""The outbox as a state machine: whatever fails and whoever dies, each message arrives once and in order, and is told as what it is."""

import datetime as dt

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from holdfast.state import State
from holdfast.state.outbox.queue import HOUR
from tests.channels.fake import Fake, delivery
from tests.channels.kit import SetClock, message


class Killed(BaseException):
    """What a kill -9 looks like from inside."""


class Machine(RuleBasedStateMachine):
    """Two incidents, two channels that fail in every way, processes that are killed at any point, a clock that steps."""

    folder = None
    count = 0

    def __init__(self) -> None:
        super().__init__()
        Machine.count += 1
        self.clock = SetClock()
        self.state = State(self.folder / f"run{Machine.count}", self.clock)
        self.channels = {"a": Fake("a"), "b": Fake("b")}
        self.queued: dict[str, list[tuple[str, str]]] = {"a": [], "b": []}
        self.noted: list[tuple[str, str, str]] = []
        self.refused: set[tuple[str, str]] = set()
        self.number = 0

    def way(self):
        return delivery(
            self.state,
            self.clock,
            *self.channels.values(),
            noted=lambda line: self.noted.append((line.channel, line.message.key, line.standing)),
            give_up=10_000,
        )

    @rule(incident=st.sampled_from(["I", "J"]), to=st.sampled_from([("a",), ("b",), ("a", "b")]))
    def say(self, incident, to):
        self.number += 1
        key = f"{incident}.{self.number}"
        self.state.outbox.put(to, message(incident=incident, key=key))
        for channel in to:
            self.queued[channel].append((incident, key))

    @rule(channel=st.sampled_from(["a", "b"]), modes=st.lists(st.sampled_from(["ok", "down", "after", "lost", "crash"]), max_size=4))
    def deliver(self, channel, modes):
        self.channels[channel].mode = modes
        self.way().run()

    @rule(seconds=st.sampled_from([1.0, 30.0, 300.0, 4000.0, 90_000.0]))
    def later(self, seconds):
        self.clock.forward(seconds)

    @rule(seconds=st.sampled_from([-90_000.0, -500.0, 500.0, 90_000.0]))
    def clock_steps(self, seconds):
        self.clock.moment += dt.timedelta(seconds=seconds)

    @precondition(lambda self: any(self.queued.values()))
    @rule(channel=st.sampled_from(["a", "b"]), when=st.sampled_from(["before", "after", "recorded", "noted"]))
    def killed(self, channel, when):
        """The process dies round an attempt; its lease is found to be dead's."""
        chat = self.channels[channel]
        chat.mode = []
        real = chat.send

        def dying(one, reference=None, *, again=False):
            if when == "before":
                raise Killed
            found = real(one, reference, again=again)
            if when == "after":
                raise Killed
            return found

        chat.send = dying
        way = self.way()
        if when == "recorded":
            way._noted = _die
        if when == "noted":
            hook = way._noted

            def written_and_dead(line):
                hook(line)
                raise Killed

            way._noted = written_and_dead
        try:
            way.run()
        except Killed:
            pass
        finally:
            chat.send = real
        with self.state.database.writing() as db:
            db.execute("delete from leases")

    @invariant()
    def nothing_is_doubled_lost_or_out_of_order(self):
        for name, chat in self.channels.items():
            assert len(set(chat.took)) == len(chat.took)
            for incident in ("I", "J"):
                wanted = [key for one, key in self.queued[name] if one == incident]
                got = [key for one, key in chat.took if one == incident]
                assert got == wanted[: len(got)]
        for line in self.state.outbox.lines():
            if line.standing == "sent":
                assert (line.message.incident, line.message.key) in self.channels[line.channel].took

    def teardown(self):
        for chat in self.channels.values():
            chat.mode = "ok"
        for _ in range(4):
            self.way().run()
            self.clock.forward(HOUR + 100)
        self.way().run()
        for name, chat in self.channels.items():
            assert sorted(chat.took) == sorted(self.queued[name])
            for one, key in self.queued[name]:
                assert (name, key, "sent") in self.noted, one
        assert {line.standing for line in self.state.outbox.lines()} <= {"sent"}


def _die(line):
    raise Killed


def test_the_outbox_as_a_state_machine(tmp_path):
    Machine.folder = tmp_path
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=12, stateful_step_count=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
        ),
    )
