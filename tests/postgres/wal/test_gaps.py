"""Gaps that backups leave which ship their own WAL while nobody follows: filled while the server has the WAL, told when not."""

import contextlib
import itertools
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from holdfast.model import Silent, SystemClock
from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.capture import wal as capture_wal
from holdfast.systems.postgres.capture.wal import BackupWal
from holdfast.systems.postgres.follow import Follower, WalGap, slot_name
from holdfast.systems.postgres.link.replication import ReplicationClient
from holdfast.systems.postgres.link.replication_errors import WalRemoved
from holdfast.systems.postgres.wal.coverage import LogIndex
from holdfast.vault.logs.lease import Lease
from tests.postgres.wal.following import PATIENCE, ROOT, Running, assembled, logs_of, new_vault, running
from tests.postgres.wal.test_follow import flushed, server_bytes
from tests.servers import PostgresServer, need

pytestmark = pytest.mark.postgres
_numbers = itertools.count()


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Keeps no WAL beyond what slots ask for."""
    with need():
        server = PostgresServer.create(15, settings={"min_wal_size": "32MB", "max_wal_size": "64MB"})
    server.execute("create table t (x text)")
    yield server
    server.remove()


@pytest.fixture
def name(server, tmp_path) -> Iterator[str]:
    """A system of this test's own, with an empty vault; its slot goes with it."""
    new_vault(tmp_path)
    name = f"db{next(_numbers)}"
    yield name
    server.execute(f"select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = '{slot_name(name)}'")


def write(server, segments: int = 1) -> None:
    for _ in range(segments):
        server.execute("insert into t select md5(n::text) from generate_series(1, 2000) n")
        server.execute("select pg_switch_wal()")


def recycle(server, segments: int = 6, *, position: int | None = None) -> None:
    """The segment of ``position`` (by default: of now) is gone afterwards, and what lies before it; late on a loaded server."""
    here = lsn.segment_name(1, flushed(server) if position is None else position)
    for _ in range(segments):
        write(server)
        server.execute("checkpoint")
    until = time.monotonic() + PATIENCE
    while server.value("select count(*) from pg_ls_waldir() where name = %s", (here,)):
        assert time.monotonic() < until, server.execute("select * from pg_replication_slots")
        write(server)
        server.execute("checkpoint")


class Backup:
    """A backup as far as its WAL is concerned."""

    def __init__(self, server, logs, **options) -> None:
        self.server = server
        self.wal = BackupWal(server.dsn, logs, clock=SystemClock(), progress=Silent(), **options)
        self.wal.prepare()
        server.execute("checkpoint")
        self.start = lsn.parse(server.value("select redo_lsn::text from pg_control_checkpoint()"))
        self.wal.begin(self.start, int(server.value("select timeline_id from pg_control_checkpoint()")))

    def end(self) -> int:
        self.server.execute("insert into t select 'backup' from generate_series(1, 1000)")
        stop = flushed(self.server)
        self.server.execute("select pg_switch_wal()")
        self.wal.finish(stop)
        self.wal.close()
        # The slot goes with its connection, when the server noticed; until then it keeps WAL.
        self.server.wait_for("select count(*) = 0 from pg_replication_slots where temporary")
        return stop


def ranges(logs) -> list[tuple[int, int]]:
    (branch,) = logs.branches()
    return list(logs.reader(branch).coverage())


def follow_once(server, logs, name, **settings) -> Running:
    with running(server.dsn, logs, name, **settings) as follow:
        follow.wait(flushed(server))
    return follow


def require_servers_bytes(server, logs) -> None:
    (branch,) = logs.branches()
    ((start, end),) = logs.reader(branch).coverage()
    kept = max(start, end - end % lsn.SEGMENT - lsn.SEGMENT)
    assert assembled(logs, branch, kept, end) == server_bytes(server, kept, end)
    assert len(assembled(logs, branch, start, end)) == end - start


