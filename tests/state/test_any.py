"""What the state promises whichever way it is kept: SQLite of one host, PostgreSQL of several."""

import contextlib
import datetime as dt
import json
import subprocess
import sys

import pytest

from holdfast.model import SystemClock
from holdfast.state import Fenced, Lease, RunbookLine, State, StateNewer, StateUnusable, Taken
from tests.state.test_state import SetClock

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def clock():
    return SetClock()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def dsn(request):
    """None for SQLite."""
    if request.param == "sqlite":
        yield None
        return
    server = request.getfixturevalue("pg15")
    server.execute("create database any_state")
    yield f"postgresql://postgres@127.0.0.1:{server.port}/any_state"
    server.execute("drop database any_state with (force)")


@pytest.fixture
def state(tmp_path, clock, dsn):
    return State(tmp_path / "state", clock, dsn)


@pytest.fixture
def other(tmp_path, clock, dsn):
    """Another user of the same state: a host of its own where there can be several."""
    return State(tmp_path / ("state" if dsn is None else "elsewhere"), clock, dsn)


def test_a_run_from_beginning_to_end(state, clock):
    run = state.runs.begin("backup", "orders", label="a")
    state.runs.progress(run, done=5, total=10)
    (seen,) = state.runs.recent(active=True)
    assert (seen.id, seen.verb, seen.system, seen.outcome) == (run, "backup", "orders", None)
    assert seen.progress == {"done": 5, "total": 10}
    clock.moment += dt.timedelta(seconds=7)
    state.runs.end(run, "ok", point="p1")
    (done,) = state.runs.recent(active=False)
    assert done.outcome == "ok"
    assert done.facts == {"label": "a", "point": "p1"}
    assert (done.ended - done.started).total_seconds() == 7
    assert state.runs.recent(active=True) == []


def test_a_run_is_found_by_a_unique_beginning(state, clock):
    first = state.runs.begin("backup", "a")
    clock.moment += dt.timedelta(days=1)
    second = state.runs.begin("backup", "b")
    assert state.runs.get(first).id == first
    assert state.runs.get(second[:8]).id == second
    assert state.runs.get("2026") is None


def test_cancelling(state):
    run = state.runs.begin("backup", "a")
    assert not state.runs.cancelled(run)
    assert state.runs.request_cancel(run, "somebody")
    assert state.runs.cancelled(run)
    state.runs.end(run, "cancelled")
    assert not state.runs.request_cancel(run, "somebody")


def test_a_pause_ends_by_itself_or_by_hand(state, clock):
    state.pauses.set("a", clock.moment + dt.timedelta(hours=1), "migration")
    state.pauses.set("b", None, "retired")
    assert set(state.pauses.current()) == {"a", "b"}
    clock.moment += dt.timedelta(hours=2)
    assert set(state.pauses.current()) == {"b"}
    assert state.pauses.clear("b")
    assert not state.pauses.clear("b")


def test_an_idle_beat_keeps_the_time_of_the_last_increment(state, clock):
    stored = clock.moment
    state.heartbeats.beat("o", "1-1", "onsite", 100, server_time=clock.moment, stored_at=stored)
    clock.moment += dt.timedelta(minutes=5)
    state.heartbeats.beat("o", "1-1", "onsite", 100, server_time=clock.moment)
    (beat,) = state.heartbeats.newest("o")
    assert (beat.stored_at, beat.seen, beat.server_time) == (stored, clock.moment, clock.moment)
    assert state.heartbeats.newest("other") == []


def test_proofs_come_newest_first(state, clock):
    state.proofs.add("o", "restore", ok=True, point="p1")
    clock.moment += dt.timedelta(days=1)
    state.proofs.add("o", "restore", ok=False, point="p2", check="rows")
    state.proofs.add("o", "structure", ok=True)
    assert [(p.ok, p.point) for p in state.proofs.recent("o", "restore")] == [(False, "p2"), (True, "p1")]
    assert len(state.proofs.recent("o")) == 3


def test_estimates_scale_with_size(state):
    assert state.durations.estimate("o", "restore") is None
    for seconds in (10, 20, 30):
        state.durations.add("o", "restore", seconds, 1000)
    assert state.durations.estimate("o", "restore").seconds == 20
    assert state.durations.estimate("o", "restore", 2000).seconds == 40
    assert state.durations.estimate("o", "restore").samples == 3


def test_a_lease_is_another_s_once_it_has_run_out_and_its_fence_is_higher(state, other, clock):
    """By the server's clock, where there is one: the hosts' own may stand anywhere."""
    first = state.leases.acquire("run", 3600)
    assert other.leases.acquire("run", 3600) is None
    assert other.leases.holder("run").fence == first.fence
    assert state.leases.renew(first, 3600)
    with state.database.writing() as db:
        db.execute("update leases set until = 0, expires = taken where name = ?", ("run",))
    clock.moment += dt.timedelta(seconds=1)
    second = other.leases.acquire("run", 3600)
    assert second.fence > first.fence
    assert not state.leases.renew(first, 3600)
    state.leases.release(first)  # no longer its own
    assert state.leases.acquire("run", 3600) is None
    other.leases.release(second)
    assert state.leases.acquire("run", 3600).fence > second.fence


