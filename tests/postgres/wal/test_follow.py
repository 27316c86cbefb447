"""Following real servers into a real vault."""

import contextlib
import shutil
import threading
import time

import psycopg
import pytest

from holdfast.storage.contract import StorageUnreachable
from holdfast.storage.wrappers.base import Wrapper
from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.follow import Backlog, OtherSystem, ServerBehind, WalGap
from holdfast.systems.postgres.wal.coverage import LogIndex
from holdfast.systems.postgres.walserver.fetcher import chain_of
from tests.postgres.wal.following import PATIENCE, Running, assembled, logs_of, new_vault, running, spawn
from tests.postgres.wal.restored import base_backup, recovered
from tests.postgres.wal.wal_sample import make_wal
from tests.servers.account import server_folder

pytestmark = pytest.mark.postgres
BUSY = {"max_prepared_transactions": "5", "wal_keep_size": "1GB"}


def flushed(server) -> int:
    return lsn.parse(server.value("select pg_current_wal_flush_lsn()::text"))


def server_bytes(server, start: int, end: int, timeline: int = 1) -> bytes:
    """The same stretch out of the server's own pg_wal."""
    first = start - start % lsn.SEGMENT
    names = [lsn.segment_name(timeline, at) for at in range(first, end, lsn.SEGMENT)]
    return b"".join((server.data / "pg_wal" / name).read_bytes() for name in names)[start - first : end - first]


@pytest.mark.parametrize("version", [14, 15, 18])
def test_the_vault_holds_the_servers_bytes(servers, tmp_path, version) -> None:
    server = servers(version, settings=BUSY)
    new_vault(tmp_path)
    with running(server.dsn, logs_of(tmp_path)) as follow:
        follow.wait_for(lambda: follow.follower.durable)
        make_wal(server)
        server.pgbench("-i", "-s", "2", "-q")
        server.pgbench("-t", "150", "-c", "2", "-n")
        end = flushed(server)
        follow.wait(end)
        restart = server.value("select restart_lsn::text from pg_replication_slots where slot_name = 'holdfast_db' and active")
        server.wait_for(f"select flush_lsn >= '{lsn.show(end)}' from pg_stat_replication")
        assert restart
        status = follow.now
        assert status.commits > 100
        follow.wait_for(lambda: follow.follower.status().exposure < 1 and follow.follower.status().covered)
    logs = logs_of(tmp_path)
    (branch,) = logs.branches()
    ((start, stop),) = logs.reader(branch).coverage()
    assert start % lsn.SEGMENT == 0
    assert stop >= end
    assert assembled(logs, branch, start, end) == server_bytes(server, start, end)
    metas = [logs.reader(branch).meta(i) for i in logs.reader(branch).increments()]
    assert {p["name"] for m in metas for p in m.get("restore_points", [])} == {"before the switch", "Zürich 'quoted'"}
    assert sum(m["commits"] for m in metas) == status.commits or follow.now.commits == sum(m["commits"] for m in metas)
    assert not any("unreadable" in m for m in metas)


@pytest.mark.parametrize("megabytes", [1, 64])
def test_other_segment_sizes(servers, tmp_path, megabytes) -> None:
    server = servers(15, initdb=[f"--wal-segsize={megabytes}"], settings={"wal_keep_size": "1GB"})
    new_vault(tmp_path)
    base = base_backup(server)
    with running(server.dsn, logs_of(tmp_path)) as follow:
        server.pgbench("-i", "-s", "1", "-q")
        expected = server.value("select sum(aid) from pgbench_accounts")
        follow.wait(flushed(server))
    logs = logs_of(tmp_path)
    (branch,) = logs.branches()
    index = LogIndex(logs.reader(branch))
    assert index.segment_size == megabytes << 20
    assert index.stretches[0][0] % index.segment_size == 0
    with recovered(base, 15, tmp_path, branch) as again:
        assert again.value("select sum(aid) from pgbench_accounts") == expected


