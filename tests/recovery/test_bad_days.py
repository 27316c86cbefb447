"""Restores that are cut short, refused, repaired, moved aside; and what production sees of them: nothing."""

import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from holdfast.model import Silent, SystemClock
from holdfast.recovery import plan, run
from holdfast.systems.postgres.restore import errors, handover
from holdfast.systems.postgres.restore.config import HANDOVER
from holdfast.systems.postgres.restore.files import MARKER
from holdfast.systems.postgres.running.instance import running_pid
from holdfast.systems.postgres.running.isolate import Sandboxes
from tests.postgres.restore.conftest import stop, who
from tests.recovery.whole import whole
from tests.servers import PostgresServer, need, service_account
from tests.servers.account import server_folder

pytestmark = pytest.mark.postgres
CLOCK = SystemClock()
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """A server that archives, has a slot, a tablespace and a synchronous standby list: all that a copy must not touch."""
    archive = server_folder("archive")
    with need():
        server = PostgresServer.create(15, settings={"archive_mode": "on", "archive_command": f"cp %p {archive}/%f"})
    space = server_folder("space")
    with server, whole(server, tmp_path_factory.mktemp("vault")) as made:
        made.archive, made.space = archive, space
        server.execute(f"create tablespace wide location '{space}'")
        server.execute("create table here(n int primary key)")
        server.execute("create table there(n int primary key) tablespace wide")
        server.execute("insert into here select generate_series(1, 20000)")
        server.execute("insert into there select generate_series(1, 20000)")
        server.execute("select pg_create_physical_replication_slot('kept', true)")
        server.configure({"synchronous_standby_names": "'nobody'", "synchronous_commit": "local"} | {"synchronous_standby_names": "nobody"})
        server.reload()
        made.follow()
        made.backup("base")
        server.execute("delete from here where n > 10000")
        made.shipped()
        yield made
    shutil.rmtree(archive, ignore_errors=True)
    shutil.rmtree(space, ignore_errors=True)


def planned(one, into, to=None, **options):
    until = one.recovery.target(to, one.now(), dt.UTC)
    return plan(one.recovery, one.history, into, until, {"durable": False, **options})


def done(one, into, to=None, **options):
    return run(planned(one, into, to, **options), one.recovery, one.history, Silent(), CLOCK)


def rows(restored, sql):
    with psycopg.connect(restored.restored.connection, autocommit=True) as connection:
        return connection.execute(sql).fetchall()


def test_production_sees_nothing_of_a_restored_copy(one):
    server = one.server
    time.sleep(0.5)
    before = sorted(_names(one.archive))
    slots = server.execute("select slot_name, active, restart_lsn from pg_replication_slots order by 1")
    restored = done(one, one.ground / "apart", start=True)
    settings = dict(rows(restored, "select name, setting from pg_settings"))
    assert settings["archive_mode"] == "off"
    assert settings["primary_conninfo"] == settings["primary_slot_name"] == settings["synchronous_standby_names"] == ""
    assert settings["max_logical_replication_workers"] == "0"
    assert settings["listen_addresses"] == "127.0.0.1"
    assert settings["shared_preload_libraries"] == ""
    assert rows(restored, "select count(*) from pg_replication_slots") == [(0,)]
    rows(restored, "select pg_switch_wal()")
    rows(restored, "select 1 from pg_create_restore_point('x')")
    rows(restored, "select pg_switch_wal()")
    time.sleep(1)
    # Nothing but the source's own segments, on its own timeline, ever arrives in its archive.
    assert {name for name in _names(one.archive) if name.startswith("00000002")} == set()
    assert set(before) <= set(_names(one.archive))
    now = server.execute("select slot_name, active, restart_lsn from pg_replication_slots order by 1")
    assert [row[0] for row in now] == [row[0] for row in slots]
    assert server.value("show synchronous_standby_names") == "nobody"
    assert server.value("select count(*) from pg_stat_replication where application_name not like 'holdfast%%'") == 0
    stop(restored.restored.into)
    kept = restored.restored.into / HANDOVER
    assert "archive_mode" not in (restored.restored.into / "postgresql.conf").read_text() or "off" in settings["archive_mode"]
    assert "nobody" in (kept / "postgresql.conf").read_text()
    _taken_over(restored.restored.into)


