"""What was queued is sent once, in order, as soon as it can be; and nobody is left to believe that it was sent when it was not."""

import datetime as dt
import threading

import pytest

from holdfast.connect.channels import ChannelDown, Reference
from holdfast.connect.secrets import SecretUnavailable
from holdfast.state import State
from holdfast.state.outbox import Delivery
from holdfast.state.outbox.queue import HOUR, LONGEST_WAIT
from tests.channels import kit
from tests.channels.fake import Fake, delivery
from tests.channels.kit import SetClock, arrived, message
from tests.channels.pager_service import Pager
from tests.channels.serving import Told


@pytest.fixture
def clock():
    return SetClock()


@pytest.fixture
def state(tmp_path, clock):
    return State(tmp_path / "state", clock)


def keys(*numbers):
    return [("INC-2026-0007", f"INC-2026-0007.{number}") for number in numbers]


def test_messages_arrive_in_order_and_carry_the_reference_on(state, clock):
    chat = Fake()
    assert [state.outbox.put(["chat"], message("updated", number)) for number in (1, 2, 3)] == [1, 1, 1]
    assert state.outbox.put(["chat"], message("updated", 2)) == 0
    assert delivery(state, clock, chat).run() == 3
    assert chat.took == keys(1, 2, 3)
    assert [call[2] and call[2].ids for call in chat.calls][1] == {"ts": "INC-2026-0007.1", "last": "INC-2026-0007.1"}
    assert state.outbox.reference("chat", "INC-2026-0007").ids == {"ts": "INC-2026-0007.1", "last": "INC-2026-0007.3"}
    lines = state.outbox.lines(incident="INC-2026-0007")
    assert [line.standing for line in lines] == ["sent"] * 3
    assert lines[0].to_json()["reference"]["ids"]["ts"] == "INC-2026-0007.1"
    assert delivery(state, clock, chat).run() == 0


def test_a_notifier_that_is_down_for_hours_gets_all_of_it_when_it_is_back(state, clock):
    chat = Fake()
    chat.mode = "down"
    for number in (1, 2, 3):
        state.outbox.put(["chat"], message("updated", number))
    for _ in range(7 * 6):
        delivery(state, clock, chat).run()
        clock.forward(600)
    first, *others = state.outbox.lines()
    assert (first.standing, first.error) == ("waiting", "chat is down")
    assert first.attempts == 7 * 6
    assert [line.attempts for line in others] == [0, 0]
    chat.mode = "ok"
    clock.forward(LONGEST_WAIT * 1.3)
    assert delivery(state, clock, chat).run() == 3
    assert chat.took == keys(1, 2, 3)


def test_waits_grow_and_never_beyond_the_longest(state, clock):
    chat = Fake()
    chat.mode = "down"
    state.outbox.put(["chat"], message())
    waits = []
    for _ in range(9):
        delivery(state, clock, chat).run()
        [line] = state.outbox.lines()
        waits.append((line.due - clock.now()).total_seconds())
        clock.moment = line.due
    assert waits[0] < 7
    assert waits == sorted(waits)
    assert LONGEST_WAIT <= waits[-1] <= LONGEST_WAIT * 1.2


def test_after_its_time_a_message_is_lost_and_told_as_such(state, clock):
    chat, told = Fake(), []
    chat.mode = "down"
    for number in (1, 2):
        state.outbox.put(["chat"], message("updated", number))
    for _ in range(27):
        delivery(state, clock, chat, noted=told.append).run()
        clock.forward(3000)
        delivery(state, clock, chat, noted=told.append).run()
        clock.forward(600)
    assert [(line.message.key, line.standing, line.error) for line in told] == [
        ("INC-2026-0007.1", "lost", "chat is down"),
        ("INC-2026-0007.2", "lost", "chat is down"),
    ]
    # The one behind waited as long: it does not get a day of its own.
    assert (told[1].ended - told[0].ended) <= dt.timedelta(hours=1)
    assert state.outbox.channels_waiting() == []
    chat.mode = "ok"
    assert state.outbox.retry() == 2
    assert delivery(state, clock, chat, noted=told.append).run() == 2
    assert [line.standing for line in told] == ["lost", "lost", "sent", "sent"]


def test_a_refusal_is_told_at_once_and_what_follows_is_tried(state, clock):
    chat, told = Fake(), []
    chat.mode = ["reject"]
    for number in (1, 2):
        state.outbox.put(["chat"], message("updated", number))
    assert delivery(state, clock, chat, noted=told.append).run() == 1
    assert [(line.standing, line.error) for line in told] == [("lost", "chat knows no such room"), ("sent", "")]
    [lost] = state.outbox.lines(standing=("lost",))
    assert state.outbox.drop([lost.id]) == 1
    delivery(state, clock, chat, noted=told.append).note()
    assert told[-1].standing == "dropped"
    assert state.outbox.retry() == 0


