"""Recovery from a backup through a backlog of WAL to a server that takes writes: the whole way, as an operator waits for it."""

import json
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.contenders.holdfast import SYSTEM, Holdfast
from bench.contenders.pgbackrest import PgBackRest
from bench.measure import RunFailed
from bench.results import Results
from tests.servers import PostgresServer
from tests.servers.account import server_folder, service_account
from tests.servers.ports import free_port

MIB = 1 << 20


def recover(
    results: Results,
    server: PostgresServer,
    contenders: Sequence[PgBackRest | Holdfast],
    size: int,
    rounds: int,
    say: Callable[[str], None],
) -> None:
    """``replay``: MiB of WAL over the seconds from the start of the restore to an open server; both restore the same small base.

    One recovery of each is not timed, so that programs and modules are ready.
    """
    rows = server.value("select count(*) from backlog")
    walls: dict[str, list[float]] = {one.name: [] for one in contenders}
    for turn in range(rounds + 1):
        say(f"WAL: recovery through {size / MIB:.0f} MiB, " + (f"round {turn} of {rounds}" if turn else "not timed"))
        for one in contenders if turn % 2 else reversed(contenders):
            _once(results, one, rows, walls[one.name])
    for name, found in walls.items():
        timed = found[1:]
        if timed:
            wall = statistics.median(timed)
            results.fact("wal", "replay", name, wall=wall, mib_per_second=size / MIB / wall)


def _once(results: Results, one: PgBackRest | Holdfast, rows: int, walls: list[float]) -> None:
    home = server_folder("re")
    into = home / "data"
    into.mkdir(mode=0o700)
    service_account().own(into)
    started = time.monotonic()
    try:
        done, found = _peer(one, into) if isinstance(one, PgBackRest) else _ours(one, into)
        if found != rows:
            raise RunFailed(f"{found} rows came back, not {rows}")
        walls.append(done - started)
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
    try:
        said = ours.run("restore", SYSTEM, "--into", into, "--start", "--port", free_port(), "--yes", "--json")
        done = time.monotonic()
        import psycopg

        # The document comes last, behind the progress that goes to the other stream; here both are one.
        document = json.loads(said.output[said.output.index("\n{") + 1 :])
        with psycopg.connect(document["result"]["connection"]) as connection:
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
