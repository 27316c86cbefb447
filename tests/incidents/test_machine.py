"""Two hosts that hear of each other now and then, whose clocks disagree and are set, and which are restarted: whatever people do in
whatever order, nothing that was written down is lost, and both see the same incident once they have the same entries.
"""

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from holdfast.errors import HoldfastError
from holdfast.incidents.postmortem.rules import lacks
from holdfast.incidents.record.fold import fold
from holdfast.incidents.record.order import ordered
from holdfast.incidents.record.state import STATES
from tests.incidents.kit import FILLED, Host, orders, rules

PEOPLE = st.sampled_from(["anna", "ben", "carla"])
HOSTS = st.sampled_from([0, 1])

ALLOWED = {
    "acknowledge": {"declared", "acknowledged", "mitigated"},
    "mitigate": {"declared", "acknowledged"},
    "resolve": {"declared", "acknowledged", "mitigated"},
    "reopen": {"mitigated", "resolved", "closed"},
}
AFTER = {"acknowledge": None, "mitigate": "mitigated", "resolve": "resolved", "reopen": "declared"}


class Incidents(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory()
        folder = Path(self.place.name)
        self.hosts = [Host(folder, name, rules(folder)) for name in ("ops1", "ops2")]
        found, new = self.hosts[0].room.declare(orders(), self.hosts[0].who("anna"))
        assert new
        self.id = found.id
        self.hosts[1].hears(self.hosts[0])
        self.written = [len(found.events), 0]
        self.notes: list[str] = []

    def teardown(self) -> None:
        self.both_hear()
        self.place.cleanup()

    @rule(which=HOSTS, person=PEOPLE, what=st.sampled_from(sorted(ALLOWED)))
    def step(self, which, person, what):
        here = self.hosts[which]
        before = here.log.load(self.id)
        more = {"why": "again"} if what == "reopen" else {}
        try:
            after = getattr(here.room, what)(self.id, here.who(person), **more)
        except HoldfastError:
            assert before.state not in ALLOWED[what]
            return
        assert before.state in ALLOWED[what]
        expected = AFTER[what] or ("acknowledged" if before.state == "declared" else before.state)
        assert after.state == expected
        if what == "acknowledge":
            assert person in after.responders
            assert after.roles["commander"]

    @rule(which=HOSTS, person=PEOPLE)
    def note(self, which, person):
        here = self.hosts[which]
        text = f"note {len(self.notes)}"
        here.room.note(self.id, here.who(person), text)
        self.notes.append(text)

    @rule(which=HOSTS, person=PEOPLE, owner=st.sampled_from(["", "ben"]))
    def act(self, which, person, owner):
        here = self.hosts[which]
        here.room.action(self.id, here.who(person), "A1", text="watch the disk", owner=owner, due="2026-12-01")

    @rule(which=HOSTS, full=st.booleans())
    def write(self, which, full):
        here = self.hosts[which]
        here.log.append(self.id, "written", here.who("ben"), {"sections": FILLED if full else {"summary": "x"}})

    @rule(which=HOSTS)
    def finish(self, which):
        from holdfast.incidents.postmortem.rules import check_finishing

        here = self.hosts[which]
        before = here.log.load(self.id)
        try:
            here.log.append(self.id, "finished", here.who("ben"), {"sha256": "0" * 64}, check=check_finishing)
        except HoldfastError:
            assert before.open or lacks(before)

    @rule(which=HOSTS, outcome=st.sampled_from(["learnt", "false alarm"]))
    def close(self, which, outcome):
        here = self.hosts[which]
        before = here.log.load(self.id)
        try:
            after = here.room.close(self.id, here.who("anna"), outcome=outcome, why="nothing was wrong")
        except HoldfastError:
            ready = before.state == "resolved" and before.finished is not None and not lacks(before)
            assert before.state == "closed" or (outcome == "learnt" and not ready)
            return
        assert after.state == "closed"
        if outcome == "learnt":
            assert before.state == "resolved"
            assert before.finished is not None
            assert not lacks(before)

    @rule(which=HOSTS, seconds=st.floats(0, 4000))
    def time_goes_on(self, which, seconds):
        self.hosts[which].clock.forward(seconds)

    @rule(which=HOSTS, seconds=st.floats(-7200, 7200))
    def somebody_sets_a_clock(self, which, seconds):
        self.hosts[which].clock.set(seconds)

    @rule(which=HOSTS)
    def hear(self, which):
        self.hosts[which].hears(self.hosts[1 - which])

    @rule(which=HOSTS)
    def restart(self, which):
        self.hosts[which].restart()

    @invariant()
    def legal(self):
        for here in self.hosts:
            found = here.log.load(self.id)
            assert found.state in STATES
            assert found.state != "closed" or found.outcome
            assert all(span is None or span >= 0 for span in _durations(found))

    def both_hear(self) -> None:
        one, two = self.hosts
        one.hears(two)
        two.hears(one)
        first, second = one.log.load(self.id), two.log.load(self.id)
        assert first == second
        shuffled = list(first.events)
        random.Random(7).shuffle(shuffled)
        assert fold(shuffled) == first
        position = {event.id: number for number, event in enumerate(first.events)}
        for event in first.events:
            assert all(position[tag, n] < position[event.id] for tag, n, _ in event.cites)
        assert sorted(event.data["text"] for event in first.events if event.kind == "note") == sorted(self.notes)
        for here in self.hosts:
            assert here.journal.verify() == []


def _durations(found):
    from holdfast.incidents.promises import durations

    return durations(found).values()


@pytest.mark.soak
class TestLong(Incidents.TestCase):
    settings = settings(max_examples=300, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))


class TestIncidents(Incidents.TestCase):
    settings = settings(max_examples=8, stateful_step_count=16, deadline=None, suppress_health_check=list(HealthCheck))


def test_an_order_that_no_clock_decides(tmp_path):
    """The second host's clock is an hour behind: what it wrote after it had read the first one's still comes after that."""
    one, two = Host(tmp_path, "ops1", rules(tmp_path)), Host(tmp_path, "ops2", rules(tmp_path))
    two.clock.set(-3600)
    found, _ = one.room.declare(orders(), one.who("anna"))
    two.hears(one)
    two.room.acknowledge(found.id, two.who("ben"))
    one.hears(two)
    one.room.note(found.id, one.who("anna"), "thanks")
    seen = one.log.load(found.id)
    assert [event.kind for event in seen.events] == ["declared", "acknowledged", "note"]
    assert ordered(reversed(seen.events)) == seen.events