def test_the_follower_fills_what_backups_left_out(server, tmp_path, name) -> None:
    """Two backups while it was away leave two gaps; its slot kept the WAL."""
    logs = logs_of(tmp_path, name)
    follow_once(server, logs, name)
    for _ in range(2):
        write(server, 2)
        Backup(server, logs).end()
    write(server)
    assert len(ranges(logs)) == 3
    server.execute("checkpoint")
    with running(server.dsn, logs_of(tmp_path, name), name) as follow:
        follow.wait(flushed(server))
        follow.wait_for(lambda: follow.now.covered)
        assert not follow.now.warning
    require_servers_bytes(server, logs)
    (branch,) = logs.branches()
    index = LogIndex(logs.reader(branch))
    inserted = list(index.commits(*index.stretches[0]))
    assert len(inserted) >= 5


def test_nothing_is_acknowledged_beyond_a_gap_that_is_being_filled(server, tmp_path, name) -> None:
    logs = logs_of(tmp_path, name)
    follow_once(server, logs, name)
    end = ranges(logs)[0][1]
    write(server, 3)
    Backup(server, logs).end()
    told = []
    follow = Running(server.dsn, logs, name, buffer=1 << 20, largest=1 << 18)
    follow.follower._on_status = lambda status: told.append((status.durable, next(low for _, low in ranges(logs))))
    follow.wait(flushed(server))
    follow.stop()
    assert told
    # What is said to be durable never lay behind the first gap.
    assert all(durable is None or durable <= first for durable, first in told)
    assert ranges(logs)[0][0] < end < ranges(logs)[0][1]
    assert len(ranges(logs)) == 1


@pytest.fixture
def unheard(monkeypatch) -> None:
    """Backups hear nobody who asks for their branch, as earlier releases did."""
    monkeypatch.setattr(capture_wal, "ASK_SECONDS", 1e9)


@pytest.mark.usefixtures("unheard")
def test_a_backup_that_holds_the_branch_while_the_follower_comes(server, tmp_path, name) -> None:
    """The follower looked at the vault before the backup shipped anything: it looks again once the branch is its own."""
    logs = logs_of(tmp_path, name)
    follow_once(server, logs, name)
    write(server, 2)
    backup = Backup(server, logs)
    with running(server.dsn, logs_of(tmp_path, name), name) as follow:
        follow.wait_for(lambda: follow.now.state == "waiting")
        assert "A backup" in follow.now.trouble
        write(server)
        backup.end()
        follow.wait(flushed(server))
        follow.wait_for(lambda: follow.now.state == "streaming" and not follow.now.trouble)
    require_servers_bytes(server, logs)


@pytest.mark.usefixtures("unheard")
def test_what_a_backup_ships_counts_while_the_follower_waits_for_it(server, tmp_path, name) -> None:
    """It goes on where the follower had ended: nothing is more exposed than if the follower did it. A stop ends the waiting."""
    logs = logs_of(tmp_path, name)
    follow_once(server, logs, name)
    write(server)
    backup = Backup(server, logs, follower_slot=slot_name(name))
    with running(server.dsn, logs_of(tmp_path, name), name) as follow:
        follow.wait_for(lambda: follow.now.state == "waiting")
        write(server)
        follow.wait(flushed(server))
        follow.wait_for(lambda: follow.now.exposure < 5)
        assert follow.now.state == "waiting"
    assert follow.error is None
    backup.end()


def test_the_branch_of_a_backup_that_was_killed_is_taken_over(server, tmp_path, name) -> None:
    logs = logs_of(tmp_path, name)
    follow_once(server, logs, name)
    write(server)
    with holding(tmp_path, name, logs.branches()[0]) as backup, running(server.dsn, logs_of(tmp_path, name), name) as follow:
        follow.wait_for(lambda: follow.now.state == "waiting")
        backup.kill()
        backup.wait()
        follow.wait(flushed(server))
        follow.wait_for(lambda: follow.now.state == "streaming")
    require_servers_bytes(server, logs)


def test_the_branch_of_a_backup_that_no_longer_answers_is_taken_over(server, tmp_path, name, monkeypatch) -> None:
    """On another machine, say: its lease runs out."""
    logs = logs_of(tmp_path, name)
    follow_once(server, logs, name)
    write(server)
    with monkeypatch.context() as patch:
        patch.setattr(Lease, "_renew_for_ever", lambda _lease: None)
        logs._lease_seconds = 3
        logs.writer(logs.branches()[0], "backup")
    follow_once(server, logs, name)
    require_servers_bytes(server, logs)