def test_events_of_a_run_are_written_once_and_under_the_lease_alone(state, other, clock):
    lease = state.leases.acquire("runbook:r", 3600)
    state.runbooks.add("r", 0, "begin", "2026-01-01", {"a": [1, None, "ü"]}, held=lease)
    with pytest.raises(Taken):
        other.runbooks.add("r", 0, "begin", "2026-01-01", {})
    with state.database.writing() as db:
        db.execute("update leases set until = 0, expires = taken")
    clock.moment += dt.timedelta(seconds=1)
    mine = other.leases.acquire("runbook:r", 3600)
    with pytest.raises(Fenced) as fenced:
        state.runbooks.add("r", 1, "started", "2026-01-01", {}, held=lease)
    assert str(fenced.value) == other.runbooks.host
    other.runbooks.add("r", 1, "resumed", "2026-01-01", {}, held=mine)
    assert state.runbooks.events("r") == [(0, "begin", "2026-01-01", {"a": [1, None, "ü"]}), (1, "resumed", "2026-01-01", {})]
    assert state.runbooks.hosts("r") == {0: state.runbooks.host, 1: other.runbooks.host}


def test_lines_of_runs_are_replaced_and_old_events_go(state, other):
    for number in range(3):
        state.runbooks.note(RunbookLine(f"r{number}", "name", "running", f"2026-01-0{number + 1}", None, {"x": number}))
    other.runbooks.note(RunbookLine("r1", "name", "done", "2026-01-02", "2026-01-03", {}))
    assert [line.id for line in state.runbooks.lines(active=True)] == ["r2", "r0"]
    assert [line.id for line in state.runbooks.lines(name="name", limit=2)] == ["r2", "r1"]
    assert state.runbooks.lines(name="other") == []
    assert sorted(state.runbooks.matching("r")) == ["r0", "r1", "r2"]


def test_a_line_that_comes_late_does_not_replace_a_newer_one(state, other):
    newer = RunbookLine("r", "name", "running", "2026-01-01", None, {"events": 3, "waiting": "confirm do"})
    state.runbooks.note(newer)
    other.runbooks.note(RunbookLine("r", "name", "running", "2026-01-01", None, {"events": 2, "waiting": ""}))
    assert state.runbooks.lines() == [newer]


def test_a_transaction_that_fails_leaves_nothing(state, other):
    with contextlib.suppress(ZeroDivisionError), state.database.writing() as db:
        db.execute("insert into notices (at, text) values (?, ?)", ("now", "100% sure? yes"))
        raise ZeroDivisionError
    assert other.database.notices() == []
    with state.database.writing() as db:
        db.execute("insert into notices (at, text) values (?, ?)", ("now", "100% sure? yes"))
    assert other.database.notices() == [("now", "100% sure? yes")]


RACER = """
import json, pathlib, sys
from holdfast.model import SystemClock
from holdfast.state import State
state = State(pathlib.Path(sys.argv[1]), SystemClock(), json.loads(sys.argv[2]))
sys.stdin.readline()
got = [n for n in range(20) if state.leases.acquire(f"x{n}", 3600)]
print(json.dumps(got), flush=True)
sys.stdin.readline()
"""


def test_of_many_processes_one_gets_each_lease(tmp_path, dsn):
    """They are all alive while they ask; the tables are made by whoever comes first."""
    children = []
    for number in range(4):
        folder = tmp_path / ("state" if dsn is None else f"host{number}")
        words = [sys.executable, "-c", RACER, str(folder), json.dumps(dsn)]
        children.append(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    try:
        for child in children:
            child.stdin.write("go\n")
            child.stdin.flush()
        got = [number for child in children for number in json.loads(child.stdout.readline())]
        assert sorted(got) == list(range(20))
    finally:
        for child in children:
            child.kill()
            child.communicate()


@pytest.mark.postgres
def test_a_server_that_went_away_is_told_and_found_again(pg15, tmp_path):
    pg15.execute("create database away")
    try:
        state = State(tmp_path / "s", SystemClock(), f"postgresql://postgres:geheim@127.0.0.1:{pg15.port}/away")
        assert isinstance(state.leases.acquire("x", 60), Lease)
        pg15.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = 'away'")
        assert state.leases.holder("x") is not None
        pg15.execute("alter database away with allow_connections false")
        pg15.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = 'away'")
        with pytest.raises(StateUnusable) as told:
            state.leases.holder("x")
        assert "geheim" not in str(told.value)
        assert "HOLDFAST_STATE" in told.value.hint
        pg15.execute("alter database away with allow_connections true")
        assert state.leases.holder("x") is not None
        with state.database.writing() as db:
            db.execute("update version set number = 99")
        with pytest.raises(StateNewer):
            State(tmp_path / "t", SystemClock(), f"postgresql://postgres@127.0.0.1:{pg15.port}/away").runs.recent()
    finally:
        pg15.execute("drop database if exists away with (force)")


def test_the_newest_run_of_a_schedule_is_known_to_every_host(state, other):
    assert state.passes.last("due") is None
    state.passes.note("due")
    assert other.passes.last("due").host == state.database.host
    with state.database.writing() as db:
        db.execute("insert into passes (name, host, at) values ('due', 'gone', '9000-01-01T00:00:00.000000+00:00')")
    assert other.passes.last("due").host == state.database.host
    other.passes.note("due")
    assert state.passes.last("due").host == other.database.host
