"""The vault's own bad days while a real server is saved into it: full, read-only, killed at every stage, two at once, WAL that is lost."""

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest

from holdfast.model import Silent, SystemClock
from holdfast.recovery import plan, run
from holdfast.storage.contract import StorageDenied, StorageFull
from holdfast.storage.local import LocalStorage
from holdfast.systems.postgres.restore.errors import TargetUnreachable
from holdfast.vault import Vault
from tests.postgres.restore.conftest import stop
from tests.postgres.wal.following import SECRET
from tests.recovery.whole import whole
from tests.servers import PostgresServer, need

pytestmark = pytest.mark.postgres
CLOCK = SystemClock()
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server():
    with need():
        made = PostgresServer.create(15)
    with made:
        made.execute("create table orders(id int primary key, note text)")
        made.execute("insert into orders select i, md5(i::text) from generate_series(1, 20000) i")
        yield made


@pytest.fixture(autouse=True)
def no_slots(server):
    yield
    server.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active")


def restored(one, name, to="latest"):
    until = one.recovery.target(to, one.now(), dt.UTC)
    made = plan(one.recovery, one.history, one.ground / name, until, {"start": True, "durable": False, "port": 0})
    done = run(made, one.recovery, one.history, Silent(), CLOCK)
    try:
        with psycopg.connect(done.restored.connection, autocommit=True) as connection:
            return connection.execute("select count(*), md5(string_agg(note, ',' order by id)) from orders").fetchone()
    finally:
        stop(done.restored.into)


def expected(server):
    return server.execute("select count(*), md5(string_agg(note, ',' order by id)) from orders")[0]


def grow(server, rows=3000):
    """Rows that no compression makes small: about 4 MB of WAL."""
    server.execute(
        "insert into orders select m + i, (select string_agg(md5(random()::text || i || j), '') from generate_series(1, 40) j) "
        "from generate_series(1, %s) i, (select max(id) m from orders) x",
        (rows,),
    )


BACKUP = """
import sys
sys.path.insert(0, {root!r})
import tests.recovery.killed as killed
killed.backup({folder!r}, {dsn!r}, {data!r}, {stage!r})
"""


@pytest.mark.parametrize(
    ("in_place", "stages"),
    [
        (True, ("phase checkpoint", "phase data", "phase wal", "log", "pack", "before the point", "after the point")),
        (False, ("phase data", "phase wal", "before the point")),
    ],
    ids=["in-place", "remote"],
)
def test_a_backup_killed_at_any_stage_leaves_no_half_point_and_the_next_goes_on(server, tmp_path, in_place, stages):
    with whole(server, tmp_path) as one:
        for stage in stages:
            data = str(server.data) if in_place else ""
            script = BACKUP.format(root=str(ROOT), folder=str(one.folder), dsn=server.dsn, data=data, stage=stage)
            process = subprocess.run([sys.executable, "-c", script], check=False, timeout=120, capture_output=True, text=True)
            assert process.returncode == -signal.SIGKILL, (stage, process.returncode, process.stderr)
            points = list(one.history.points())
            assert len(points) == (stage == "after the point"), stage
            # The server notices that the one who backed it up is gone: no backup mode, no slot that holds WAL for ever.
            server.wait_for("select count(*) = 0 from pg_replication_slots")
            server.wait_for("select count(*) = 0 from pg_stat_activity where backend_type = 'walsender'")
        grow(server, 10)
        next_ = one.backup("next", in_place=in_place)
        assert next_.totals.new < next_.totals.bytes, "what the killed ones had stored is used"
        assert restored(one, "killed", next_.id) == expected(server)