@contextlib.contextmanager
def holding(folder, name: str, branch: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds a branch as a backup does."""
    code = f"""
import sys
from pathlib import Path
from tests.postgres.wal.following import logs_of
writer = logs_of(Path({str(folder)!r}), {name!r}).writer({branch!r}, "backup")
print("held", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_backup_goes_on_where_the_absent_follower_ended(server, tmp_path, name, monkeypatch) -> None:
    logs = logs_of(tmp_path, name)
    follow_once(server, logs, name)
    write(server, 2)
    stop = Backup(server, logs, follower_slot=slot_name(name)).end()
    ((_, end),) = ranges(logs)
    assert end >= stop
    require_servers_bytes(server, logs)
    write(server, 2)
    monkeypatch.setattr(capture_wal, "MOST_BEHIND", lsn.SEGMENT)
    Backup(server, logs, follower_slot=slot_name(name)).end()
    assert len(ranges(logs)) == 2
    follow_once(server, logs, name)
    require_servers_bytes(server, logs)


def test_the_first_follower_after_backups_begins_without_complaint(server, tmp_path, name) -> None:
    """Nobody had promised what lies between them. What the server still has behind the newest is fetched, else it says where it begins."""
    logs = logs_of(tmp_path, name)
    Backup(server, logs).end()
    recycle(server)
    Backup(server, logs).end()
    assert len(ranges(logs)) == 2
    follow = follow_once(server, logs, name)
    assert not follow.now.warning
    assert len(ranges(logs)) == 2
    server.execute(f"select pg_drop_replication_slot('{slot_name(name)}')")

    other = logs_of(tmp_path, f"{name}b")
    Backup(server, other).end()
    end = ranges(other)[-1][1]
    recycle(server)
    follow = Running(server.dsn, other, f"{name}b", slot=slot_name(name))
    follow.wait(flushed(server))
    assert f"never followed: WAL behind {lsn.show(end)}" in follow.now.warning
    follow.stop()
    assert follow.error is None
    begin = ranges(other)[-1][0]
    reader = other.reader(other.branches()[0])
    first = next(one for one in reader.increments() if one.start == begin)
    assert reader.meta(first)["gap_before"] == [lsn.show(end), lsn.show(begin)]


@pytest.fixture
def vanishing(server, monkeypatch) -> list[int]:
    """A slot of somebody else keeps WAL until the server began to send it; then it is recycled. Holds the positions of all starts."""
    starts: list[int] = []
    real = Follower._start

    def start(self, client, leg, position, buffer):
        stream = real(self, client, leg, position, buffer)
        starts.append(position)
        if server.value("select count(*) from pg_replication_slots where slot_name = 'keeper'"):
            server.execute("select pg_drop_replication_slot('keeper')")
            recycle(server, position=position)
        return stream

    monkeypatch.setattr(Follower, "_start", start)
    return starts


def kept(server, segments: int) -> None:
    """WAL before the last checkpoint that only the slot ``keeper`` keeps."""
    server.execute("select pg_create_physical_replication_slot('keeper', true)")
    write(server, segments)
    server.execute("checkpoint")


def test_wal_that_vanishes_while_it_is_sent_was_never_promised(server, tmp_path, name, vanishing) -> None:
    """Recycled between the start and the sending: as if it had been gone at the start."""
    logs = logs_of(tmp_path, name)
    Backup(server, logs).end()
    kept(server, 4)
    with running(server.dsn, logs, name) as follow:
        follow.wait(flushed(server))
        assert len(vanishing) > 1, "the first stream went on"
        assert "never followed" in follow.now.warning
    first, second = ranges(logs)
    reader = logs.reader(logs.branches()[0])
    found = next(one for one in reader.increments() if one.start == second[0])
    assert reader.meta(found)["gap_before"] == [lsn.show(first[1]), lsn.show(second[0])]
    # Whatever else came of the first stream stays an island: the next one does not take it for a promise either.
    assert reader.meta([one for one in reader.increments() if one.end <= first[1]][-1])["island"]
    assert "island" not in reader.meta(found)


def test_wal_that_vanishes_while_it_is_sent_and_was_promised(server, tmp_path, name, vanishing) -> None:
    logs = logs_of(tmp_path, name)
    with running(server.dsn, logs, name) as follow:
        follow.wait(flushed(server))
    vanishing.clear()
    server.execute(f"select pg_drop_replication_slot('{slot_name(name)}')")
    kept(server, 4)
    gap = Running(server.dsn, logs, name).ended()
    assert isinstance(gap, WalGap)
    assert vanishing


@pytest.mark.parametrize("version", [15, 18])
def test_a_slot_whose_wal_the_server_took_away_is_made_anew(servers, tmp_path, version) -> None:
    """max_slot_wal_keep_size: the promise is lost, and said to be; accepted, following goes on with a slot that keeps WAL again."""
    server = servers(version, settings={"min_wal_size": "32MB", "max_wal_size": "64MB", "max_slot_wal_keep_size": "32MB"})
    server.execute("create table t (x text)")
    new_vault(tmp_path)
    logs = logs_of(tmp_path)
    follow_once(server, logs, "db")
    recycle(server, 8)
    server.wait_for("select wal_status = 'lost' from pg_replication_slots")
    assert isinstance(Running(server.dsn, logs, "db").ended(), WalGap)
    with running(server.dsn, logs, "db", after_gap=True) as follow:
        follow.wait(flushed(server))
        server.wait_for("select wal_status = 'reserved' and restart_lsn is not null from pg_replication_slots")


def test_that_wal_is_gone_is_heard_before_anything_else(server, tmp_path, name) -> None:
    """The answer to a question may leave before the server looks for the WAL; one in ten or so does."""
    end = flushed(server)
    recycle(server)
    for _ in range(100):
        with ReplicationClient(server.dsn) as client, pytest.raises(WalRemoved):
            client.start(end, 1).first_word(bytearray(), PATIENCE)
    with ReplicationClient(server.dsn) as client:
        began = time.monotonic()
        assert client.start(flushed(server), 1).first_word(bytearray(), PATIENCE).answered
        assert time.monotonic() - began < PATIENCE / 2


def test_a_promise_that_was_lost_before_a_backup_is_an_error_once(server, tmp_path, name) -> None:
    logs = logs_of(tmp_path, name)
    follow_once(server, logs, name)
    end = ranges(logs)[0][1]
    server.execute(f"select pg_drop_replication_slot('{slot_name(name)}')")
    recycle(server)
    Backup(server, logs, continuous=True).end()
    behind = ranges(logs)[1][0]
    gap = Running(server.dsn, logs, name).ended()
    assert isinstance(gap, WalGap)
    assert (gap.start, gap.end) == (end, behind)
    write(server)
    follow = follow_once(server, logs, name, after_gap=True)
    assert "missing" in follow.now.warning
    write(server)
    follow_once(server, logs, name)
    assert len(ranges(logs)) == 2


@pytest.mark.parametrize("continuous", [False, True], ids=["follower-fills", "backup-begins-at-the-switch"])
def test_a_backup_before_the_follower_came_back_from_a_promotion(servers, tmp_path, continuous) -> None:
    """The end of the old timeline and the beginning of the new one are still fetched."""
    settings = {"wal_keep_size": "1GB"}
    old = servers(15, settings=settings)
    new_vault(tmp_path)
    logs = logs_of(tmp_path)
    old.execute("create table t (x text)")
    standby = servers.keep(old.standby())
    follow_once(old, logs, "db")
    write(old, 2)
    end = flushed(old)
    standby.wait_for(f"select pg_last_wal_replay_lsn() >= '{lsn.show(end)}'")
    old.kill9()
    standby.promote()
    write(standby, 2)
    Backup(standby, logs, continuous=continuous).end()
    with running(standby.dsn, logs_of(tmp_path)) as follow:
        follow.wait_for(lambda: follow.timeline == 2)
        follow.wait(flushed(standby))
        assert not follow.now.warning
    one, two = sorted(logs.branches(), key=lambda branch: branch.split("-")[1])
    history = LogIndex(logs.reader(two)).history
    switch = lsn.parse(history.split()[1].decode())
    ((_, end_of_one),) = logs.reader(one).coverage()
    ((begin, stop),) = logs.reader(two).coverage()
    assert end_of_one == switch
    assert begin == switch - switch % lsn.SEGMENT
    assert assembled(logs, two, begin, stop) == server_bytes(standby, begin, stop, timeline=2)
