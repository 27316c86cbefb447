"""Bad days of a server: each ends with its own code and says what to do; nothing is committed and no secret is told."""

import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from holdfast.errors import Unreachable, Usage
from holdfast.model import Silent, SystemClock
from holdfast.systems.postgres import faults
from holdfast.systems.postgres.cluster import members
from holdfast.systems.postgres.link import connection
from holdfast.systems.postgres.probes.run import probe
from holdfast.systems.postgres.settings import PostgresSettings
from holdfast.systems.postgres.system import PostgresSystem
from tests.postgres.capture.recording import FolderWriter, MemoryLogs
from tests.servers.ports import free_port

pytestmark = pytest.mark.postgres
SECRET = "s3cret pass'word"


@pytest.fixture(scope="module")
def guarded():
    """A server that asks for passwords, with roles of different rights. Shared: tests leave it as it was."""
    from tests.servers import PostgresServer, need

    with need():
        server = PostgresServer.create(15, password="postgres password")
    server.execute(f"create role plain login password '{SECRET.replace(chr(39), chr(39) * 2)}'")
    server.execute(f"create role keeper login replication password '{SECRET.replace(chr(39), chr(39) * 2)}'")
    yield server
    server.remove()


def dsn(server, user, password=SECRET, **more):
    import psycopg.conninfo

    return psycopg.conninfo.make_conninfo(
        host="127.0.0.1", port=server.port, user=user, password=password, **{"dbname": "postgres", **more}
    )


def capture(tmp_path, *dsns, **settings):
    writer = FolderWriter(tmp_path / "point")
    try:
        return PostgresSystem("s", PostgresSettings(dsns=dsns, wal_wait=10, **settings)).capture(writer, Silent(), logs=MemoryLogs())
    except BaseException as error:
        assert not hasattr(writer, "point")
        shown = f"{error} {getattr(error, 'message', '')} {getattr(error, 'hint', '')} {getattr(error, 'details', '')}"
        assert SECRET not in shown
        assert "wrong one" not in shown
        raise


def test_a_server_that_is_down(tmp_path):
    port = free_port()
    with pytest.raises(faults.ServerUnreachable) as caught:
        capture(tmp_path, f"host=127.0.0.1 port={port} user=x password='wrong one'")
    assert (caught.value.code, caught.value.status) == ("pg-unreachable", 3)
    assert f"127.0.0.1:{port}" in caught.value.message
    assert isinstance(caught.value, Unreachable)


@pytest.mark.parametrize("opened", [connection.connect, connection.replication])
@pytest.mark.parametrize("name", ["password", "certificate", "too many", "starting up", "wal sender", "role database does not exist"])
def test_words_of_a_folder_or_a_host_are_nobodys_answer(name, opened):
    """Nobody is there to refuse a login, to start up or to have too many."""
    folder = Path(tempfile.mkdtemp(prefix=f"{name} ", dir="/tmp"))
    dsn = make_conninfo(host=str(folder), user=f"{name} user", dbname=f"{name} database")
    try:
        with pytest.raises(faults.ServerUnreachable) as caught:
            opened(dsn)
    finally:
        folder.rmdir()
    assert name in caught.value.message


def test_a_wrong_password(guarded, tmp_path):
    with pytest.raises(faults.LoginRefused) as caught:
        capture(tmp_path, dsn(guarded, "keeper", "wrong one"))
    assert caught.value.code == "pg-auth"
    assert "keeper" in caught.value.message
    assert "pg_hba.conf" in caught.value.hint


def test_a_role_that_does_not_exist(guarded, tmp_path):
    with pytest.raises(faults.LoginRefused):
        capture(tmp_path, dsn(guarded, "nobody here"))


def test_a_database_that_does_not_exist(guarded, tmp_path):
    with pytest.raises(faults.DatabaseMissing):
        capture(tmp_path, dsn(guarded, "keeper", dbname="nowhere"))


def test_no_replication_right(guarded, tmp_path):
    with pytest.raises(Usage) as caught:
        capture(tmp_path, dsn(guarded, "plain"))
    assert caught.value.code in {"pg-no-replication-right", "pg-replication-denied"}
    assert "REPLICATION" in caught.value.hint


def test_replication_alone_suffices_for_a_remote_backup(guarded, tmp_path):
    writer = FolderWriter(tmp_path / "point")
    point = PostgresSystem("s", PostgresSettings(dsns=(dsn(guarded, "keeper"),))).capture(writer, Silent(), logs=MemoryLogs())
    assert point.facts["method"] == "remote"
    # What the role may not see is said, not guessed.
    assert point.facts["preload_libraries"] is None
    assert point.facts["config_missing"]
    assert (tmp_path / "point" / "postgresql.conf").exists()


