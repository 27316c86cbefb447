"""Nobody answers: the next one is asked, then everybody, loudly; each message once, whoever is killed in between, and whatever is lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from holdfast.assembly.incidents import Incidents
from holdfast.connect.channels import Message
from holdfast.incidents.messages import messages
from holdfast.incidents.policy import policy
from holdfast.incidents.upkeep import due, escalate, queue, remind, steps_due
from holdfast.plan import load
from tests.channels.kit import HOOK, Hooks, pagerduty
from tests.channels.pager_service import Pager
from tests.incidents.kit import PLAN, Clock, host, orders, rules

MACHINE = "holdfast"


class Box:
    """Takes a key once, as the outbox does."""

    shared = False

    def __init__(self) -> None:
        self.taken: dict[tuple[str, str], object] = {}
        self.doubts: set[tuple[str, str]] = set()
        self.given_up: dict[tuple[str, str], str] = {}
        self.order: dict[str, list[str]] = {}

    def put(self, channels, message, *, doubt=False):
        for channel in channels:
            self.taken.setdefault((channel, message.key), message)
            if doubt:
                self.doubts.add((channel, message.key))

    def give_up(self, channel, message, why):
        self.given_up[channel, message.key] = why

    def arrange(self, incident, keys):
        self.order = dict(keys)

    def remember(self, *_):
        """References are looked at elsewhere."""


def asked(found):
    return [(page.step, page.to, page.last) for page in found.pages]


def test_the_chain_of_the_plan(tmp_path):
    here = host(tmp_path)
    steps = here.policy.steps(("core",))
    assert [(step.after.total_seconds() / 60, step.to, step.last) for step in steps] == [
        (10, ("lead",), False),
        (30, ("head",), False),
        (45, ("core", "lead", "head"), True),
    ]
    assert [(step.after.total_seconds() / 60, step.last) for step in here.policy.steps(("lead",))] == [(15, True)]
    assert [(step.after.total_seconds(), step.last) for step in here.policy.steps(())] == [(0, True)]


def test_a_chain_that_goes_round_ends(tmp_path):
    text = PLAN.replace(
        "lead: {name: The lead, channels: [pager]}", "lead: {name: L, channels: [pager], escalate_after: {5m: core, 20m: head}}"
    )
    steps = host(tmp_path, text=text).policy.steps(("core",))
    assert [(step.after.total_seconds() / 60, step.to) for step in steps] == [
        (10, ("lead",)),
        (30, ("head",)),
        (45, ("core", "lead", "head")),
    ]


def test_who_is_next_is_asked_in_time_and_only_once(tmp_path):
    here = host(tmp_path)
    found, _ = here.room.declare(orders(), here.who("anna"))
    for minutes, expected in (
        (9, [0]),
        (1, [0, 1]),
        (0, [0, 1]),
        (25, [0, 1, 2]),
        (10, [0, 1, 2, 3]),
        (600, [0, 1, 2, 3]),
    ):
        here.clock.forward(minutes * 60)
        escalate(here.log.load(found.id), here.policy, here.log, here.who(MACHINE))
        here.restart()
        assert [page.step for page in here.log.load(found.id).pages] == expected
    after = here.log.load(found.id)
    assert after.exhausted
    assert {each["channel"] for each in after.events[-1].data["tell"]} == {"chat", "pager", "mail"}


def test_a_schedule_that_stood_still_passes_nobody_over(tmp_path):
    here = host(tmp_path)
    found, _ = here.room.declare(orders(), here.who("anna"))
    here.clock.forward(3600)
    escalate(found, here.policy, here.log, here.who(MACHINE))
    assert [to for _, to, _ in asked(here.log.load(found.id))] == [("core",), ("lead",), ("head",), ("core", "lead", "head")]


def test_an_answer_ends_it_and_opening_again_begins_it_anew(tmp_path):
    here = host(tmp_path)
    found, _ = here.room.declare(orders(), here.who("anna"))
    here.clock.forward(11 * 60)
    escalate(found, here.policy, here.log, here.who(MACHINE))
    found = here.room.acknowledge(found.id, here.who("ben"))
    here.clock.forward(3600)
    assert escalate(found, here.policy, here.log, here.who(MACHINE)) == []
    here.room.resolve(found.id, here.who("ben"))
    found = here.room.reopen(found.id, here.who("ben"), "it is back")
    assert steps_due(found, here.policy, here.log) == []
    here.clock.forward(11 * 60)
    escalate(found, here.policy, here.log, here.who(MACHINE))
    assert asked(here.log.load(found.id))[-2:] == [(0, ("core",), False), (1, ("lead",), False)]


def test_a_clock_that_is_set_does_not_page_early_or_never(tmp_path):
    here = host(tmp_path)
    found, _ = here.room.declare(orders(), here.who("anna"))
    here.clock.set(86400)
    assert steps_due(found, here.policy, here.log) == []
    here.clock.set(-3 * 86400)
    here.clock.forward(10 * 60)
    assert [step.number for step in steps_due(found, here.policy, here.log)] == [1]


def test_another_host_that_did_the_same_step_sends_the_same_message(tmp_path):
    one, two = host(tmp_path, "ops1"), host(tmp_path, "ops2")
    found, _ = one.room.declare(orders(), one.who("anna"))
    two.hears(one)
    for each in (one, two):
        each.clock.forward(11 * 60)
        escalate(each.log.load(found.id), each.policy, each.log, each.who(MACHINE))
    keys = [{message.key for _, _, message in messages(each.log.load(found.id), each.policy)} for each in (one, two)]
    assert keys[0] == keys[1]
    one.hears(two)
    assert [page.step for page in one.log.load(found.id).pages] == [0, 1]


def test_repeats_and_severities_that_do_not_escalate(tmp_path):
    here = host(tmp_path, text=PLAN.replace("  acknowledge: 15m\n", "  acknowledge: 15m\n  repeat: 1h\n"))
    found, _ = here.room.declare(orders(), here.who("anna"))
    calm, _ = here.room.declare(orders(severity="P4"), here.who("anna"))
    for hours, times in ((1, 1), (0.1, 1), (1, 2), (5, 3)):
        here.clock.forward(hours * 3600)
        escalate(here.log.load(found.id), here.policy, here.log, here.who(MACHINE))
        assert sum(page.last for page in here.log.load(found.id).pages) == times
    assert steps_due(calm, here.policy, here.log) == []


def test_a_plan_that_got_shorter_does_not_end_the_search(tmp_path):
    here = host(tmp_path)
    found, _ = here.room.declare(orders(), here.who("anna"))
    here.clock.forward(31 * 60)
    escalate(found, here.policy, here.log, here.who(MACHINE))
    text = PLAN.replace(", escalate_after: {10m: lead, 30m: head}", "")
    renamed = text.replace("owner: core", "owner: team").replace("core: {name", "team: {name")
    for number, said in enumerate((text, renamed)):
        fewer = rules(tmp_path / str(number), said)
        assert [(step.number, step.last) for step in steps_due(here.log.load(found.id), fewer, here.log)] == [(3, True)]
    escalate(here.log.load(found.id), fewer, here.log, here.who(MACHINE))
    after = here.log.load(found.id)
    assert after.exhausted
    here.clock.forward(86400)
    assert steps_due(after, fewer, here.log) == []


def test_what_is_declared_quietly_stays_quiet_until_it_is_opened_again(tmp_path):
    here = host(tmp_path)
    anna = here.who("anna")
    found, _ = here.room.declare(orders(quiet=True), anna)
    here.clock.forward(86400)
    assert escalate(found, here.policy, here.log, here.who(MACHINE)) == []
    here.room.acknowledge(found.id, anna)
    found = here.room.resolve(found.id, anna)
    assert list(messages(found, here.policy)) == []
    found = here.room.reopen(found.id, anna, "it is no secret any more")
    assert {channel for _, channel, _ in messages(found, here.policy)} == {"chat", "pager"}
    here.clock.forward(11 * 60)
    assert [step.to for step in steps_due(found, here.policy, here.log)] == [("lead",)]


def test_what_is_opened_again_has_not_been_told_to_everybody(tmp_path):
    here = host(tmp_path)
    found, _ = here.room.declare(orders(), here.who("anna"))
    here.clock.forward(7200)
    escalate(found, here.policy, here.log, here.who(MACHINE))
    assert here.log.load(found.id).exhausted
    here.room.resolve(found.id, here.who("anna"))
    assert not here.room.reopen(found.id, here.who("anna"), "it is back").exhausted


def test_what_is_said_when_it_is_over_wakes_nobody(tmp_path):
    """A trigger for an alert that is resolved would be a new alert."""
    here = host(tmp_path)
    found, _ = here.room.declare(orders(), here.who("anna"))
    here.room.acknowledge(found.id, here.who("ben"))
    here.room.resolve(found.id, here.who("ben"))
    here.room.update(found.id, here.who("ben"), "resolved", "all is well", "All is well.")
    here.clock.forward(3 * 86400)
    found = remind(here.log.load(found.id), here.policy, here.log, here.who(MACHINE))
    told = [message for _, channel, message in messages(found, here.policy) if channel == "pager"]
    assert [message.kind for message in told] == ["declared", "acknowledged", "resolved", "updated", "reminder"]
    found = here.room.reopen(found.id, here.who("ben"), "it is back")
    told = [message for _, channel, message in messages(found, here.policy) if channel == "pager"]
    with Pager() as service:
        client, reference, states = pagerduty(service), None, []
        for message in told:
            reference = client.send(Message.from_json(message.to_json()), reference)
            states.append([state for state, _ in service.alerts.values()])
        assert [newest for *_, newest in states] == ["triggered", "acknowledged", "resolved", "resolved", "resolved", "triggered"]
        assert states[-1] == ["resolved", "triggered"]
        # The alert of the first round is resolved once more, in case that it was not.
        assert len(service.asked) == 5


@pytest.mark.parametrize(("outcome", "drill"), [("false alarm", ""), ("duplicate", ""), ("drill", "D1")])
def test_who_was_asked_hears_that_there_was_nothing(tmp_path, outcome, drill):
    here = host(tmp_path)
    found, _ = here.room.declare(orders(drill=drill), here.who("anna"))
    found = here.room.close(found.id, here.who("anna"), outcome=outcome, why="a probe was broken")
    last = {channel: message for _, channel, message in messages(found, here.policy)}
    assert {channel: (message.kind, message.text) for channel, message in last.items()} == {
        "chat": ("resolved", "a probe was broken"),
        "pager": ("resolved", "a probe was broken"),
    }
    other, _ = here.room.declare(orders(), here.who("anna"))
    here.room.resolve(other.id, here.who("anna"))
    other = here.room.close(other.id, here.who("anna"), outcome="false alarm", why="a probe was broken")
    assert [message.kind for _, channel, message in messages(other, here.policy) if channel == "pager"] == ["declared", "resolved"]


def test_a_message_of_another_host_is_left_to_it_for_a_while(tmp_path):
    one, two = host(tmp_path, "ops1"), host(tmp_path, "ops2")
    found, _ = one.room.declare(orders(), one.who("anna"))
    two.hears(one)
    box = Box()
    assert queue(two.log.load(found.id), two.policy, two.log, box) == 0
    two.clock.forward(16 * 60)
    queue(two.log.load(found.id), two.policy, two.log, box)
    assert {channel for channel, _ in box.taken} == {"chat", "pager"}


def test_drills_are_marked_on_every_message(tmp_path):
    here = host(tmp_path)
    found, _ = here.room.declare(orders(drill="D1"), here.who("anna"))
    here.clock.forward(3600)
    escalate(found, here.policy, here.log, here.who(MACHINE))
    here.room.acknowledge(found.id, here.who("ben"))
    here.room.update(found.id, here.who("ben"), "monitoring", "fine", "Fine.")
    here.room.resolve(found.id, here.who("ben"))
    told = [message for _, _, message in messages(here.log.load(found.id), here.policy)]
    assert len(told) > 10
    assert all(message.headline.startswith("[DRILL] ") for message in told)
    assert {message.kind for message in told} == {"declared", "escalated", "acknowledged", "updated", "resolved"}


def test_what_is_due(tmp_path):
    here = host(tmp_path)
    found, _ = here.room.declare(orders(), here.who("anna"))
    here.clock.forward(31 * 60)
    assert [one.what for one in due([here.log.load(found.id)], here.policy, here.log)] == ["escalate", "escalate", "update"]
    here.room.resolve(found.id, here.who("anna"))
    here.room.action(found.id, here.who("anna"), "A1", text="watch", owner="ben", due="2026-11-22")
    here.clock.forward(86400)
    found = here.log.load(found.id)
    assert [(one.what, one.since <= here.clock.now()) for one in due([found], here.policy, here.log)] == [
        ("postmortem", True),
        ("action", True),
    ]


# ------------------------------------------------------------ with real channels


@pytest.fixture
def services():
    with Hooks() as chat, Hooks() as pager, Hooks() as mail:
        yield {"CHAT": chat, "PAGER": pager, "MAILER": mail}


def kept(folder: Path, services, clock=None) -> Incidents:
    path = folder / "holdfast.yaml"
    path.write_text(PLAN)
    environ = {name: service.url + HOOK for name, service in services.items()}
    return Incidents(load(path), clock or Clock(), {**environ, "HOLDFAST_STATE": str(folder / "state")})


def kinds(service):
    return [body["type"] for body in service.seen.values()]


def test_messages_wait_while_chat_is_down_and_arrive_once(tmp_path, services):
    clock = Clock()
    here = kept(tmp_path, services, clock)
    services["CHAT"].always = "die-before"
    found, _ = here.room.declare(orders(), here.machine)
    here.tell([found])
    assert len(services["PAGER"].seen) == 1
    assert [(line.channel, line.standing) for line in here.lines(found.id)] == [("chat", "waiting"), ("pager", "sent")]
    services["CHAT"].always = None
    clock.forward(300)
    here.upkeep()
    here.upkeep()
    assert len(services["CHAT"].seen) == 1
    assert len(services["CHAT"].asked) > 1
    after = here.log.load(found.id)
    assert len(after.delivered) == 2
    assert set(after.references) == {"chat", "pager"}


def test_a_lost_state_loses_no_message_and_repeats_none(tmp_path, services):
    clock = Clock()
    here = kept(tmp_path, services, clock)
    services["CHAT"].always = "die-before"
    found, _ = here.room.declare(orders(), here.machine)
    here.tell([found])
    for path in (tmp_path / "state").glob("state.sqlite*"):
        path.unlink()
    services["CHAT"].always = None
    here = kept(tmp_path, services, clock)
    here.upkeep()
    assert [len(services[name].asked) for name in ("PAGER",)] == [1]  # it was told before, and the journal says so
    assert len(services["CHAT"].seen) == 1
    assert here.log.load(found.id).state == "declared"


def test_what_a_person_gave_up_is_not_told_when_the_queue_has_forgotten_it(tmp_path, services):
    clock = Clock()
    here = kept(tmp_path, services, clock)
    services["CHAT"].always = "die-before"
    found, _ = here.room.declare(orders(), here.machine)
    here.tell([here.room.close(found.id, here.machine, outcome="false alarm", why="a probe")])
    box = here.state.outbox
    assert box.drop([line.id for line in box.lines(standing=("waiting",))]) == 2
    here.send()
    assert len(here.log.load(found.id).dropped) == 2
    services["CHAT"].always = None
    clock.forward(100 * 86400)
    other, _ = here.room.declare(orders(title="another"), here.machine)
    here.tell([other])
    assert not any(line.standing == "dropped" for line in box.lines())
    here.upkeep()
    assert {body["data"]["incident"] for body in services["CHAT"].seen.values()} == {other.id}


CHILD = """
import sys
from pathlib import Path
from tests.incidents.test_escalation import kept
from tests.incidents.kit import Clock, orders
class Service: pass
def service(url):
    made = Service(); made.url = url; return made