def stretch(logs, branch: str) -> tuple[int, int]:
    """The one stretch that the vault holds of a branch."""
    (found,) = logs.reader(branch).coverage()
    return found


def test_killed_follower_leaves_nothing_out(servers, tmp_path) -> None:
    """kill -9 again and again under load: the next one goes on where the vault ends, and what was acknowledged is there."""
    server = servers(15, settings=BUSY)
    new_vault(tmp_path)
    server.pgbench("-i", "-s", "1", "-q")
    start = flushed(server)
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            server.pgbench("-T", "1", "-c", "2", "-n")

    load = threading.Thread(target=work)
    load.start()
    for _ in range(3):
        process = spawn(tmp_path, server.dsn)
        server.wait_for("select count(*) > 0 from pg_stat_replication where application_name = 'holdfast_db'")
        server.wait_for(f"select flush_lsn > '{lsn.show(start)}' from pg_stat_replication")
        acknowledged = lsn.parse(server.value("select restart_lsn::text from pg_replication_slots"))
        process.kill()
        process.wait()
        logs = logs_of(tmp_path)
        (branch,) = logs.branches()
        assert stretch(logs, branch)[1] >= acknowledged > start
        start = flushed(server)
    done.set()
    load.join()
    with running(server.dsn, logs_of(tmp_path)) as follow:
        follow.wait(flushed(server))
    logs = logs_of(tmp_path)
    (branch,) = logs.branches()
    begin, end = stretch(logs, branch)
    assert assembled(logs, branch, begin, end) == server_bytes(server, begin, end)


def test_server_crash_is_waited_for(servers, tmp_path) -> None:
    server = servers(18, settings=BUSY)
    new_vault(tmp_path)
    with running(server.dsn, logs_of(tmp_path)) as follow:
        follow.wait_for(lambda: follow.now.state == "streaming")
        server.execute("create table t (x int); insert into t select generate_series(1, 1000)")
        server.kill9()
        follow.wait_for(lambda: follow.now.state == "server-away")
        assert follow.now.trouble
        server.start()
        server.execute("insert into t select generate_series(1, 1000)")
        end = flushed(server)
        follow.wait(end)
        follow.wait_for(lambda: follow.now.state == "streaming" and not follow.now.trouble)
    logs = logs_of(tmp_path)
    (branch,) = logs.branches()
    begin, _ = stretch(logs, branch)
    assert assembled(logs, branch, begin, end) == server_bytes(server, begin, end)


def test_promotions_go_onto_new_branches_and_restore_from_the_vault_alone(servers, tmp_path) -> None:
    """Two promotions; a base backup of the first primary recovers along all timelines from the vault's log."""
    members = [servers(15, settings={**BUSY, "archive_mode": "off"})]
    new_vault(tmp_path)
    members[0].execute("create table t (member int, n int)")
    base = base_backup(members[0])
    where = members[0]
    with running(lambda: where.dsn, logs_of(tmp_path)) as follow:
        follow.wait_for(lambda: follow.follower.durable)
        for number in range(3):
            where.execute(f"insert into t select {number}, n from generate_series(1, 5000) n")
            follow.wait(flushed(where))
            if number < 2:
                standby = servers.keep(where.standby())
                where.execute(f"insert into t select {number}, n from generate_series(5001, 6000) n")
                end = flushed(where)
                standby.wait_for(f"select pg_last_wal_replay_lsn() >= '{lsn.show(end)}'")
                where.kill9()
                where = standby
                where.promote()
                where.execute("checkpoint")
        follow.wait_for(lambda: follow.timeline == 3)
        end = flushed(where)
        follow.wait(end)
        expected = where.value("select md5(string_agg(t::text, '' order by member, n)) from t")
    logs = logs_of(tmp_path)
    branches = sorted(logs.branches(), key=lambda name: int(name.split("-")[1]))
    assert [int(name.split("-")[1]) for name in branches] == [1, 2, 3]
    for number in (2, 3):
        history = (where.data / "pg_wal" / f"{number:08X}.history").read_bytes()
        index = LogIndex(logs.reader(branches[number - 1]))
        assert index.history == history
        assert branches[number - 1] == lsn.branch(index.system_identifier, number, history)
        assert index.stretches[0][0] % lsn.SEGMENT == 0
        assert len(index.stretches) == 1
        metas = [index.reader.meta(one) for one in index.increments]
        assert [(e["timeline"], e["previous"]) for m in metas for e in m.get("end_of_recovery", ())] == [(number, number - 1)]
        assert not any("unreadable" in m for m in metas)
    with recovered(base, 15, tmp_path, branches[-1]) as again:
        assert again.value("select md5(string_agg(t::text, '' order by member, n)) from t") == expected
        assert again.value("select count(*) from t") == 17000
    with recovered(base, 15, tmp_path, branches[0]) as again:
        assert again.value("select count(*) from t") == 6000


