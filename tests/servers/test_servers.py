"""The servers that other tests stand on do what their names say."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import PostgresServer, need
from tests.servers.account import folders_removed, server_folder
from tests.servers.ports import free_port


def test_every_version_of_the_matrix_runs_with_checksums(pg_any):
    assert pg_any.value("show server_version_num").startswith(str(pg_any.version))
    assert pg_any.value("show data_checksums") == "on"


def test_crash_and_restart_keep_committed_rows(servers):
    server = servers(15)
    server.execute("create table t (x int); insert into t values (1)")
    server.kill9()
    assert not server.running
    server.start()
    assert server.execute("select x from t") == [(1,)]
    server.restart("immediate")
    assert server.execute("select x from t") == [(1,)]


@pytest.mark.parametrize("version", [14, 18])
def test_a_standby_follows_and_can_be_promoted(servers, version):
    primary = servers(version)
    standby = servers.keep(primary.standby(slot="one"))
    primary.execute("create table t as select 7 as x")
    standby.wait_for("select to_regclass('t') is not null")
    standby.promote()
    standby.execute("insert into t values (8)")
    assert standby.value("select pg_is_in_recovery()") is False
    assert standby.value("select timeline_id from pg_control_checkpoint()") in (1, 2)


def test_a_copied_directory_starts_by_attach(servers, tmp_path):
    server = servers(15)
    server.execute("create table t as select 5 as x")
    server.stop()
    import shutil

    shutil.copytree(server.data, tmp_path / "copy")
    assert servers.attach(15, tmp_path / "copy").execute("select x from t") == [(5,)]


def test_a_password_is_asked_over_tcp(servers):
    import psycopg

    server = servers(15, password="pa ss'word")
    with psycopg.connect(server.tcp_dsn, password="pa ss'word") as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(server.tcp_dsn, password="wrong")


def test_client_programs_work_with_every_version(pg_any):
    assert "1" in pg_any.tool("psql", "-Atc", "select 1", "postgres").stdout


def test_minio_has_versions_and_refuses_a_second_conditional_put(minio):
    bucket = minio.bucket(versions=True)
    client = minio.client()
    client.put_object(Bucket=bucket, Key="a", Body=b"one", IfNoneMatch="*")
    with pytest.raises(client.exceptions.ClientError) as failure:
        client.put_object(Bucket=bucket, Key="a", Body=b"two", IfNoneMatch="*")
    assert failure.value.response["Error"]["Code"] == "PreconditionFailed"
    assert client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"one"


def test_a_missing_server_is_a_skip_at_home_and_a_failure_in_ci(monkeypatch):
    from tests.servers.need import ServerMissing

    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no such server"), need():
        raise ServerMissing("no such server")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="CI is set"), need():
        raise ServerMissing("no such server")


def test_ports_are_not_handed_out_twice():
    assert len({free_port() for _ in range(50)}) == 50


def test_a_port_is_its_processes_own_while_no_server_listens():
    """Whichever process asks, of whatever run."""
    ours = [free_port() for _ in range(5)]
    code = f"from tests.servers import ports; print([ports._ours(port) for port in {ours}], ports.free_port() > 0)"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{[False] * 5} True"


def test_removing_a_server_ends_its_processes(servers):
    from tests.servers.postgres import _children

    server: PostgresServer = servers(15)
    pid, below = server.pid, _children(server.pid)
    assert below
    server.remove()
    assert not server.folder.exists()
    assert not _children(pid)


def test_folders_of_a_test_go_with_it_and_kept_ones_stay():
    with folders_removed():
        passing, kept = server_folder("gone"), server_folder("kept", keep=True)
        (passing / "file").write_text("x")
        before = server_folder("before")
        with folders_removed():
            assert server_folder("inner").exists()
        assert before.exists()
    assert not passing.exists()
    assert not before.exists()
    assert kept.exists()
    kept.rmdir()


def test_clusters_of_one_template_are_strangers_to_one_another(servers):
    """Each has an identity of its own, in the control file and in its WAL; what was asked of initdb is kept."""
    one, other = servers(15), servers(15, checksums=False)
    third = servers(15)
    told = [server.value("select system_identifier::text from pg_control_system()") for server in (one, other, third)]
    assert len(set(told)) == 3
    assert [server.value("show data_checksums") for server in (one, other, third)] == ["on", "off", "on"]
    one.execute("create table t as select 1 as a")
    one.kill9()
    # Crash recovery reads the first segment again, and would refuse another system's.
    one.start()
    assert one.value("select count(*) from t") == 1
