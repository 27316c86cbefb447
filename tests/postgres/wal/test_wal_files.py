"""``wal push`` and ``wal get`` against a real server's own segments."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import blake3
import pytest

from holdfast.storage.contract import StorageUnreachable
from holdfast.storage.wrappers.base import Wrapper
from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.wal.coverage import LogIndex
from holdfast.systems.postgres.walclient import default_socket, main
from holdfast.systems.postgres.walserver import WalArchive, WalFetcher, WalIncomplete, WalServer
from holdfast.systems.postgres.walserver.errors import WalDiffers, WalUnavailable
from tests.postgres.wal.following import logs_of, new_vault, running
from tests.postgres.wal.restored import client
from tests.postgres.wal.test_follow import flushed, wait_until
from tests.servers.account import server_folder

pytestmark = pytest.mark.postgres


class Given:
    """A file's content as the socket hands it over."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def size(self) -> int:
        return len(self._data)

    def digest(self) -> bytes:
        return blake3.blake3(self._data).digest()

    def read(self) -> bytes:
        return self._data


@contextlib.contextmanager
def archiving(vault: Path, follow, patience: float = 60):
    """The follower's socket, for PUSH and GET of the first branch."""
    socket = server_folder("sock") / "wal.sock"
    with WalServer(socket, archive=WalArchive(follow.follower, logs_of(vault), patience=patience), mode=0o666):
        yield socket


def test_archive_command_succeeds_with_what_was_streamed(servers, tmp_path) -> None:
    """Segments, backup history, and over a promotion the partial segment and the history file."""
    socket = server_folder("sock") / "wal.sock"
    command = f"{client()} push --socket {socket} %p"
    settings = {"archive_mode": "on", "archive_command": command, "wal_keep_size": "1GB"}
    server = servers(15, settings=settings)
    new_vault(tmp_path)
    where = server
    with running(lambda: where.dsn, logs_of(tmp_path)) as follow:
        follow.wait_for(lambda: follow.follower.durable)
        with WalServer(socket, archive=WalArchive(follow.follower, logs_of(tmp_path), patience=60), mode=0o666):
            server.execute("create table t (x text)")
            for _ in range(3):
                server.execute("insert into t select md5(n::text) from generate_series(1, 1000) n; select pg_switch_wal()")
            standby = servers.keep(server.standby())
            server.wait_for("select last_archived_wal >= '000000010000000000000003' from pg_stat_archiver")
            wait_until(lambda: any(p.name.endswith(".backup.done") for p in (server.data / "pg_wal" / "archive_status").iterdir()))
            assert server.value("select failed_count from pg_stat_archiver") == 0
            server.execute("insert into t select md5(n::text) from generate_series(1, 1000) n")
            end = flushed(server)
            standby.wait_for(f"select pg_last_wal_replay_lsn() >= '{lsn.show(end)}'")
            server.kill9()
            where = standby
            standby.promote()
            standby.execute("insert into t select md5(n::text) from generate_series(1, 1000) n; select pg_switch_wal()")
            archived = "last_archived_wal >= '00000002' and last_archived_wal !~ 'history'"
            standby.wait_for(f"select count(*) = 1 from pg_stat_archiver where {archived}")
            done = {p.name for p in (standby.data / "pg_wal" / "archive_status").glob("*.done")}
            assert "00000002.history.done" in done
            assert any(name.endswith(".partial.done") for name in done)


def test_segments_equal_the_servers_own(servers, tmp_path, capsys) -> None:
    server = servers(18, settings={"wal_keep_size": "1GB"})
    new_vault(tmp_path)
    with running(server.dsn, logs_of(tmp_path)) as follow:
        server.pgbench("-i", "-s", "2", "-q")
        end = flushed(server)
        follow.wait(end)
        logs = logs_of(tmp_path)
        (branch,) = logs.branches()
        start = LogIndex(logs.reader(branch)).stretches[0][0]
        last = end - end % lsn.SEGMENT
        with archiving(tmp_path, follow) as push, WalFetcher.for_branch(logs, branch) as fetcher:
            get = server_folder("sock") / "get.sock"
            target = tmp_path / "RECOVERYXLOG"
            with WalServer(get, fetcher):
                for position in range(start, last, lsn.SEGMENT):
                    name = lsn.segment_name(1, position)
                    original = (server.data / "pg_wal" / name).read_bytes()
                    assert main(["wal", "get", "--socket", str(get), name, str(target)]) == 0
                    assert target.read_bytes() == original
                    assert main(["wal", "push", "--socket", str(push), str(server.data / "pg_wal" / name)]) == 0
                # The open segment: what is there, then zeros.
                name = lsn.segment_name(1, last)
                assert main(["wal", "get", f"--socket={get}", name, str(target)]) == 0
                data = target.read_bytes()
                assert len(data) == lsn.SEGMENT
                assert data[: end - last] == (server.data / "pg_wal" / name).read_bytes()[: end - last]
                target.unlink()
                for missing in (
                    lsn.segment_name(1, last + lsn.SEGMENT),
                    lsn.segment_name(2, start),
                    "00000002.history",
                    "00000001.history",
                ):
                    assert main(["wal", "get", f"--socket={get}", missing, str(target)]) == 1
                    assert not target.exists()
            # Without a server to ask nobody may think that the log ends here.
            assert main(["wal", "get", f"--socket={get}", name, str(target)]) == 200
            assert not target.exists()
            assert "no follower listens" in capsys.readouterr().err
            changed = tmp_path / lsn.segment_name(1, start)
            data = bytearray((server.data / "pg_wal" / changed.name).read_bytes())
            data[1_000_000] ^= 1
            changed.write_bytes(data)
            assert main(["wal", "push", f"--socket={push}", str(changed)]) == 1
            assert "other bytes" in capsys.readouterr().err
            with archiving(tmp_path, follow, patience=0.5) as hasty:
                assert main(["wal", "push", f"--socket={hasty}", str(server.data / "pg_wal" / name)]) == 1
            assert "not durable yet" in capsys.readouterr().err
    # A follower that was started anew has no hashes: the vault's bytes are compared.
    with running(server.dsn, logs_of(tmp_path)) as follow:
        follow.wait(end)
        archive = WalArchive(follow.follower, logs_of(tmp_path), patience=0.5)
        good = (server.data / "pg_wal" / changed.name).read_bytes()
        assert archive.push(changed.name, Given(good)) == "durable"
        with pytest.raises(WalDiffers):
            archive.push(changed.name, Given(bytes(data)))
        with pytest.raises(WalUnavailable):
            archive.push(changed.name, Given(good[:-1]))


