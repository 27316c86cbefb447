"""What is late does not undo what was said after it: alerts stay resolved, two hosts tell nothing twice, nothing is told out of order."""

from holdfast.assembly.incidents import Incidents
from holdfast.connect.channels import Reference
from holdfast.incidents.messages import messages
from holdfast.incidents.upkeep import OVERTAKEN, queue
from holdfast.plan import load
from holdfast.state import State
from holdfast.state.database import Database
from holdfast.state.outbox import Outbox
from tests.channels.fake import Fake, delivery
from tests.channels.kit import pagerduty
from tests.channels.pager_service import KEY, Pager
from tests.channels.serving import Told
from tests.incidents.kit import host, orders
from tests.incidents.test_escalation import Box


def delivered(here, found, channel, kind):
    """The journal's word that a channel took the message about the newest entry of a kind."""
    key = [message.key for _, name, message in messages(found, here.policy) if name == channel and message.kind == kind][-1]
    data = {"message": key, "channel": channel, "reference": None}
    return here.log.append(found.id, "delivered", here.who("holdfast"), data, key=f"delivered/{key}")[0]


def test_a_lost_alarm_that_is_tried_again_does_not_open_the_resolved_alert(tmp_path):
    here = host(tmp_path)
    state = State(tmp_path / "state", here.clock)
    with Pager() as service:
        pager = pagerduty(service)
        pager.name = "pager"
        told = []
        way = delivery(state, here.clock, pager, Fake("chat"), noted=told.append)
        found, _ = here.room.declare(orders(), here.who("anna"))
        service.always = Told(400, {"status": "invalid event", "errors": [f"Invalid routing key {KEY}"]})
        queue(found, here.policy, here.log, state.outbox)
        way.run()
        service.always = None
        found = here.room.acknowledge(found.id, here.who("anna"))
        found = here.room.resolve(found.id, here.who("anna"))
        queue(found, here.policy, here.log, state.outbox)
        way.run()
        assert [line.message.kind for line in state.outbox.lines(standing=("lost",))] == ["declared"]
        assert state.outbox.retry() == 1
        way.run()
        assert service.alerts == {}
        assert [(line.standing, "after it has reached 'pager'" in line.error) for line in told if line.message.kind == "declared"] == [
            ("sent", False),
            ("lost", False),
            ("dropped", True),
        ]


def test_a_queue_that_was_lost_sends_nothing_that_was_overtaken(tmp_path):
    here = host(tmp_path)
    found, _ = here.room.declare(orders(), here.who("anna"))
    found = here.room.resolve(found.id, here.who("anna"))
    found = delivered(here, found, "pager", "resolved")
    box = Box()
    queue(found, here.policy, here.log, box)
    assert {channel for channel, _ in box.taken} == {"chat"}
    assert [(channel, why) for (channel, _), why in box.given_up.items()] == [("pager", OVERTAKEN)]


def test_what_another_host_told_meanwhile_is_taken_out_of_the_queue(tmp_path):
    one, two = host(tmp_path, "ops1"), host(tmp_path, "ops2")
    found, _ = one.room.declare(orders(), one.who("anna"))
    state = State(tmp_path / "state", one.clock)
    queue(found, one.policy, one.log, state.outbox)
    two.hears(one)
    two.clock.forward(16 * 60)
    box = Box()
    queue(two.log.load(found.id), two.policy, two.log, box)
    # It may have been told by the first host: it is looked for.
    assert box.doubts == set(box.taken)
    delivered(two, two.log.load(found.id), "chat", "declared")
    one.hears(two)
    queue(one.log.load(found.id), one.policy, one.log, state.outbox, state.outbox.waiting()[found.id])
    assert {line.channel: line.standing for line in state.outbox.lines()} == {"chat": "dropped", "pager": "waiting"}
    assert "Another host has told it" in next(line.error for line in state.outbox.lines(standing=("dropped",)))


def test_what_waited_for_long_on_one_host_is_looked_for_before_it_is_sent(tmp_path):
    here = host(tmp_path)
    state = State(tmp_path / "state", here.clock)
    found, _ = here.room.declare(orders(), here.who("anna"))
    queue(found, here.policy, here.log, state.outbox)
    chat = Fake("chat")
    here.clock.forward(11 * 60)
    delivery(state, here.clock, chat, Fake("pager")).run()
    assert [again for _, again, _ in chat.calls] == [True]


def test_what_comes_late_from_another_host_is_told_before_what_waits(tmp_path):
    one, two = host(tmp_path, "ops1"), host(tmp_path, "ops2")
    found, _ = one.room.declare(orders(), one.who("anna"))
    two.hears(one)
    two.room.acknowledge(found.id, two.who("ben"))
    state = State(tmp_path / "state", two.clock)
    queue(two.log.load(found.id), two.policy, two.log, state.outbox)
    assert {line.message.kind for line in state.outbox.lines()} == {"acknowledged"}
    two.clock.forward(16 * 60)
    queue(two.log.load(found.id), two.policy, two.log, state.outbox, state.outbox.waiting()[found.id])
    chat = Fake("chat")
    delivery(state, two.clock, chat, Fake("pager")).run()
    kinds = {message.key: message.kind for _, _, message in messages(two.log.load(found.id), two.policy)}
    assert [kinds[key] for _, key in chat.took] == ["declared", "acknowledged"]


class Everybodys(Database):
    """One outbox of all hosts, in a file: who shares it is what matters here, not what it lies in."""

    shared = True


def with_one_outbox_for_all(folder, clock):
    """A host whose messages wait where those of others do, and its own outbox beside it."""
    state = State(folder, clock)
    state.outbox = Outbox(Everybodys(folder / "all", clock))
    return state


def test_what_a_host_told_alone_is_not_told_again_by_what_waited_for_all(tmp_path):
    here = host(tmp_path)
    state = with_one_outbox_for_all(tmp_path / "state", here.clock)
    found, _ = here.room.declare(orders(), here.who("anna"))
    queue(found, here.policy, here.log, state.outbox)
    # The database of all is down: this host sends from its own outbox, and writes down that it did.
    found = delivered(here, found, "chat", "declared")
    queue(found, here.policy, here.log, state.outbox, state.outbox.waiting()[found.id])
    assert {line.channel: line.standing for line in state.outbox.lines()} == {"chat": "dropped", "pager": "waiting"}
    chat = Fake("chat")
    delivery(state, here.clock, chat, Fake("pager")).run()
    assert chat.took == []


def test_what_a_killed_host_had_told_alone_is_noted_before_anything_is_queued_for_all(tmp_path):
    here = host(tmp_path)
    state = with_one_outbox_for_all(here.folder, here.clock)
    found, _ = here.room.declare(orders(), here.who("anna"))
    queue(found, here.policy, here.log, state.own_outbox)
    line = next(line for line in state.own_outbox.ready("chat"))
    state.own_outbox.begin(line)
    state.own_outbox.sent(line, Reference({"ts": "1"}))
    # Killed here: the journal does not know it. Then the database of all is back.
    kept = Incidents(load(tmp_path / "holdfast.yaml"), here.clock, {"HOLDFAST_STATE": str(here.folder)}, journal=here.journal, state=state)
    kept.tell([kept.log.load(found.id)])
    assert {line.channel for line in state.outbox.lines()} == {"pager"}
    assert set(kept.log.load(found.id).references) == {"chat"}