def _taken_over(data):
    apart = (data / "postgresql.conf").read_bytes()
    seen = handover.plan(data)
    assert "postgresql.conf" in seen.files
    assert any("synchronous_standby_names = 'nobody'" in line for line in seen.reaches)
    assert (data / "postgresql.conf").read_bytes() == apart
    (data / "recovery.signal").touch()
    with pytest.raises(handover.NotHandedOver, match="recovery has not ended"):
        handover.plan(data)
    (data / "recovery.signal").unlink()
    for _ in range(2):
        handover.run(handover.plan(data))
        assert "synchronous_standby_names = 'nobody'" in (data / "postgresql.conf").read_text()
        assert (data / handover.ISOLATED / "postgresql.conf").read_bytes() == apart
    assert (data / "postgresql.conf").stat().st_uid == data.stat().st_uid
    lines = (data / "postgresql.auto.conf").read_text().splitlines()
    assert not [line for line in lines if line.startswith(("recovery_", "restore_command"))]
    with pytest.raises(handover.NotHandedOver, match="no directory that Holdfast restored"):
        handover.plan(data.parent)


def test_tablespaces_go_beside_or_where_they_are_mapped(one):
    into = one.ground / "spaces"
    restored = done(one, into, start=True)
    assert rows(restored, "select count(*), pg_relation_filepath('there') from there")[0][0] == 20000
    [link] = (into / "pg_tblspc").iterdir()
    assert link.readlink() == into.with_name("spaces.tablespaces") / link.name
    stop(into)
    mapped = planned(one, one.ground / "mapped", tablespace_map=[f"wide={one.ground / 'elsewhere'}"])
    assert not mapped.refused
    for wrong, code in [
        ([f"wide={one.space}"], "restore-tablespace-path"),
        ([f"{one.space}={one.ground}"], "restore-tablespace-path"),
        ([f"narrow={one.ground / 'x'}"], "tablespace-mapping-wrong"),
    ]:
        refused = planned(one, one.ground / "mapped", tablespace_map=wrong)
        assert [each["code"] for each in refused.to_json()["refuses"]] == [code]
        with pytest.raises((errors.SourcePath, errors.BadMapping)):
            run(refused, one.recovery, one.history, Silent(), CLOCK)
    assert not (one.ground / "mapped").exists()


def test_occupied_and_running_directories_are_refused(one):
    into = one.ground / "occupied"
    into.mkdir()
    (into / "letter").write_text("dear")
    for options in ({}, {"delta": True}, {"in_place": True}):
        with pytest.raises((errors.DirectoryNotEmpty, errors.OtherCluster)):
            done(one, into, **options)
    assert [path.name for path in into.iterdir()] == ["letter"]
    for options in ({}, {"delta": True}, {"in_place": True}):
        with pytest.raises(errors.DirectoryRunning, match="runs on"):
            done(one, one.server.data, **options)
    with need():
        other = PostgresServer.create(15, start=False)
    with other, pytest.raises(errors.OtherCluster, match="holds cluster"):
        done(one, other.data, delta=True)


def test_a_directory_behind_a_closed_door_is_refused(one, monkeypatch):
    """Where the user may not even look, as an ordinary one in another's home."""

    closed_one, real = one.ground / "closed", os.scandir
    closed_one.mkdir()

    def closed(path="."):
        if str(path) == str(closed_one):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", closed)
    refused = planned(one, closed_one)
    assert [each["code"] for each in refused.to_json()["refuses"]] == ["restore-denied"]
    closed_one.rmdir()


def test_in_place_moves_the_damaged_cluster_aside(one):
    into = one.ground / "place"
    done(one, into)
    (into / "global" / "pg_filenode.map").write_bytes(b"damage")
    restored = done(one, into, in_place=True, start=True)
    assert rows(restored, "select count(*) from here") == [(10000,)]
    stop(into)
    [aside] = [path for path in one.ground.iterdir() if path.name.startswith("place.damaged-")]
    assert (aside / "global" / "pg_filenode.map").read_bytes() == b"damage"


