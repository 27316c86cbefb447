"""Who ships WAL while a server works: nobody (the baseline), pgBackRest asynchronously, Holdfast's follower."""

import contextlib
import signal
import subprocess
import time
from typing import Protocol

from bench.contenders.holdfast import SYSTEM, Holdfast
from bench.contenders.pgbackrest import PgBackRest
from bench.measure import anonymous, cpu_seconds, tree
from tests.servers import PostgresServer


class Shipper(Protocol):
    """``start`` returns when shipping can begin, ``stop`` when nothing is shipped any more."""

    name: str

    def start(self) -> None: ...

    def stop(self) -> None: ...

    shipped: str
    """A query for the position (bytes) up to which WAL is safe, as the server knows it."""

    ours: bool
    """Whether the processes are this one's children, so that their CPU and memory are known."""

    def memory(self) -> int:
        """Anonymous bytes now; 0 where the processes are not ours."""
        ...

    def cpu(self) -> float:
        """CPU seconds since ``start``; 0 where the processes are not ours."""
        ...


class Nobody:
    name = "nobody"
    ours = False
    shipped = "select 0"

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def memory(self) -> int:
        return 0

    def cpu(self) -> float:
        return 0


class ByPgBackRest:
    """Shipped is the end of the segment that pgBackRest last acknowledged."""

    name = "pgbackrest"
    ours = False
    # The newest file may be a backup's label, which is named after its segment, or a history, which says nothing.
    shipped = """select coalesce((select ((('x' || substr(last_archived_wal, 9, 8))::bit(32)::bigint << 32)
                 + (('x' || substr(last_archived_wal, 17, 8))::bit(32)::bigint + 1) * 16777216)::bigint
                 from pg_stat_archiver where last_archived_wal ~ '^[0-9A-F]{24}'), 0)"""

    def __init__(self, peer: PgBackRest) -> None:
        self.peer = peer

    def start(self) -> None:
        self.peer.archive("pgbackrest")

    def stop(self) -> None:
        self.peer.archive("hold")

    def memory(self) -> int:
        return 0

    def cpu(self) -> float:
        return 0


class ByHoldfast:
    """Shipped is what the follower reported as flushed, which is what is durable in the vault."""

    name = "holdfast"
    ours = True
    shipped = "select coalesce(max(flush_lsn - '0/0'), 0)::bigint from pg_stat_replication"

    def __init__(self, ours: Holdfast, server: PostgresServer) -> None:
        self.ours = ours
        self.server = server
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.ours.home / "follow.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.ours.command("follow", SYSTEM),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.ours.home,
                env={**self.ours.account.environment(self.ours.home), **self.ours.environment},
                **self.ours.account.popen,
            )
        end = time.monotonic() + 30
        while not self.server.value("select count(*) from pg_stat_replication"):
            if self.process.poll() is not None or time.monotonic() > end:
                tail = (self.ours.home / "follow.log").read_text(errors="replace")[-2000:]
                self.stop()
                raise RuntimeError(f"the follower did not come up:\n{tail}")
            time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(30)
            self.process.kill()
            self.process.wait()

    def memory(self) -> int:
        return anonymous(tree(self.process.pid)) if self.process else 0

    def cpu(self) -> float:
        return cpu_seconds(tree(self.process.pid)) if self.process else 0
