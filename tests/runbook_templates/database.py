"""A PostgreSQL server with an application that writes, followed into a vault; somebody's UPDATE ruins it. And the program by which a
runbook stops and starts it. The application keeps a ledger of its own, outside of Holdfast, of what happened to it.
"""

import contextlib
import hashlib
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from holdfast.systems.postgres.running.instance import running_pid
from tests.cli.running import environment
from tests.runbook_templates.drive import MODULE, PATIENCE, Follower
from tests.runbook_templates.ground import Ground
from tests.servers import PostgresServer, service_account
from tests.servers.account import server_folder
from tests.servers.ports import free_port

PLAN = """
platform: acme
runbooks: ./runbooks
vault:
  key: {{env: HOLDFAST_KEY}}
  locations:
    - {{name: onsite, url: "file://{vault}", failure_domain: here}}
systems:
  orders:
    kind: postgres
    dsn: {{file: ./database.dsn}}
    binaries: {bin}
    backup: daily
    rpo: 1d
    rto: 2h
    owner: core-data
    keep: {{last: 30}}
    checks:
      - {{name: no order is free, sql: "select count(*) from orders where amount = 0", expect: 0}}
      - {{name: orders are there, sql: "select count(*) >= 200 from orders", expect: true}}
"""
PROGRAM = """\
#!{python}
import pathlib, sys, time
control = pathlib.Path({control!r})
verb = sys.argv[1]

def wait(name, there=True):
    while (control / name).exists() != there:
        time.sleep(0.02)

def stop():
    (control / "stopped").touch(); wait("stands")
def start():
    (control / "stopped").unlink(missing_ok=True); wait("stands", False)
asked = {{"stopped": "stands", "running": "runs", "healthy": "healthy"}}
if verb in asked:
    sys.exit(0 if (control / asked[verb]).exists() else 1)
{{"stop": stop, "start": start}}[verb]()
"""


