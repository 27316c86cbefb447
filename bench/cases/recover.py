"""Recovery from a backup through a backlog of WAL to a server that takes writes: the whole way, as an operator waits for it."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from bench.contenders.holdfast import SYSTEM, Holdfast
from bench.contenders.pgbackrest import PgBackRest
from bench.measure import RunFailed
from bench.results import Results
from tests.servers import PostgresServer
from tests.servers.account import server_folder, service_account

MIB = 1 << 20


def recover(
    results: Results, server: PostgresServer, peer: PgBackRest | None, ours: Holdfast | None, size: int, say: Callable[[str], None]
) -> None:
    """``replay``: MiB of WAL over the seconds from the start of the restore to an open server; both restore the same small base."""
    rows = server.value("select count(*) from backlog")
    for one in (peer, ours):
        if one is None:
            continue
        say(f"WAL: {one.name} recovers through {size / MIB:.0f} MiB")
        home = server_folder("re")
        into = home / "data"
        into.mkdir(mode=0o700)
        service_account().own(into)
        started = time.monotonic()
        try:
            done, found = _peer(one, into) if isinstance(one, PgBackRest) else _ours(one, into)
            if found != rows:
                raise RunFailed(f"{found} rows came back, not {rows}")
            results.fact("wal", "replay", one.name, wall=done - started, mib_per_second=size / MIB / (done - started))
        except (RunFailed, RuntimeError, TimeoutError, KeyError) as failure:
            results.missing.append(f"{one.name}, recovery through WAL: {failure}")
        finally:
            shutil.rmtree(home, ignore_errors=True)


def _peer(peer: PgBackRest, into: Path) -> tuple[float, int]:
    """When the server was open, and the rows in it."""
    peer.restore(into)
    restored = PostgresServer.attach(15, into, settings={"archive_mode": "off"}, start=False)
    try:
        restored.start(timeout=1800)
        restored.wait_for("select not pg_is_in_recovery()", timeout=1800)
        return time.monotonic(), restored.value("select count(*) from backlog")
    finally:
        restored.remove()


def _ours(ours: Holdfast, into: Path) -> tuple[float, int]:
    said = ours.run("restore", SYSTEM, "--into", into, "--start", "--yes", "--json")
    done = time.monotonic()
    document = json.loads(said.output[said.output.index("{") :])
    import psycopg

    try:
        with psycopg.connect(document["connection"]) as connection:
            row = connection.execute("select count(*) from backlog").fetchone()
            assert row is not None
            return done, row[0]
    finally:
        _stop(into)


def _stop(into: Path) -> None:
    """Ends the server that the restore left running, by the id in its own directory."""
    import os
    import signal

    try:
        pid = int((into / "postmaster.pid").read_text().split()[0])
    except (OSError, IndexError, ValueError):
        return
    os.kill(pid, signal.SIGINT)
    end = time.monotonic() + 60
    while (into / "postmaster.pid").exists() and time.monotonic() < end:
        time.sleep(0.05)
