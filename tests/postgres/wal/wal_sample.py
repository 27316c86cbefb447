"""Real WAL with everything in it that the scanner looks for, and pg_waldump's word on it."""

import contextlib
import datetime as dt
import os
import re
import subprocess
from pathlib import Path

from holdfast.systems.postgres import lsn
from tests.servers import PostgresServer

_LINE = re.compile(r"^rmgr: (\S+)\s+len \(rec/tot\):\s+\d+/\s*(\d+), tx:\s+(\d+), lsn: (\S+), prev \S+, desc: (.*)$")


def make_wal(server: PostgresServer) -> None:
    """Commits, aborts, subtransactions, two-phase, restore points, a switched segment, dropped tables, a checkpoint."""
    server.execute("create table if not exists t (id serial primary key, v text)")
    for n in range(30):
        server.execute(f"insert into t (v) select repeat(md5(i::text), 40) from generate_series(1, {n * 7}) i")
    with server.connect() as connection:
        connection.autocommit = False
        for n in range(5):
            with contextlib.suppress(ZeroDivisionError), connection.transaction():
                connection.execute("insert into t (v) values ('a')")
                for _ in range(70):
                    with connection.transaction():
                        connection.execute("insert into t (v) values ('sub')")
                if n % 2:
                    raise ZeroDivisionError
        connection.commit()
        connection.autocommit = True
        for n, end in enumerate(("commit", "rollback", "commit")):
            connection.execute(
                f"begin; create table two{n} (x int); savepoint s; insert into two{n} values (1); prepare transaction 'g{n}'"
            )
            connection.execute(f"{end} prepared 'g{n}'")
    server.execute("select pg_create_restore_point('before the switch')")
    server.execute("select pg_switch_wal()")
    server.execute("create table u as select * from t; drop table u")
    server.execute("truncate t")
    server.execute("checkpoint")
    server.execute("select pg_create_restore_point('Zürich ''quoted''')")
    server.execute("begin; insert into t (v) values ('x'); rollback")


def pg_wal(server: PostgresServer) -> tuple[int, bytes]:
    """(position of the first segment there, all WAL up to the flushed end) of a server on one timeline."""
    end = lsn.parse(server.value("select pg_current_wal_flush_lsn()::text"))
    names = sorted(p.name for p in (server.data / "pg_wal").iterdir() if re.fullmatch("[0-9A-F]{24}", p.name))
    start = lsn.segment_start(names[0])[1]
    names = [n for n in names if lsn.segment_start(n)[1] < end]
    return start, b"".join((server.data / "pg_wal" / n).read_bytes() for n in names)[: end - start]


def dumped(folder: Path, program: Path, start: int, end: int, timeline: int = 1) -> list[tuple]:
    """What pg_waldump says: (word, lsn, xid, time or name)."""
    run = subprocess.run(
        [program, "-p", folder, "-s", lsn.show(start), "-e", lsn.show(end), "-t", str(timeline)],
        capture_output=True,
        text=True,
        env={**os.environ, "TZ": "UTC"},
        check=False,
    )
    found = []
    for line in run.stdout.splitlines():
        match = _LINE.match(line)
        assert match, line
        rmgr, _, xid, at, desc = match.groups()
        word, _, rest = desc.partition(" ")
        if rmgr == "Transaction" and word in {"COMMIT", "ABORT", "COMMIT_PREPARED", "ABORT_PREPARED"}:
            if word.endswith("PREPARED"):
                xid, _, rest = rest.partition(": ")
            stamp = dt.datetime.fromisoformat(rest[:26].split(" UTC")[0] + "+00:00")
            time = round((stamp - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) / dt.timedelta(microseconds=1))
            found.append((word.split("_")[0], lsn.parse(at), int(xid), time))
        elif rmgr == "XLOG" and word in {"RESTORE_POINT", "CHECKPOINT_SHUTDOWN", "CHECKPOINT_ONLINE", "END_OF_RECOVERY", "SWITCH"}:
            found.append((word.split("_ONLINE")[0].split("_SHUTDOWN")[0], lsn.parse(at), int(xid), rest if word == "RESTORE_POINT" else ""))
    return found
