"""One outbox for several hosts, in PostgreSQL: one of them sends each message, whoever stands still; alone when that is down."""

import threading

import pytest

from holdfast.assembly.incidents import Incidents
from holdfast.plan import load
from holdfast.state import State
from tests.channels import test_outbox_machine
from tests.channels.fake import Fake, delivery
from tests.channels.kit import HOOK, Hooks, SetClock, message
from tests.incidents.kit import PLAN, orders
from tests.incidents.kit import Clock as Wall

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(600)]


@pytest.fixture
def dsn(pg15):
    pg15.execute("create database outboxes")
    yield f"postgresql://postgres@127.0.0.1:{pg15.port}/outboxes"
    pg15.execute("drop database outboxes with (force)")


@pytest.fixture
def clock():
    return SetClock()


@pytest.fixture
def hosts(tmp_path, clock, dsn):
    return [State(tmp_path / name, clock, dsn) for name in ("ops1", "ops2")]


def test_what_one_host_queued_another_sends_once_and_in_order(hosts, clock):
    one, two = hosts
    for number in (1, 2, 3):
        assert one.outbox.put(["chat"], message("updated", number)) == 1
    assert two.outbox.put(["chat"], message("updated", 2)) == 0
    told = []
    chat = Fake()
    assert delivery(two, clock, chat, noted=told.append).run() == 3
    assert [key for _, key in chat.took] == [f"INC-2026-0007.{number}" for number in (1, 2, 3)]
    assert delivery(one, clock, chat, noted=told.append).run() == 0
    assert one.outbox.reference("chat", "INC-2026-0007").ids["last"] == "INC-2026-0007.3"
    assert [line.standing for line in told] == ["sent"] * 3


def test_both_at_once_send_each_message_once(hosts, clock):
    class Both(Fake):
        """One service, seen by both."""

        lock = threading.Lock()

        def send(self, one, reference=None, *, again=False):
            with self.lock:
                return super().send(one, reference, again=again)

    chat = Both()
    for number in range(12):
        hosts[0].outbox.put(["chat"], message(incident=f"I{number % 3}", key=f"I{number % 3}.{number}"))
    threads = [threading.Thread(target=delivery(host, clock, chat).run) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    delivery(hosts[0], clock, chat).run()
    assert sorted(key for _, key in chat.took) == sorted(f"I{number % 3}.{number}" for number in range(12))
    assert not any(again for _, again, _ in chat.calls)


def test_who_lost_the_channel_begins_nothing_any_more(hosts):
    one, two = hosts
    one.outbox.put(["chat"], message())
    old = one.outbox.leases.acquire("outbox:chat", 300)
    [line] = one.outbox.ready("chat")
    with one.database.writing() as db:
        db.execute("update leases set expires = taken")
    new = two.outbox.leases.acquire("outbox:chat", 300)
    assert new.fence > old.fence
    assert one.outbox.begin(line, old) is None
    assert two.outbox.begin(line, new)
    assert [line.attempts for line in one.outbox.lines()] == [1]


def test_the_state_machine_holds_here_too(tmp_path, dsn, monkeypatch):
    from hypothesis import HealthCheck, settings
    from hypothesis.stateful import run_state_machine_as_test

    def fresh(folder, clock):
        state = State(folder, clock, dsn)
        with state.database.writing() as db:
            for table in ("outbox", "outbox_references", "leases"):
                db.execute(f"delete from {table}")
        return state

    # The machine's clock steps; the server's does not.
    monkeypatch.setattr("holdfast.state.postgres.PostgresDatabase.now", lambda self, _: self.clock.now())
    monkeypatch.setattr(test_outbox_machine, "State", fresh)
    test_outbox_machine.Machine.folder = tmp_path
    run_state_machine_as_test(
        test_outbox_machine.Machine,
        settings=settings(max_examples=4, stateful_step_count=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)),
    )


def test_while_the_server_is_down_a_host_tells_alone_and_hands_over_what_is_left(tmp_path, pg15, dsn):
    path = tmp_path / "holdfast.yaml"
    path.write_text(PLAN)
    with Hooks() as chat, Hooks() as pager, Hooks() as mail:
        environ = {"CHAT": chat.url + HOOK, "PAGER": pager.url + HOOK, "MAILER": mail.url + HOOK, "HOLDFAST_STATE": str(tmp_path / "s")}

        def kept():
            clock = Wall()
            return Incidents(load(path), clock, environ, state=State(tmp_path / "s", clock, dsn))

        chat.always = "die-before"
        pg15.execute("alter database outboxes with allow_connections false")
        try:
            here = kept()
            found, _ = here.room.declare(orders(), here.machine)
            assert here.tell([found]) == 1
            assert "cannot be used" in here.apart
            assert {line.channel: line.standing for line in here.lines(found.id)} == {"chat": "waiting", "pager": "sent"}
            # Who only looks is not kept from it either.
            assert len(kept().lines(found.id)) == 2
        finally:
            pg15.execute("alter database outboxes with allow_connections true")
        chat.always = None
        here = kept()
        here.clock.forward(300)
        here.upkeep()
        assert here.apart == ""
        assert here.box.shared
        assert here.state.own_outbox.channels_waiting() == []
        assert (len(chat.seen), len(pager.asked)) == (1, 1)
        assert set(here.log.load(found.id).references) == {"chat", "pager"}


def test_what_a_host_sends_of_an_incident_that_it_does_not_know_is_noted_by_one_that_does(tmp_path, dsn):
    path = tmp_path / "holdfast.yaml"
    path.write_text(PLAN)
    with Hooks() as service:
        environ = dict.fromkeys(("CHAT", "PAGER", "MAILER"), service.url + HOOK)
        one, two = (
            Incidents(load(path), clock, {**environ, "HOLDFAST_STATE": str(tmp_path / name)}, state=State(tmp_path / name, clock, dsn))
            for name, clock in (("ops1", Wall()), ("ops2", Wall()))
        )
        found, _ = one.room.declare(orders(), one.machine)
        one.box.put(["chat"], next(iter(_messages(found, one))))
        assert two.send() == 1
        assert len(two.box.unnoted()) == 1
        one.send()
        assert two.box.unnoted() == []
        assert len(one.log.load(found.id).delivered) == 1


def _messages(found, kept):
    from holdfast.incidents.messages import messages

    return [each for _, channel, each in messages(found, kept.policy) if channel == "chat"]