folder, *urls = sys.argv[1:]
here = kept(Path(folder), dict(zip(("CHAT", "PAGER", "MAILER"), map(service, urls))))
found, _ = here.room.declare(orders(key="one"), here.machine)
print(found.id, flush=True)
here.tell([found])
"""


def test_a_process_killed_between_sending_and_noting_repeats_with_the_same_key(tmp_path, services):
    """The service has it and answers nothing; the process dies by kill -9. The next one sends again, and the key tells the service."""
    services["CHAT"].next = ["slow"]
    urls = [services[name].url for name in ("CHAT", "PAGER", "MAILER")]
    root = Path(__file__).resolve().parents[2]
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path), *urls],
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    try:
        assert child.stdout is not None
        incident = child.stdout.readline().strip()
        while not services["CHAT"].asked:
            assert child.poll() is None
            time.sleep(0.02)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert child.stdout is not None
        child.stdout.close()
    first = services["CHAT"].asked[0].headers["webhook-id"]
    clock = Clock()
    here = kept(tmp_path, services, clock)
    again, new = here.room.declare(orders(key="one"), here.machine)
    assert (again.id, new) == (incident, False)
    clock.forward(300)
    here.upkeep()
    assert [asked.headers["webhook-id"] for asked in services["CHAT"].asked] == [first, first]
    assert len(services["CHAT"].seen) == 1
    assert len(services["PAGER"].seen) == 1
    assert len(here.log.load(incident).delivered) == 2


KILLED = """
import sys
from pathlib import Path
from tests.incidents.kit import host
folder, incident = sys.argv[1:]
here = host(Path(folder))
for number in range(10000):
    here.room.note(incident, here.who("anna"), f"note {number}")
    print(number, flush=True)
"""


def test_nothing_acknowledged_is_lost_when_the_writer_is_killed(tmp_path):
    here = host(tmp_path)
    found, _ = here.room.declare(orders(), here.who("anna"))
    root = Path(__file__).resolve().parents[2]
    seen = 0
    for wanted in (1, 4, 9):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path), found.id],
            cwd=root,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        assert child.stdout is not None
        told = 0
        while told < wanted and child.stdout.readline():
            told += 1
        child.send_signal(signal.SIGKILL)
        told += len(child.stdout.read().splitlines())
        child.wait()
        child.stdout.close()
        seen += told
    here.restart()
    assert here.journal.verify() == []
    notes = [event for event in here.log.load(found.id).events if event.kind == "note"]
    assert seen <= len(notes) <= seen + 3
    here.room.acknowledge(found.id, here.who("ben"))


def test_the_policy_of_no_plan_pages_nobody(tmp_path):
    del tmp_path
    assert policy(None).answerable(["x"]) == ()
    assert policy(None).reach(["x"]) == {}
