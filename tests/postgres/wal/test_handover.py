"""A follower that comes while a backup ships its own WAL gets the branch at once: in synchronous mode commits wait for it."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from holdfast.model import Silent, SystemClock
from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.capture import wal as capture_wal
from holdfast.systems.postgres.capture.wal import BackupWal
from holdfast.systems.postgres.follow import slot_name
from holdfast.vault.logs import LogFollowed
from tests.postgres.wal.following import PATIENCE, assembled, logs_of, new_vault, running, spawn
from tests.postgres.wal.test_follow import flushed, server_bytes
from tests.servers import PostgresServer, need

pytestmark = pytest.mark.postgres
RESCUED = 60.0
"""Seconds after which a commit is taken to wait for the backup's end. It takes about one and a half; a loaded disk may need some more."""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with need():
        server = PostgresServer.create(
            18, settings={"synchronous_standby_names": slot_name("db"), "synchronous_commit": "local", "wal_keep_size": "1GB"}
        )
    server.execute("create table t (x text)")
    yield server
    server.remove()


@pytest.fixture
def logs(server, tmp_path) -> Iterator[object]:
    new_vault(tmp_path)
    yield logs_of(tmp_path)
    while begun:
        begun.pop().close()
    # A server notices late that a connection is gone.
    server.wait_for("select count(*) = 0 from pg_replication_slots where active")
    server.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots where not temporary")


begun: list[BackupWal] = []


class Notes(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


class Backup:
    """A long backup as far as its WAL is concerned."""

    def __init__(self, server: PostgresServer, logs, **options) -> None:
        self.server, self.logs, self.told = server, logs, Notes()
        self.wal = BackupWal(server.dsn, logs, progress=self.told, **{"clock": SystemClock(), **options})
        begun.append(self.wal)
        self.wal.prepare()
        server.execute("checkpoint")
        self.start = lsn.parse(server.value("select redo_lsn::text from pg_control_checkpoint()"))
        self.wal.begin(self.start, 1)

    def end(self) -> int:
        """Its stop: everything from the start to there is in the vault."""
        self.server.execute("insert into t select 'backup' from generate_series(1, 1000)")
        stop = flushed(self.server)
        self.server.execute("select pg_switch_wal()")
        branch = self.wal.finish(stop)
        self.wal.close()
        assert assembled(self.logs, branch, self.start, stop) == server_bytes(self.server, self.start, stop)
        return stop


def commit(server: PostgresServer) -> float:
    """Seconds until a synchronous commit was acknowledged; RESCUED or more where it would never be."""
    with server.connect() as connection:
        connection.execute("set synchronous_commit = on")
        rescue = threading.Timer(RESCUED, connection.cancel)
        rescue.start()
        began = time.monotonic()
        connection.execute("insert into t values ('waits for the vault')")
        rescue.cancel()
        rescue.join()
        return time.monotonic() - began


def let_go(backup: Backup) -> None:
    until = time.monotonic() + PATIENCE
    while backup.wal._writer is not None:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_commits_go_on_while_a_long_backup_runs(server, tmp_path, logs) -> None:
    backup = Backup(server, logs)
    with running(server.dsn, logs_of(tmp_path), interval=0) as follow:
        # A commit of a moment at which nobody follows waits for the follower alone, never for the backup's end.
        assert commit(server) < RESCUED
        assert max(commit(server) for _ in range(20)) < RESCUED
        assert follow.now.state == "streaming"
        backup.wal.check()
        assert any("follower, which asked" in note for note in backup.told.notes)
        stop = backup.end()
        assert max(commit(server) for _ in range(5)) < RESCUED
        follow.wait(flushed(server))
    assert len(logs.reader(logs.branches()[0]).coverage()) == 1
    assert stop > backup.start


def test_a_follower_that_took_over_and_was_killed_is_stood_in_for(server, tmp_path, logs, monkeypatch) -> None:
    monkeypatch.setattr(capture_wal, "HANDOVER_SECONDS", 0.5)
    backup = Backup(server, logs)
    process = spawn(tmp_path, server.dsn, interval=0)
    try:
        assert commit(server) < RESCUED
    finally:
        process.kill()
        process.wait()
    server.wait_for(f"select count(*) = 0 from pg_stat_replication where application_name = '{slot_name('db')}'")
    server.execute("insert into t select md5(n::text) from generate_series(1, 50000) n")
    backup.end()
    assert any("ships its WAL itself" in note for note in backup.told.notes)
    assert len(logs.reader(logs.branches()[0]).coverage()) == 1


def test_a_follower_that_asked_and_is_gone_costs_a_backup_little(server, tmp_path, logs, monkeypatch) -> None:
    monkeypatch.setattr(capture_wal, "HANDOVER_SECONDS", 0.5)
    backup = Backup(server, logs)
    with pytest.raises(LogFollowed):
        logs_of(tmp_path).writer(backup.wal.branch)
    let_go(backup)
    backup.end()
    assert len(logs.reader(logs.branches()[0]).coverage()) == 1


def test_the_branch_goes_back_and_forth(server, tmp_path, logs, monkeypatch) -> None:
    """Taken back at the backup's stop, and asked for once more while the rest is shipped."""
    monkeypatch.setattr(capture_wal, "HANDOVER_SECONDS", 0.0)
    monkeypatch.setattr(capture_wal, "SEGMENT_PATIENCE", 60.0)
    backup = Backup(server, logs)
    with pytest.raises(LogFollowed):
        logs_of(tmp_path).writer(backup.wal.branch)
    let_go(backup)
    server.execute("insert into t select md5(n::text) from generate_series(1, 1000) n")
    ended = threading.Event()

    def end() -> None:
        stop = flushed(server)
        with contextlib.closing(backup.wal):
            backup.wal.finish(stop)
        ended.set()

    thread = threading.Thread(target=end)
    thread.start()
    until = time.monotonic() + PATIENCE
    while backup.wal._writer is None and not ended.is_set():
        assert time.monotonic() < until
        time.sleep(0.001)
    with running(server.dsn, logs_of(tmp_path), interval=0) as follow:
        assert commit(server) < RESCUED
        follow.wait(flushed(server))
        thread.join(PATIENCE)
        assert ended.is_set()


class Leaping(SystemClock):
    """Nobody sleeps: minutes pass at once, and ``then`` is called."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.then: Callable[[], None] = lambda: None

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead

    def sleep(self, seconds: float) -> None:
        self.ahead += 1000 * seconds
        self.then()


def test_a_follower_that_was_away_for_long_is_given_time(server, tmp_path, logs) -> None:
    """It stores first what lies before the backup's own WAL: that is progress, too."""
    with running(server.dsn, logs_of(tmp_path)) as follow:
        follow.wait(flushed(server))
    branch = logs.branches()[0]
    (_, at) = logs.reader(branch).coverage()[-1]
    server.execute("insert into t select md5(n::text) from generate_series(1, 20000) n")
    server.execute("select pg_switch_wal()")
    held = logs.writer(branch)
    clock = Leaping()
    backup = Backup(server, logs_of(tmp_path), clock=clock, patience=900.0)
    slept = 0

    def bring() -> None:
        nonlocal at, slept
        slept += 1
        if slept % 3 == 0 and slept <= 12:
            held.append(at, server_bytes(server, at, at + 4096), {})
            at += 4096
        if slept == 13:
            held.close()

    clock.then = bring
    stop = flushed(server)
    server.execute("select pg_switch_wal()")
    assert backup.wal.finish(stop) == branch
    assert slept >= 13