def test_limit_and_outage_and_gap(servers, tmp_path) -> None:
    server = servers(15, settings={"wal_keep_size": "1GB"})
    new_vault(tmp_path)
    with running(server.dsn, logs_of(tmp_path)) as follow:
        server.pgbench("-i", "-s", "3", "-q")
        end = flushed(server)
        follow.wait(end)
    logs = logs_of(tmp_path)
    (branch,) = logs.branches()
    start = LogIndex(logs.reader(branch)).stretches[0][0]
    limit = start + lsn.SEGMENT + 5000
    with WalFetcher.for_branch(logs, branch, limit=limit) as fetcher:
        second = fetcher.segment(lsn.segment_name(1, start + lsn.SEGMENT))
        assert bytes(second[:5000]) == (server.data / "pg_wal" / lsn.segment_name(1, start + lsn.SEGMENT)).read_bytes()[:5000]
        assert not any(second[5000:])
        assert fetcher.segment(lsn.segment_name(1, start + 2 * lsn.SEGMENT)) is None

    away = []

    class Away(Wrapper):
        def get(self, name, start=0, length=None):
            if name.startswith("logs/") and away and away.pop():
                raise StorageUnreachable("the network is gone")
            return self.inner.get(name, start, length)

    lost = logs_of(tmp_path, wrap=Away)
    with WalFetcher.for_branch(lost, branch, ahead=0) as fetcher:
        socket = server_folder("sock") / "wal.sock"
        target = tmp_path / "x"
        with WalServer(socket, fetcher, patience=0.2):
            away.extend([True] * 50)
            assert main(["wal", "get", f"--socket={socket}", lsn.segment_name(1, start), str(target)]) == 200
            away.clear()
            away.append(True)
        with WalServer(socket, fetcher, patience=60):
            assert main(["wal", "get", f"--socket={socket}", lsn.segment_name(1, start), str(target)]) == 0
    for path in (tmp_path / "vault").rglob(f"*{start + lsn.SEGMENT:016x}-*"):
        path.unlink()
    with WalFetcher.for_branch(logs_of(tmp_path), branch) as fetcher:
        assert fetcher.segment(lsn.segment_name(1, start)) is not None
        with pytest.raises(WalIncomplete):
            fetcher.segment(lsn.segment_name(1, start + lsn.SEGMENT))


def test_default_socket_and_usage(monkeypatch, capsys) -> None:
    monkeypatch.setenv("HOLDFAST_STATE", "/var/lib/hf")
    assert default_socket() == "/var/lib/hf/wal.sock"
    assert default_socket("orders") == "/var/lib/hf/wal-orders.sock"
    assert main(["wal", "get"]) == 200
    assert main(["wal", "push", "--what", "x"]) == 1
    assert main(["wal"]) == 1
    assert "usage" in capsys.readouterr().err


def test_the_client_imports_next_to_nothing() -> None:
    """Start time is a promise: < 40 ms for a push besides durability."""
    code = (
        "import sys; before = set(sys.modules); import holdfast.systems.postgres.walclient;"
        " print(' '.join(sorted(m for m in set(sys.modules) - before if not m.startswith('_'))))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    found = {m.partition(".")[0] for m in done.stdout.split()}
    assert found == {"holdfast"}
    assert not {m for m in done.stdout.split() if m.startswith("holdfast") and "walclient" not in m} - {
        "holdfast",
        "holdfast.systems",
        "holdfast.systems.postgres",
    }


def test_a_socket_in_use_is_not_taken_and_a_dead_one_is(tmp_path) -> None:
    from holdfast.systems.postgres.walserver.server import SocketTaken

    path = server_folder("sock") / "wal.sock"
    with WalServer(path), pytest.raises(SocketTaken):
        WalServer(path)
    code = f"import socket, os; s = socket.socket(socket.AF_UNIX); s.bind({str(path)!r}); os._exit(0)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert path.exists()
    with WalServer(path):
        time.sleep(0.01)
    assert not path.exists()


def test_help_is_no_error(capsys) -> None:
    for words in (["wal", "get", "--help"], ["wal", "--help"]):
        assert main(words) == 0
        assert "usage: holdfast wal push" in capsys.readouterr().out