def test_a_busy_service_is_left_alone_as_long_as_it_asks(state, clock):
    chat = Fake()
    chat.mode = ["after"]
    state.outbox.put(["chat"], message(incident="A", key="A.1"))
    state.outbox.put(["chat"], message(incident="B", key="B.1"))
    delivery(state, clock, chat).run()
    assert len(chat.calls) == 1
    clock.forward(590)
    assert delivery(state, clock, chat).run() == 0
    assert len(chat.calls) == 1
    clock.forward(20)
    assert delivery(state, clock, chat).run() == 2


def test_one_message_that_a_service_chokes_on_does_not_stop_other_incidents(state, clock):
    class Choking(Fake):
        def send(self, one, reference=None, *, again=False):
            if one.incident == "bad":
                raise ChannelDown("500")
            return super().send(one, reference, again=again)

    chat = Choking()
    state.outbox.put(["chat"], message(incident="bad", key="bad.1"))
    for number in range(5):
        state.outbox.put(["chat"], message(incident=f"good{number}", key=f"{number}"))
    delivery(state, clock, chat).run()
    assert len(chat.took) == 5


def test_a_defect_of_a_client_keeps_the_message_and_tells_no_secret(state, clock):
    chat = Fake()
    chat.mode = ["crash"]
    state.outbox.put(["chat"], message())
    delivery(state, clock, chat).run()
    [line] = state.outbox.lines()
    assert line.standing == "waiting"
    assert "RuntimeError" in line.error
    assert "xoxb" not in line.error
    clock.forward(60)
    delivery(state, clock, chat).run()
    assert chat.took == keys(1)
    assert [again for _, again, _ in chat.calls] == [False, True]


def test_a_secret_that_is_missing_here_keeps_the_message(state, clock):
    def open_way(name):
        raise SecretUnavailable("The secret from environment variable X cannot be read: it is not set.")

    state.outbox.put(["chat"], message())
    Delivery(state.outbox, state.outbox.leases, clock, open_way).run()
    [line] = state.outbox.lines()
    assert (line.standing, line.again) == ("waiting", False)
    assert "environment variable X" in line.error


def test_what_was_settled_is_told_again_until_it_was_written_down(state, clock):
    told = []

    def noted(line):
        told.append(line.message.key)
        if len(told) == 1:
            raise OSError("the journal's disk is full")

    state.outbox.put(["chat"], message())
    with pytest.raises(OSError, match="disk is full"):
        delivery(state, clock, Fake(), noted=noted).run()
    assert state.outbox.lines()[0].standing == "sent"
    delivery(state, clock, Fake(), noted=noted).run()
    delivery(state, clock, Fake(), noted=noted).run()
    assert told == ["INC-2026-0007.1"] * 2


@pytest.mark.parametrize("step", [-7 * 86400, -3 * HOUR, 3 * HOUR, 7 * 86400])
def test_a_clock_that_steps_neither_holds_messages_back_nor_throws_them_away(state, clock, step):
    chat = Fake()
    chat.mode = "down"
    state.outbox.put(["chat"], message())
    delivery(state, clock, chat).run()
    clock.moment += dt.timedelta(seconds=step)
    for _ in range(3):
        delivery(state, clock, chat).run()
        clock.forward(200)
    [line] = state.outbox.lines()
    assert line.standing == "waiting"
    assert line.attempts >= 3
    chat.mode = "ok"
    clock.forward(200)
    assert delivery(state, clock, chat).run() == 1


def test_an_interrupted_attempt_is_asked_for_and_where_a_search_lags_only_after_a_while(state, clock):
    for settles, wait in ((0.0, 0), (30.0, 31)):
        chat = Fake(f"chat{settles}", settles=settles)
        state.outbox.put([chat.name], message())
        [line] = state.outbox.ready(chat.name)
        assert state.outbox.begin(line)
        chat.took += keys(1)
        if wait:
            assert delivery(state, clock, chat).run() == 0
            assert chat.calls == []
        clock.forward(wait)
        assert delivery(state, clock, chat).run() == 1
        assert chat.took == keys(1)
        assert [again for _, again, _ in chat.calls] == [True]


def test_a_slow_channel_does_not_hold_up_another(state, clock):
    release, paged = threading.Event(), threading.Event()

    class Slow(Fake):
        def send(self, one, reference=None, *, again=False):
            # Ends only when the other has paged: in one thread it never would.
            assert release.wait(120)
            return super().send(one, reference, again=again)

    class Quick(Fake):
        def send(self, one, reference=None, *, again=False):
            found = super().send(one, reference, again=again)
            paged.set()
            release.set()
            return found

    slow, quick = Slow("a-ticket"), Quick("b-pager")
    state.outbox.put(["a-ticket", "b-pager"], message())
    assert delivery(state, clock, slow, quick).run() == 2
    assert paged.is_set()