def test_synchronous_mode_loses_nothing_acknowledged(servers, tmp_path) -> None:
    """Commits wait for the vault; after kill -9 of follower and server the vault alone gives back every acknowledged row."""
    server = servers(18, settings={**BUSY, "synchronous_standby_names": "holdfast_db", "synchronous_commit": "local"})
    new_vault(tmp_path)
    server.execute("create table t (n int)")
    base = base_backup(server)
    acknowledged = []
    stop = threading.Event()

    def write(first: int) -> None:
        with contextlib.suppress(psycopg.OperationalError), server.connect() as connection:
            connection.execute("set synchronous_commit = on")
            for n in range(first, first + 1_000_000):
                connection.execute(f"insert into t values ({n})")
                acknowledged.append(n)
                if stop.is_set():
                    return

    writers = [threading.Thread(target=write, args=(k * 1_000_000,)) for k in range(2)]
    process = spawn(tmp_path, server.dsn, interval=0)
    server.wait_for("select count(*) > 0 from pg_stat_replication where sync_state = 'sync'")
    for one in writers:
        one.start()
    wait_until(lambda: len(acknowledged) > 50)
    process.kill()
    process.wait()
    # What its last words acknowledged was acknowledged by right.
    server.wait_for("select count(*) = 0 from pg_stat_replication")
    # One that was let go may be slow to say so.
    server.wait_for(
        "select count(*) = 2 from pg_stat_activity where wait_event = 'SyncRep' and query_start < clock_timestamp() - interval '2 s'"
    )
    waiting = len(acknowledged)
    time.sleep(0.5)
    assert len(acknowledged) == waiting, "a commit was acknowledged without the vault"
    process = spawn(tmp_path, server.dsn, interval=0)
    wait_until(lambda: len(acknowledged) > waiting + 50)
    process.kill()
    server.kill9()
    process.wait()
    for one in writers:
        one.join()
    shutil.rmtree(server.data)
    logs = logs_of(tmp_path)
    (branch,) = logs.branches()
    with recovered(base, 18, tmp_path, branch, settings={"synchronous_standby_names": ""}) as again:
        present = {row[0] for row in again.execute("select n from t")}
    assert set(acknowledged) <= present
    assert len(present) <= len(acknowledged) + len(writers)


def test_vault_outage_is_waited_for(servers, tmp_path) -> None:
    """Nothing is acknowledged while the vault is away, memory stays bounded, and it goes on by itself."""
    server = servers(15, settings=BUSY)
    new_vault(tmp_path)
    away = threading.Event()

    class Away(Wrapper):
        def put_if_absent(self, name, parts) -> None:
            if away.is_set() and name.startswith("logs/"):
                raise StorageUnreachable("the disk is gone")
            self.inner.put_if_absent(name, parts)

    with running(server.dsn, logs_of(tmp_path, wrap=Away), buffer=1 << 20, largest=1 << 18) as follow:
        server.execute("create table t (x text)")
        follow.wait(flushed(server))
        away.set()
        server.execute("insert into t select repeat(md5(n::text), 30) from generate_series(1, 8000) n")
        follow.wait_for(lambda: follow.now.state == "vault-away")
        held = follow.follower.durable
        follow.wait_for(lambda: follow.follower.status().exposure > 0.5)
        status = follow.follower.status()
        assert "the disk is gone" in status.trouble
        assert follow.follower.durable == held
        assert status.received - held[1] < 3 << 20
        restart = lsn.parse(server.value("select restart_lsn::text from pg_replication_slots"))
        assert restart <= held[1]
        away.clear()
        end = flushed(server)
        follow.wait(end)
        follow.wait_for(lambda: not follow.now.trouble)
    logs = logs_of(tmp_path)
    (branch,) = logs.branches()
    begin, _ = stretch(logs, branch)
    assert assembled(logs, branch, begin, end) == server_bytes(server, begin, end)