def test_delta_repairs_what_was_damaged_and_keeps_the_rest(one):
    into = one.ground / "delta"
    restored = done(one, into, start=True)
    [[path]] = rows(restored, "select pg_relation_filepath('here')")
    [[space]] = rows(restored, "select pg_relation_filepath('there')")
    stop(into)
    with (into / path).open("r+b") as file:
        file.seek(16384)
        file.write(b"\xde\xad" * 4096)
    (into / space).unlink()
    (into / "base" / "stray").write_text("was not in the backup")
    again = done(one, into, delta=True, start=True)
    assert rows(again, "select count(*) from here") == [(10000,)]
    assert rows(again, "select count(*) from there") == [(20000,)]
    assert not (into / "base" / "stray").exists()
    assert again.restored.extracted.kept > again.restored.extracted.written
    stop(into)


KILLED = """
import os, signal, sys
sys.path.insert(0, {root!r})
from pathlib import Path
import tests.recovery.killed as killed
killed.main({folder!r}, {into!r}, {data!r}, {after})
"""


@pytest.mark.parametrize("after", [1, 200, 100_000])
def test_killed_in_the_middle_it_does_not_start_and_delta_completes_it(one, after):
    into = one.ground / f"killed{after}"
    script = KILLED.format(root=str(ROOT), folder=str(one.folder), into=str(into), data=str(one.server.data), after=after)
    process = subprocess.run([sys.executable, "-c", script], check=False, timeout=120, capture_output=True, text=True)
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert (into / MARKER).exists()
    assert not (into / "global" / "pg_control").exists()
    account = service_account()
    started = subprocess.run(
        [one.server.bin / "postgres", "-D", into], check=False, capture_output=True, text=True, cwd="/", timeout=30, **account.popen
    )
    assert started.returncode != 0
    with pytest.raises(errors.DirectoryNotEmpty, match="cut short"):
        done(one, into)
    restored = done(one, into, delta=True, start=True)
    assert rows(restored, "select (select count(*) from here), (select count(*) from there)") == [(10000, 20000)]
    assert not (into / MARKER).exists()
    stop(into)


def test_a_killed_sandbox_is_torn_down_by_the_next_run(one, tmp_path):
    boxes = one.ground / "boxes"
    script = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from tests.recovery.killed import open_and_hang
open_and_hang({str(one.folder)!r}, {str(boxes)!r}, {str(one.server.bin)!r})
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("open "), line
        [data] = [path.parent for path in boxes.rglob("postmaster.pid")]
        process.kill()
    assert running_pid(data) == int(line.split()[1]), "the server outlives the process that made it"
    assert len(Sandboxes(boxes).sweep()) == 1
    assert not Path(f"/proc/{line.split()[1]}/cwd").exists()
    assert list(boxes.iterdir()) == []


def test_a_full_disk_is_foreseen_or_told_and_leaves_nothing_startable(one):
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    small = server_folder("small")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m,mode=755", "tmpfs", str(small)], check=True)
    try:
        refused = planned(one, small / "data")
        assert [each["code"] for each in refused.to_json()["refuses"]] == ["restore-no-room"]
        # Somebody else fills the disk between plan and restore.
        object.__setattr__(refused.restore, "obstacles", ())
        with pytest.raises(errors.NoRoom, match="No room left"):
            run(refused, one.recovery, one.history, Silent(), CLOCK)
        assert not (small / "data" / "global" / "pg_control").exists()
        assert (small / "data" / MARKER).exists()
        held = _held(small)
        assert held == []
    finally:
        subprocess.run(["umount", str(small)], check=True)
        small.rmdir()


def _names(folder):
    return [path.name for path in folder.iterdir()]


def _held(folder):
    """Files below ``folder`` that this process still holds open."""
    found = []
    for name in _names(Path("/proc/self/fd")):
        try:
            found.append(str(Path(f"/proc/self/fd/{name}").readlink()))
        except FileNotFoundError:
            continue
    return [path for path in found if path.startswith(str(folder))]


def test_planning_writes_nothing(one):
    before = sorted(one.ground.iterdir())
    made = planned(one, one.ground / "only planned")
    document = made.to_json()
    assert document["steps"]
    assert document["logs"][0]["end"] > document["logs"][0]["start"]
    assert sorted(one.ground.iterdir()) == before
    assert who().uid == service_account().uid