def test_only_one_process_sends_to_a_channel_and_who_waits_for_it_leaves_nothing_behind(state, clock):
    chat = Fake()
    state.outbox.put(["chat"], message())
    lease = state.outbox.leases.acquire("outbox:chat", 300)
    assert delivery(state, clock, chat).run() == 0
    assert chat.calls == []

    class Ending(SetClock):
        def sleep(self, seconds):
            super().sleep(seconds)
            if self.seconds > 1:
                state.outbox.leases.release(lease)

    assert delivery(state, Ending(), chat).run(patience=5) == 1


def test_the_state_may_vanish_and_the_journal_brings_the_thread_back(state, clock):
    chat = Fake()
    state.outbox.put(["chat"], message())
    delivery(state, clock, chat).run()
    known = state.outbox.reference("chat", "INC-2026-0007")
    state.database.path.unlink()
    assert state.outbox.lines() == []
    state.outbox.remember("chat", "INC-2026-0007", known)
    state.outbox.put(["chat"], message("updated", 2))
    delivery(state, clock, chat).run()
    assert chat.calls[-1][2].ids["ts"] == "INC-2026-0007.1"


def test_a_power_cut_takes_nothing_back_that_was_promised(state, monkeypatch):
    """Every change of the queue is committed with a sync: what put returned for is on the disk."""
    import sqlite3

    seen = []
    real = sqlite3.connect

    class Watched(sqlite3.Connection):
        def execute(self, text, *more):
            if text == "commit":
                seen.append(super().execute("pragma synchronous").fetchone()[0])
            return super().execute(text, *more)

    state.outbox.lines()
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: real(*a, factory=Watched, **k))
    state.outbox.put(["chat"], message())
    [line] = state.outbox.ready("chat")
    token = state.outbox.begin(line)
    state.outbox.failed(line, token, "no", maybe=True, after=None, give_up=60.0)
    state.outbox.sent(line, Reference())
    assert seen == [2] * 4


def test_old_history_goes_and_what_is_lost_stays(state, clock):
    chat = Fake()
    chat.mode = ["reject"]
    state.outbox.put(["chat"], message(incident="A", key="A"))
    state.outbox.put(["chat"], message(incident="B", key="B"))
    delivery(state, clock, chat, noted=lambda line: None).run()
    clock.forward(100 * 86400)
    state.outbox.put(["chat"], message(incident="C", key="C"))
    assert [(line.message.key, line.standing) for line in state.outbox.lines()] == [("A", "lost"), ("C", "waiting")]


def test_ten_thousand_messages_are_not_felt(state, clock):
    with state.database.writing() as db:
        for number in range(10_000):
            db.execute(
                "insert into outbox (channel, incident, key, message, queued, due, standing, noted)"
                " values ('chat', ?1, ?2, '{}', ?1, ?1, 'sent', 1)",
                (f"I{number}", f"K{number}"),
            )
        plan = db.execute(
            "explain query plan select min(id) from outbox where standing = 'waiting' and channel = 'chat' group by incident"
        ).fetchall()
    assert "outbox_waiting" in str([tuple(row) for row in plan])
    chat = Fake()
    state.outbox.put(["chat"], message())
    assert delivery(state, clock, chat).run() == 1


@pytest.mark.parametrize("name", kit.WEB)
def test_a_real_client_behind_the_outbox_when_its_service_misbehaves(state, clock, name):
    make, connect = kit.WEB[name]
    with make() as service:
        client = connect(service)
        way = delivery(state, clock, client)
        told = [message("declared", 1), message("updated", 2, title="two"), message("resolved", 3, title="three")]
        for one in told:
            state.outbox.put(["alerts"], one)
        service.next = [Told(503), Told(429, b"", {"Retry-After": "60"}), "die-before", "garbage", Told(500, b"<html>")]
        for _ in range(60):
            way.run()
            clock.forward(60)
            if not state.outbox.channels_waiting():
                break
        assert [line.standing for line in state.outbox.lines()] == ["sent"] * 3
        found = arrived(service)
        assert found == ([one.headline for one in told[:2]] if name == "pagerduty" else [one.key for one in told])
        assert not any(secret in str([line.to_json() for line in state.outbox.lines()]) for secret in kit.SECRETS)


def test_nothing_secret_rests_in_the_state(state, clock):
    with Pager() as service:
        service.next = [Told(400, {"status": "invalid event", "errors": ["Invalid routing key " + kit.pager_service.KEY]})]
        state.outbox.put(["alerts"], message())
        delivery(state, clock, kit.pagerduty(service)).run()
        assert "Invalid routing key" in state.outbox.lines()[0].error
    for file in state.folder.iterdir():
        assert kit.pager_service.KEY.encode() not in file.read_bytes()
