"""The state's promises: one file, many processes, may vanish, newer versions refused, damage set aside."""

import contextlib
import datetime as dt
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from holdfast.model import SystemClock
from holdfast.state import State, StateNewer, StateUnusable, directory
from holdfast.state.schema import STEPS


class SetClock:
    """A clock that stands where a test puts it."""

    def __init__(self) -> None:
        self.moment = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
        self.passed = 0.0

    def now(self) -> dt.datetime:
        return self.moment

    def monotonic(self) -> float:
        return time.monotonic() + self.passed

    def forward(self, seconds: float) -> None:
        """Time passes; whoever sets ``moment`` lets the wall clock step alone."""
        self.moment += dt.timedelta(seconds=seconds)
        self.passed += seconds

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@pytest.fixture
def clock():
    return SetClock()


@pytest.fixture
def state(tmp_path, clock):
    return State(tmp_path / "state", clock)


@contextlib.contextmanager
def python(code: str, *args: str):
    with subprocess.Popen([sys.executable, "-c", code, *args], stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def test_location_follows_the_environment():
    assert directory({"HOLDFAST_STATE": "/x/y", "XDG_STATE_HOME": "/z"}) == Path("/x/y")
    assert directory({"XDG_STATE_HOME": "/z", "HOME": "/h"}) == Path("/z/holdfast")
    assert directory({"HOME": "/h"}) == Path("/h/.local/state/holdfast")


SLEEPER = """
import sys, time, pathlib
from holdfast.model import SystemClock
from holdfast.state import State
state = State(pathlib.Path(sys.argv[1]), SystemClock())
state.leases.acquire("x", 3600)
print(state.runs.begin("backup", "orders"), flush=True)
time.sleep(60)
"""


def test_a_killed_process_leaves_a_lost_run_and_a_free_lease(tmp_path):
    real = State(tmp_path / "state", SystemClock())
    with python(SLEEPER, str(real.folder)) as child:
        run = child.stdout.readline().strip()
        assert real.leases.acquire("x", 10) is None
        assert real.runs.get(run).outcome is None
    assert real.runs.get(run).outcome == "lost"
    assert real.leases.acquire("x", 10) is not None


def test_a_lease_has_one_holder_until_it_ends(state, clock):
    lease = state.leases.acquire("due", 60)
    assert lease is not None
    assert state.leases.acquire("due", 60) is None
    assert state.leases.renew(lease, 60)
    clock.forward(61)
    other = state.leases.acquire("due", 60)
    assert other is not None
    assert not state.leases.renew(lease, 60)
    state.leases.release(lease)
    assert state.leases.holder("due").holder == other.holder
    state.leases.release(other)
    assert state.leases.holder("due") is None


@pytest.mark.parametrize("step", [dt.timedelta(days=2), dt.timedelta(days=-400)])
def test_a_wall_clock_that_steps_hands_a_lease_to_nobody_and_keeps_it_for_nobody(state, clock, step):
    lease = state.leases.acquire("due", 60)
    clock.moment += step
    assert State(state.folder, clock).leases.acquire("due", 60) is None
    assert state.leases.holder("due").holder == lease.holder
    assert state.leases.renew(lease, 60)
    clock.forward(61)
    assert state.leases.holder("due") is None
    assert state.leases.acquire("due", 60) is not None


def test_a_lease_that_an_older_version_wrote_ends_by_the_wall_clock(state, clock):
    state.leases.acquire("due", 60)
    with state.database.writing() as db:
        db.execute("update leases set boot = '', until = 0")
    assert state.leases.acquire("due", 60) is None
    clock.moment += dt.timedelta(seconds=61)
    assert state.leases.acquire("due", 60) is not None


def test_a_state_of_the_version_before_is_lifted_with_what_it_holds(tmp_path, clock):
    """As a process that was not upgraded yet left it: a lease that runs, a message that waits."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    with contextlib.closing(sqlite3.connect(folder / "state.sqlite", isolation_level=None)) as old:
        for number, step in enumerate(STEPS[:4], 1):
            for statement in step.split(";"):
                old.execute(statement)
            old.execute(f"pragma user_version = {number}")
        old.execute(
            "insert into leases values ('x', 'h', ?, 1, '', '2026-05-01T11:00:00.000000+00:00', '2026-05-01T13:00:00.000000+00:00', 3)",
            ("elsewhere",),
        )
        old.execute(
            "insert into outbox (channel, incident, key, message, queued, due) values ('chat', 'I', 'I.1', ?,"
            " '2026-05-01T11:00:00.000000+00:00', '2026-05-01T11:00:00.000000+00:00')",
            (json.dumps({"incident": "I", "key": "I.1", "kind": "declared", "title": "t"}),),
        )
    state = State(folder, clock)
    assert state.leases.holder("x").fence == 3
    assert state.leases.acquire("x", 60) is None
    assert [(line.message.key, line.late) for line in state.outbox.ready("chat")] == [("I.1", False)]


def test_the_file_may_be_deleted_at_any_time(state):
    run = state.runs.begin("backup", "o")
    for path in state.folder.iterdir():
        path.unlink()
    state.runs.progress(run, done=1)
    state.runs.end(run, "ok")
    assert state.runs.recent() == []
    assert state.leases.acquire("x", 1) is not None


def test_the_file_is_private(state):
    state.runs.begin("backup", "o")
    assert state.database.path.stat().st_mode & 0o077 == 0
    assert state.folder.stat().st_mode & 0o077 == 0


def test_a_newer_version_is_refused_and_left_alone(state):
    state.runs.begin("backup", "o")
    db = sqlite3.connect(state.database.path)
    db.execute("pragma user_version = 99")
    db.commit()
    db.close()
    with pytest.raises(StateNewer, match="version 99"):
        state.runs.recent()


@pytest.mark.parametrize("damage", [b"this is no database" * 300, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_damage_is_set_aside_and_said(state, damage):
    state.runs.begin("backup", "o")
    for suffix in ("-wal", "-shm"):
        Path(f"{state.database.path}{suffix}").unlink(missing_ok=True)
    state.database.path.write_bytes(damage)
    run = state.runs.begin("backup", "o")
    assert [r.id for r in state.runs.recent()] == [run]
    (aside,) = state.folder.glob("*.damaged-*")
    assert aside.read_bytes() == damage
    assert "damaged" in state.database.notices()[0][1]


def test_an_unusable_folder_is_said_with_a_hint(tmp_path, clock):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateUnusable) as caught:
        State(tmp_path / "file" / "below", clock).runs.recent()
    assert "HOLDFAST_STATE" in caught.value.hint


def start(code: str, folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


WORKER = """
import sys, pathlib
from holdfast.model import SystemClock
from holdfast.state import State
state = State(pathlib.Path(sys.argv[1]), SystemClock())
print("ready", flush=True)
sys.stdin.readline()
got = 0
for n in range(40):
    lease = state.leases.acquire("one", 60)
    if lease is not None:
        with state.database.writing() as db:
            db.execute("update counter set inside = inside + 1")
        with state.database.reading() as db:
            assert db.execute("select inside from counter").fetchone()[0] == 1, "two holders"
        with state.database.writing() as db:
            db.execute("update counter set inside = inside - 1, total = total + 1")
        state.leases.release(lease)
        got += 1
    run = state.runs.begin("backup", "s")
    state.runs.end(run, "ok")
print(got, flush=True)
"""


def test_many_processes_begin_at_once_and_never_share_a_lease(tmp_path):
    folder = tmp_path / "state"
    state = State(folder, SystemClock())
    with state.database.writing() as db:
        db.execute("create table counter (inside integer, total integer)")
        db.execute("insert into counter values (0, 0)")
    children = [
        subprocess.Popen([sys.executable, "-c", WORKER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(5)
    ]
    for child in children:
        assert child.stdout.readline() == "ready\n"
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    outputs = [child.communicate(timeout=120)[0] for child in children]
    assert all(child.returncode == 0 for child in children)
    with state.database.reading() as db:
        assert tuple(db.execute("select inside, total from counter").fetchone()) == (0, sum(int(o) for o in outputs))
    assert len(state.runs.recent(limit=1000)) == 5 * 40


CREATOR = """
import sys, pathlib
from holdfast.model import SystemClock
from holdfast.state import State
sys.stdin.readline()
State(pathlib.Path(sys.argv[1]), SystemClock()).runs.begin("backup", "s")
"""


def test_many_processes_create_the_file_at_once(tmp_path):
    folder = tmp_path / "state"
    children = [start(CREATOR, folder) for _ in range(5)]
    for child in children:
        child.communicate("go\n", timeout=60)
    assert [child.returncode for child in children] == [0] * 5
    assert len(State(folder, SystemClock()).runs.recent()) == 5


WRITER = """
import sys, pathlib
from holdfast.model import SystemClock
from holdfast.state import State
state = State(pathlib.Path(sys.argv[1]), SystemClock())
n = 0
while True:
    n += 1
    with state.database.writing() as db:
        db.execute("insert into durations (system, verb, at, seconds) values ('a', 'left', '', ?)", (n,))
        db.execute("insert into durations (system, verb, at, seconds) values ('a', 'right', '', ?)", (n,))
    print(n, flush=True)
"""


def test_kill_9_leaves_whole_transactions_only(tmp_path):
    folder = tmp_path / "state"
    for round_ in range(4):
        with python(WRITER, str(folder)) as child:
            for _ in range(10 + 7 * round_):
                child.stdout.readline()
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
            said = [int(line) for line in child.stdout.read().split()]
        with State(folder, SystemClock()).database.reading() as db:
            left = [row[0] for row in db.execute("select seconds from durations where verb = 'left' order by id")]
            right = [row[0] for row in db.execute("select seconds from durations where verb = 'right' order by id")]
            assert db.execute("pragma integrity_check").fetchone()[0] == "ok"
        assert left == right
        assert left[-1] >= max(said, default=0)


def test_a_write_beside_a_held_state_moves_nothing_into_the_file(state):
    """Moving it means several syncs of the disk: too much for what is written every second beside a server's commits."""
    run = state.runs.begin("follow", "orders-db")
    before = state.database.path.read_bytes()
    with state.database.held():
        state.runs.progress(run, done=1)
        state.runs.progress(run, done=2)
        assert state.database.path.read_bytes() == before
        assert state.runs.get(run).progress == {"done": 2}
        state.database.path.unlink()
        state.runs.progress(run, done=3)
        assert state.runs.get(run) is None
    state.runs.begin("follow", "orders-db")
    assert len(state.runs.recent(active=True)) == 1


def test_a_state_that_cannot_be_held_is_no_hindrance(tmp_path, clock):
    (tmp_path / "state").write_text("no folder")
    state = State(tmp_path / "state", clock)
    with state.database.held(), pytest.raises(StateUnusable):
        state.runs.recent()