def test_a_connection_string_that_is_none():
    with pytest.raises(faults.ConnectionStringBad) as caught:
        connection.parse(f"host=x password='{SECRET.replace(chr(39), '')} nonsense")
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_wal_level_minimal(servers, tmp_path):
    server = servers(15, settings={"wal_level": "minimal", "max_wal_senders": "0"})
    for data_directory in (server.data, None):
        with pytest.raises(Usage) as caught:
            capture(tmp_path, server.dsn, data_directory=data_directory)
        assert caught.value.code == "pg-wal-level-minimal"
        assert "wal_level = replica" in caught.value.hint
    found = {one.name: one for one in probe(PostgresSettings(dsns=(server.dsn,)), SystemClock())}
    assert found["wal_level"].state == "fail"


def test_all_wal_senders_in_use(servers, tmp_path):
    server = servers(15, settings={"max_wal_senders": "1"})
    taken = connection.replication(server.dsn)
    try:
        for data_directory in (server.data, None):
            with pytest.raises(Unreachable) as caught:
                capture(tmp_path, server.dsn, data_directory=data_directory)
            assert caught.value.code == "pg-max-wal-senders"
            assert "max_wal_senders" in caught.value.hint
        found = {one.name: one for one in probe(PostgresSettings(dsns=(server.dsn,)), SystemClock())}
        assert found["max_wal_senders"].state == "fail"
        assert found["replication connection"].state == "fail"
    finally:
        taken.finish()
    until = time.monotonic() + 60
    while True:
        # The sender is free again when its process has ended, somewhat later.
        try:
            capture(tmp_path, server.dsn, data_directory=server.data)
        except faults.NoWalSender:
            assert time.monotonic() < until
            time.sleep(0.05)
        else:
            break


def test_all_replication_slots_in_use(servers, tmp_path):
    server = servers(15, settings={"max_replication_slots": "1"})
    server.execute("select pg_create_physical_replication_slot('taken')")
    with pytest.raises(Unreachable) as caught:
        capture(tmp_path, server.dsn, data_directory=server.data)
    assert caught.value.code == "pg-max-replication-slots"
    found = {one.name: one for one in probe(PostgresSettings(dsns=(server.dsn,)), SystemClock())}
    assert found["max_replication_slots"].state == "fail"


@pytest.mark.parametrize("in_place", [True, False])
def test_a_server_that_dies_in_the_middle(servers, tmp_path, in_place):
    server = servers(15)
    writer = FolderWriter(tmp_path / "point")

    class Killer(Silent):
        def phase(self, name, total=None, unit="B"):
            if name == "data":
                server.kill9()

    system = PostgresSystem("s", PostgresSettings(dsns=(server.dsn,), data_directory=server.data if in_place else None, wal_wait=5))
    with pytest.raises((faults.BackupBroken, Unreachable)):
        system.capture(writer, Killer(), logs=MemoryLogs())
    assert not hasattr(writer, "point")


def test_members_of_different_clusters_are_refused(servers, tmp_path):
    one, other = servers(15), servers(15)
    with pytest.raises(faults.MembersDiffer, match="system identifiers"):
        members.discover(PostgresSettings(dsns=(one.dsn, other.dsn)))


def test_an_unreachable_member_among_others_is_listed_and_not_chosen(guarded):
    down = f"host=127.0.0.1 port={free_port()} user=x"
    settings = PostgresSettings(dsns=(down, dsn(guarded, "keeper")))
    found = members.discover(settings)
    assert [one.role for one in found] == [None, "primary"]
    assert members.choose(found, "primary", 10).address.endswith(str(guarded.port))
    with pytest.raises(faults.NoSuitableMember) as caught:
        members.choose(found, "standby", 10)
    assert "is a primary" in caught.value.message
    assert "could be reached" in caught.value.message


def test_the_password_is_in_no_process_list(guarded):
    from holdfast.systems.postgres.capture.logical import environment

    found = environment(dsn(guarded, "keeper"), "my db", {"PATH": "/bin"})
    assert found["PGPASSWORD"] == SECRET
    assert found["PGDATABASE"] == "my db"
    assert found["PGHOST"] == "127.0.0.1"
    assert found["PATH"] == "/bin"
    assert SECRET not in subprocess.run(["ps", "axo", "args"], capture_output=True, text=True, check=True).stdout


def test_settings_and_members_do_not_show_secrets(guarded):
    settings = PostgresSettings(dsns=(dsn(guarded, "keeper"),))
    [found] = members.discover(settings)
    assert SECRET not in f"{settings!r} {found!r}"
