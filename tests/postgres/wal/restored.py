"""A server recovered from a plain base backup and nothing but the vault's log."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.systems.postgres import walclient
from holdfast.systems.postgres.walserver import WalFetcher, WalServer
from tests.postgres.wal.following import logs_of
from tests.servers import PostgresServer
from tests.servers.account import server_folder, service_account
from tests.servers.versions import client_tool


def client() -> str:
    """The words that run ``holdfast wal`` as the servers' account."""
    if service_account().can_run(Path(sys.executable)):
        return f"{sys.executable} -m holdfast.systems.postgres.walclient"
    # A checkout below a private home is out of that account's reach; the client is one file of the standard library.
    copy = server_folder("client") / "walclient.py"
    copy.write_text(Path(walclient.__file__).read_text() + "\nsys.exit(main(sys.argv[1:]))\n")
    copy.chmod(0o644)
    return f"/usr/bin/python3 {copy}"


def base_backup(server: PostgresServer) -> Path:
    """pg_basebackup without any WAL."""
    folder = server_folder("base") / "data"
    info = f"host={server.folder} port={server.port} user=postgres"
    server._run([client_tool("pg_basebackup"), "-D", folder, "-d", info, "-X", "none", "-c", "fast", "--no-sync"])
    return folder


@contextmanager
def recovered(
    base: Path, version: int, vault: Path, branch: str, *, limit: int | None = None, settings: dict[str, str] | None = None
) -> Iterator[PostgresServer]:
    """Start a copy of ``base`` that replays everything the vault holds on the history of ``branch``."""
    folder = server_folder("rec") / "data"
    shutil.copytree(base, folder, symlinks=True)
    shutil.rmtree(folder / "pg_wal")
    (folder / "pg_wal").mkdir()
    (folder / "recovery.signal").touch()
    logs = logs_of(vault)
    socket = server_folder("sock") / "wal.sock"
    with WalFetcher.for_branch(logs, branch, limit=limit) as fetcher, WalServer(socket, fetcher, mode=0o666):
        command = f"{client()} get --socket {socket} %f %p"
        given = {"restore_command": command, "recovery_target_timeline": "latest", "archive_mode": "off", "hot_standby": "on"}
        server = PostgresServer.attach(version, folder, settings={**given, **(settings or {})}, start=False)
        try:
            server.start(timeout=120)
            server.wait_for("select not pg_is_in_recovery()", timeout=120)
            yield server
        finally:
            server.remove()
            shutil.rmtree(folder.parent, ignore_errors=True)