def test_a_server_that_was_rolled_back_is_refused(servers, tmp_path) -> None:
    """The same cluster from an older copy: first it is behind the vault, then it has other bytes under the same positions."""
    server = servers(15, settings=BUSY)
    new_vault(tmp_path)
    server.execute("create table t (x int)")
    with running(server.dsn, logs_of(tmp_path)) as follow:
        follow.wait(flushed(server))
    server.stop()
    copy = server_folder("copy") / "data"
    shutil.copytree(server.data, copy, symlinks=True)
    server.start()
    with running(server.dsn, logs_of(tmp_path)) as follow:
        server.execute("insert into t select generate_series(1, 3000)")
        follow.wait(flushed(server))
    server.stop()
    other = servers.attach(15, copy, settings=BUSY)
    one = Running(other.dsn, logs_of(tmp_path))
    assert isinstance(one.ended(), ServerBehind)
    other.execute("insert into t select -n from generate_series(1, 6000) n")
    two = Running(other.dsn, logs_of(tmp_path))
    assert two.ended().code == "log-conflict"


def test_another_cluster_is_refused(servers, tmp_path) -> None:
    new_vault(tmp_path)
    one, two = servers(15), servers(15)
    with running(one.dsn, logs_of(tmp_path)) as follow:
        one.execute("create table t (x int)")
        follow.wait(flushed(one))
    refused = Running(two.dsn, logs_of(tmp_path))
    assert isinstance(refused.ended(), OtherSystem)


def test_a_second_follower_is_refused(servers, tmp_path) -> None:
    new_vault(tmp_path)
    server = servers(15)
    with running(server.dsn, logs_of(tmp_path)) as follow:
        server.execute("create table t (x int)")
        follow.wait(flushed(server))
        second = Running(server.dsn, logs_of(tmp_path))
        assert second.ended().code == "log-followed"


def test_a_standby_is_followed_through_its_promotion(servers, tmp_path) -> None:
    """The stream of the old timeline ends by itself; a standby's clock vouches for nothing, the primary's then does."""
    primary = servers(18)
    standby = servers.keep(primary.standby())
    new_vault(tmp_path)
    with running(standby.dsn, logs_of(tmp_path)) as follow:
        primary.execute("create table t (x int); insert into t select generate_series(1, 1000)")
        end = flushed(primary)
        follow.wait(end)
        assert follow.now.covered is None
        standby.promote()
        standby.execute("insert into t select generate_series(1, 1000)")
        follow.wait_for(lambda: follow.timeline == 2)
        follow.wait(flushed(standby))
        follow.wait_for(lambda: follow.now.covered)
    logs = logs_of(tmp_path)
    one, two = sorted(logs.branches(), key=lambda name: name.split("-")[1])
    (switch,) = [s for s in chain_of(logs, two) if s.timeline == 1]
    assert switch.branch == one
    assert stretch(logs, one)[1] == switch.end >= end


