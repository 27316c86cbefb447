"""The protocol's model as a Hypothesis state machine, and how to play it for long."""

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.vault.prune.protocol import copy, pass_time, prune, writer
from tests.vault.prune.world import ALL, LEASE, WEEK, World


class Steps:
    """Counted over all machines of a run."""

    taken = 0


class Protocol(RuleBasedStateMachine):
    """The same actors, called step by step: what Hypothesis finds it makes small."""

    def __init__(self):
        super().__init__()
        self.world = World(ALL, None)

    def begin(self, kind, calls):
        Steps.taken += 1
        self.world.start(kind, calls)

    @precondition(lambda self: len(self.world.actors) < 5)
    @rule(members=st.sampled_from([[0], [1], [0, 1], [1, 0]]), heir=st.booleans(), rnd=st.randoms(use_true_random=False))
    def back_up(self, members, heir, rnd):
        self.world.random = rnd
        self.begin("writer", writer(self.world, members, heir=heir))

    @precondition(lambda self: len(self.world.actors) < 5)
    @rule(place=st.sampled_from([0, 1]), skew=st.sampled_from([-3, 0, 50]), rnd=st.randoms(use_true_random=False))
    def prune(self, place, skew, rnd):
        self.world.random = rnd
        self.begin("prune", prune(self.world, place, skew))

    @precondition(lambda self: len(self.world.actors) < 5)
    @rule(place=st.sampled_from([0, 1]), rnd=st.randoms(use_true_random=False))
    def copy(self, place, rnd):
        self.world.random = rnd
        self.begin("copy", copy(self.world, 1 - place, place))

    @precondition(lambda self: self.world.actors)
    @rule(which=st.integers(0, 4), calls=st.sampled_from([1, 2, 3, 5, 10, 30, 60]), rnd=st.randoms(use_true_random=False))
    def go_on(self, which, calls, rnd):
        self.world.random = rnd
        actor = self.world.actors[which % len(self.world.actors)]
        for _ in range(calls):
            if actor in self.world.actors:
                Steps.taken += 1
                self.world.step(actor)

    @precondition(lambda self: self.world.actors)
    @rule(which=st.integers(0, 4))
    def die(self, which):
        Steps.taken += 1
        self.world.kill(self.world.actors[which % len(self.world.actors)])

    @rule(amount=st.sampled_from([1, LEASE + 1, WEEK + 1]))
    def time_passes(self, amount):
        Steps.taken += 1
        pass_time(self.world, amount)

    @invariant()
    def every_listed_point_is_whole(self):
        self.world.check()


def play(steps: int) -> int:
    """Play until so many steps were taken; returns how many it were. A failure is raised with the steps that lead to it, made small."""
    Steps.taken = 0
    round_ = 0
    while Steps.taken < steps:
        machine = type(f"Protocol{round_}", (Protocol,), {})
        case = machine.TestCase
        case.settings = settings(
            max_examples=400,
            stateful_step_count=60,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            derandomize="CI" in os.environ and not round_,
        )
        case("runTest").runTest()
        round_ += 1
    return Steps.taken