def test_two_backups_at_once_are_two_whole_points(server, tmp_path):
    with whole(server, tmp_path) as one:
        made, wrong = {}, []

        def take(label, in_place):
            try:
                made[label] = one.backup(label, in_place=in_place)
            except BaseException as error:  # noqa: BLE001
                wrong.append(error)

        threads = [threading.Thread(target=take, args=(f"{n}", n != 1)) for n in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert {point.label for point in one.history.points()} == set(made) == {"0", "1"}
        for label in made:
            assert restored(one, f"at-once-{label}", label) == expected(server)


def test_a_point_whose_closing_wal_was_lost_is_refused_by_name_and_passed_over(server, tmp_path):
    with whole(server, tmp_path) as one:
        first = one.backup("first")
        grow(server, 100)
        known = {path for path in (one.folder / "vault" / "logs").rglob("*") if path.is_file()}
        second = one.backup("second")
        for path in {path for path in (one.folder / "vault" / "logs").rglob("*") if path.is_file()} - known:
            path.unlink()
        until = one.recovery.target("second", one.now(), dt.UTC)
        with pytest.raises(TargetUnreachable, match="WAL is missing from") as refused:
            plan(one.recovery, one.history, one.ground / "lost", until, {})
        assert refused.value.details["missing"]["to"] == second.stop["lsn"]
        assert "Nearest that can be reached" in refused.value.hint
        made = plan(one.recovery, one.history, one.ground / "lost", one.recovery.target("latest", one.now(), dt.UTC), {})
        assert made.restore.point.id == first.id
        assert not (one.ground / "lost").exists()


def test_a_vault_that_another_process_opens_meanwhile_sees_only_whole_points(server, tmp_path):
    """A reader beside a backup: nothing of it until it is committed."""
    with whole(server, tmp_path) as one:
        seen = []

        class Looks(Silent):
            def phase(self, name, total=None, unit="B"):
                with Vault.open([LocalStorage(str(one.folder / "vault"))], SECRET, clock=CLOCK, cache=one.folder / "cache2") as other:
                    seen.append((name, len(list(other.points("db")))))

        one.backup("looked at", progress=Looks())
        assert {name for name, _ in seen} >= {"data", "wal"}
        assert {count for _, count in seen} == {0}


@pytest.mark.skipif(
    os.geteuid() != 0, reason="mounting a small file system needs root; test_a_store_that_fills_up_commits_nothing needs none"
)
def test_a_disk_that_is_full_or_read_only_stops_backup_and_following_until_there_is_room(server, tmp_path):
    disk = tmp_path / "vault"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=700", "tmpfs", str(disk)], check=True)

    def remount(*options):
        subprocess.run(["mount", "-o", ",".join(("remount", *options)), str(disk)], check=True)

    try:
        with whole(server, tmp_path) as one:
            # In the middle of a backup: it fails, and leaves no point.
            filler = disk / "filler"
            status = os.statvfs(disk)
            filler.write_bytes(bytes(status.f_bavail * status.f_frsize - (1 << 20)))
            with pytest.raises(StorageFull, match="No room left"):
                one.backup("too large")
            assert list(one.history.points()) == []
            filler.unlink()
            # In the middle of WAL shipping: nothing is acknowledged beyond what lies there, and it is told.
            one.follow()
            one.shipped()
            for _ in range(3):
                grow(server)
            one.follower.wait_for(lambda: one.follower.now.state == "vault-away")
            assert "No room left" in one.follower.now.trouble
            assert one.follower.now.exposure > 0
            held = server.value("select flush_lsn from pg_stat_replication where application_name like 'holdfast%%'")
            assert server.value("select pg_wal_lsn_diff(pg_current_wal_flush_lsn(), %s)", (held,)) > 1 << 20
            remount("size=200m")
            one.shipped()
            assert one.backup("fits").label == "fits"
            one.follower.wait_for(lambda: not one.follower.now.trouble)

            remount("ro")
            with pytest.raises(StorageDenied, match="Not allowed"):
                one.backup("on a read-only disk")
            grow(server, 10)
            one.follower.wait_for(lambda: one.follower.now.state == "vault-away")
            assert "Not allowed" in one.follower.now.trouble
            # What is there can still be restored.
            assert restored(one, "read-only")[0] > 20000
            remount("rw")
            one.shipped()
            assert [point.label for point in one.history.points()] == ["fits"]
            assert restored(one, "full") == expected(server)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