def test_a_branch_in_other_hands_is_waited_for(servers, tmp_path) -> None:
    server = servers(15)
    new_vault(tmp_path)
    with running(server.dsn, logs_of(tmp_path)) as follow:
        server.execute("create table t (x int)")
        follow.wait(flushed(server))
    logs = logs_of(tmp_path)
    writer = logs.writer(logs.branches()[0])
    with running(server.dsn, logs_of(tmp_path), lease_patience=PATIENCE) as follow:
        server.execute("insert into t values (1)")
        follow.wait_for(lambda: "holds this branch" in follow.now.trouble or "Another follower" in follow.now.trouble)
        writer.close()
        follow.wait(flushed(server))


def test_an_old_primary_is_refused_after_a_promotion(servers, tmp_path) -> None:
    new_vault(tmp_path)
    old = servers(15)
    new = servers.keep(old.standby())
    where = old
    with running(lambda: where.dsn, logs_of(tmp_path)) as follow:
        old.execute("create table t (x int)")
        follow.wait(flushed(old))
        where = new
        new.promote()
        old.restart("immediate")
        follow.wait_for(lambda: follow.timeline == 2)
    refused = Running(old.dsn, logs_of(tmp_path))
    assert isinstance(refused.ended(), ServerBehind)


def test_a_gap_is_told_and_passed_only_when_accepted(servers, tmp_path) -> None:
    server = servers(15, settings={"min_wal_size": "32MB", "max_wal_size": "64MB"})
    new_vault(tmp_path)
    server.execute("create table t (x text)")
    with running(server.dsn, logs_of(tmp_path)) as follow:
        follow.wait(flushed(server))
        end = follow.follower.durable[1]
    end = stretch(logs_of(tmp_path), logs_of(tmp_path).branches()[0])[1]
    server.wait_for("select not active from pg_replication_slots")
    server.execute("select pg_drop_replication_slot('holdfast_db')")
    rounds = 0
    # Late on a loaded server.
    while rounds < 6 or server.value("select count(*) from pg_ls_waldir() where name = %s", (lsn.segment_name(1, end),)):
        server.execute("insert into t select 'x' from generate_series(1, 1000)")
        server.execute("select pg_switch_wal()")
        server.execute("checkpoint")
        rounds += 1
    stopped = Running(server.dsn, logs_of(tmp_path)).ended()
    assert isinstance(stopped, WalGap)
    assert stopped.start == end
    assert (stopped.end or 0) > end
    with running(server.dsn, logs_of(tmp_path), after_gap=True) as follow:
        follow.wait(flushed(server))
        assert "missing" in follow.now.warning
    logs = logs_of(tmp_path)
    (branch,) = logs.branches()
    index = LogIndex(logs.reader(branch))
    assert index.gaps == ((end, stopped.end),)
    assert index.reader.meta(next(i for i in index.increments if i.start == stopped.end))["gap_before"] == [
        lsn.show(end),
        lsn.show(stopped.end),
    ]


def test_backlog_over_the_limit_drops_the_slot_when_told_to(servers, tmp_path) -> None:
    server = servers(15)
    new_vault(tmp_path)
    away = threading.Event()

    class Away(Wrapper):
        def put_if_absent(self, name, parts) -> None:
            if away.is_set() and name.startswith("logs/"):
                raise StorageUnreachable("the disk is gone")
            self.inner.put_if_absent(name, parts)

    limits = Backlog(warn=1 << 20, limit=10 << 20, then="drop-slot")
    with running(server.dsn, logs_of(tmp_path, wrap=Away), buffer=1 << 19, largest=1 << 18, backlog=limits) as follow:
        server.execute("create table t (x text)")
        follow.wait(flushed(server))
        away.set()
        server.execute("insert into t select repeat(md5(n::text), 30) from generate_series(1, 14000) n")
        server.wait_for("select count(*) = 0 from pg_replication_slots")
        follow.wait_for(lambda: "dropped" in follow.now.warning)
        away.clear()
        follow.wait(flushed(server))
        server.wait_for("select count(*) = 1 from pg_replication_slots")


def wait_until(truth, timeout: float = PATIENCE) -> None:
    end = time.monotonic() + timeout
    while not truth():
        assert time.monotonic() < end
        time.sleep(0.02)