class Database(Ground):
    """``acknowledged``: ids of the application's rows that the server said are committed, by the time before and after the damage."""

    def __init__(self, folder: Path, server: PostgresServer, name: str = "restore-orders") -> None:
        super().__init__(folder, name)
        self.server = server
        self.ground = server_folder("new")
        self.target = self.ground / "instance"
        self.port = free_port()
        self.config = folder / "database.dsn"
        (folder / "holdfast.yaml").write_text(PLAN.format(vault=folder / "vault", bin=server.bin))
        self.env = {"HOLDFAST_KEY": "open sesame", "HOLDFAST_SANDBOX": str(self.ground / "boxes")}
        self.follower = Follower(folder, self.env, do={"fence": self.fence})
        self.acknowledged: set[int] = set()
        self.before: set[int] = set()
        self.after: set[int] = set()
        self._end = threading.Event()
        self._follow: subprocess.Popen[bytes] | None = None
        self._application = threading.Thread(target=self.guarded, args=(self._work,), daemon=True)

    # ------------------------------------------------------------ the story

    def prepare(self) -> None:
        """A backup, a follower, an application at work, and the UPDATE without a WHERE."""
        server = self.server
        # As on a server of one's own: what it was told on the command line stands in its file.
        server.configure({"unix_socket_directories": str(server.folder)})
        self.config.write_text(f"host={server.folder} port={server.port} user=postgres dbname=postgres\n")
        self.config.chmod(0o600)
        server.execute("create table orders(id int primary key, amount numeric(10, 2) not null, note text)")
        server.execute("insert into orders select i, i * 1.5, repeat('x', i % 50) from generate_series(1, 200) i")
        self.program("applications", PROGRAM)
        self.recovery_key = self.follower.answer("init", "--yes")["recovery_key"]
        self.page("critical-database-restoration", "orders")
        self.follower.holdfast("backup", "orders")
        said = (self.folder / "followed").open("wb")
        self._follow = subprocess.Popen(
            [*MODULE, "follow", "orders"],
            cwd=self.folder,
            env=environment(self.folder, **self.env),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
        said.close()
        self._application.start()
        self._until(lambda: len(self.acknowledged) >= 20, "the application writes")
        (self.control / "hold").touch()
        self._until((self.control / "held").exists, "the application holds")
        self.before = set(self.acknowledged)
        self.good = str(server.value("select clock_timestamp()").isoformat())
        server.execute("update orders set amount = 0")
        (self.control / "hold").unlink()
        self._until(lambda: len(self.acknowledged) >= len(self.before) + 5, "the application goes on")

    def parameters(self) -> dict[str, str]:
        return {
            "ticket": "INC-8",
            "to": self.good,
            "target": str(self.target),
            "port": str(self.port),
            "account": service_account().name,
            "applications": "program",
            "repoint": "file",
            "config": str(self.config),
            "old_address": f"port={self.server.port}",
            "new_address": f"port={self.port}",
        }

    def awaited(self) -> dict[str, str]:
        """The machine goes down when some of the files are there."""
        return {"restore": f"{self.target}/base/*"}

    def fence(self) -> None:
        """What the runbook asks a person for: the newest log is in the vault, then the damaged server is stopped and left alone."""
        slot = "select bool_and(confirmed) from (select restart_lsn >= pg_current_wal_flush_lsn() as confirmed from pg_replication_slots) s"
        self.server.execute("select pg_switch_wal()")
        self._until(lambda: self.server.value(slot), "the newest log is in the vault")
        self._stop_following()
        self.server.stop()
        self.left = self._fingerprint()

    def proved(self) -> None:
        """Every row that was acknowledged before the damage, each as it was; none of after it; what was written since the restart."""
        self._until(lambda: bool(self.after), "the application writes to the new instance")
        self.rest()
        import psycopg

        with psycopg.connect(self.config.read_text(), autocommit=True) as db:
            found = dict(db.execute("select id, amount * 2 from orders").fetchall())
            assert db.execute("select inet_server_port(), current_setting('data_directory')").fetchone()[1] == str(self.target)
        wanted = {number: number * 3 for number in {*range(1, 201), *self.before, *self.after}}
        assert {number: int(amount) for number, amount in found.items()} == wanted
        assert self._fingerprint() == self.left, "the damaged server was touched"

    def done_twice(self) -> list[str]:
        counts = Counter((self.control / "ledger").read_text().split())
        assert set(counts) == {"stop", "start"}, counts
        # The new instance keeps its own log of how often it was started.
        counts["the new instance started"] = (self.target / "server.log").read_text(errors="replace").count("starting PostgreSQL")
        return [f"{what} {count} times" for what, count in counts.items() if count != 1]

    # ------------------------------------------------------------ the world

    def _fingerprint(self) -> str:
        found = hashlib.sha256()
        for path in sorted(self.server.data.rglob("*")):
            if path.is_file():
                found.update(f"{path} {path.stat().st_mtime_ns} {path.stat().st_size}\n".encode())
        return found.hexdigest()

    def _until(self, condition: Any, what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"never: {what}"
            self._alive()
            time.sleep(0.02)

    def _alive(self) -> None:
        if self.fault is not None:
            raise self.fault
        if self._follow is not None and self._follow.poll() is not None:
            raise AssertionError((self.folder / "followed").read_text())

    def _stop_following(self) -> None:
        if self._follow is not None:
            self._follow.send_signal(signal.SIGTERM)
            self._follow.wait(PATIENCE)
            self._follow = None

    def rest(self) -> None:
        """Ends the application for good."""
        self._end.set()
        if self._application.is_alive():
            self._application.join(PATIENCE)

    def close(self) -> None:
        """Ends the application and every server on the new ground."""
        self.rest()
        if self._follow is not None:
            self._follow.kill()
            self._follow.wait()
            self._follow = None
        for pidfile in self.ground.rglob("postmaster.pid"):
            if pid := running_pid(pidfile.parent):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGQUIT)

    def _work(self) -> None:
        """An order now and then, over a connection to wherever the configuration said when it was started."""
        import psycopg

        number, restarted = 1000, False
        while not self._end.is_set():
            if (self.control / "stopped").exists():
                time.sleep(0.02)
                continue
            with psycopg.connect(self.config.read_text(), autocommit=True) as db:
                if restarted:
                    self.did("start")
                (self.control / "stands").unlink(missing_ok=True)
                (self.control / "runs").touch()
                while not self._end.is_set() and not (self.control / "stopped").exists():
                    if (self.control / "hold").exists():
                        (self.control / "held").touch()
                        time.sleep(0.02)
                        continue
                    number += 1
                    db.execute("insert into orders values (%s, %s * 1.5, 'an order')", (number, number))
                    self.acknowledged.add(number)
                    if restarted:
                        self.after.add(number)
                        (self.control / "healthy").touch()
                    time.sleep(0.05)
            for name in ("runs", "healthy"):
                (self.control / name).unlink(missing_ok=True)
            if not self._end.is_set():
                self.did("stop")
            (self.control / "stands").touch()
            restarted = True
