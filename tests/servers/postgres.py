"""A real PostgreSQL server: made, started, killed, promoted, cloned; the process is ours, so it can be ended by its id."""

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests.servers.account import server_folder, service_account
from tests.servers.ports import free_port
from tests.servers.template import lay_down
from tests.servers.versions import client_tool, server_binaries

SETTINGS: Mapping[str, str] = {
    # Small and quick to start. fsync=off loses nothing when a process is killed, only when the machine is.
    "fsync": "off",
    "shared_buffers": "32MB",
    "max_connections": "40",
    "max_wal_senders": "10",
    "max_replication_slots": "10",
    "max_worker_processes": "4",
    "wal_level": "replica",
    "jit": "off",
    # Nothing is written to a server that its test did not ask for: moments, transactions and positions are counted.
    "autovacuum": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] ",
}
SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}

_live: "weakref.WeakSet[PostgresServer]" = weakref.WeakSet()


class PostgresServer:
    """One server over one data directory.

    ``version`` is the major version. ``folder`` holds data directory, socket and log; ``data`` is the data directory, ``log`` the log file,
    ``port`` names the socket and the TCP port on 127.0.0.1. Use as a context manager, or call ``remove()``.
    """

    def __init__(self, version: int, folder: Path, data: Path, settings: Mapping[str, str], *, owned: bool) -> None:
        self.version = int(version)
        self.bin = server_binaries(self.version)
        self.folder = folder
        self.data = data
        self.log = folder / "log"
        self.port = free_port()
        self.settings = dict(settings)
        self.process: subprocess.Popen[bytes] | None = None
        self._owned = owned
        _live.add(self)

    # ------------------------------------------------------------ making one

    @classmethod
    def create(
        cls,
        version: int | str = 15,
        *,
        settings: Mapping[str, str] | None = None,
        checksums: bool = True,
        password: str = "",
        initdb: Sequence[str] = (),
        start: bool = True,
    ) -> Self:
        """initdb and start. ``settings`` go over SETTINGS, into postgresql.conf; ``password`` makes TCP connections ask for it
        (the socket never does)."""
        folder = server_folder("pg", keep=True)
        data = folder / "data"
        server = cls(int(version), folder, data, {}, owned=True)
        asked = ["--data-checksums"] if checksums else (["--no-data-checksums"] if server.version >= 18 else [])
        words = ["-U", "postgres", "-E", "UTF8", "--locale=C", "-A", "trust", "--no-sync", *asked, *initdb]
        lay_down((str(server.bin), *words), data, lambda made: server._run([server.bin / "initdb", "-D", made, *words]))
        with (data / "postgresql.conf").open("a") as conf:
            conf.write("\n# for tests\n")
        server.configure({**SETTINGS, **(settings or {})})
        server.hba(["local all all trust", "local replication all trust", *_tcp_rules(password)])
        if start:
            server.start()
            if password:
                server.execute("alter role postgres password '" + password.replace("'", "''") + "'")
        return server

    @classmethod
    def attach(cls, version: int | str, data: Path, *, settings: Mapping[str, str] | None = None, start: bool = True) -> Self:
        """A server over an existing data directory (a restored one). Its configuration is left alone: ``settings`` go to the command line.

        As root the directory is given to the servers' account, and folders above it are opened for passing through. ``remove()`` leaves it.
        """
        account = service_account()
        account.own(data)
        for entry in (data / "pg_tblspc").glob("*"):
            if entry.is_symlink():
                account.own(entry.resolve())
        data.chmod(0o700)
        if account.switch:
            for parent in data.resolve().parents:
                mode = parent.stat().st_mode & 0o777
                if parent.owner() == "root" and not mode & 0o001 and parent != Path("/"):
                    parent.chmod(mode | 0o011)
        server = cls(int(version), server_folder("pg", keep=True), data, settings or {}, owned=False)
        if start:
            server.start()
        return server

    def standby(self, *, slot: str = "", settings: Mapping[str, str] | None = None, name: str = "", start: bool = True) -> Self:
        """A streaming standby cloned by pg_basebackup; with ``slot`` it uses a replication slot made on this server."""
        folder = server_folder("pg", keep=True)
        data = folder / "data"
        asked = ["-C", "-S", slot] if slot else []
        info = f"host={self.folder} port={self.port} user=postgres application_name={name or 'standby'}"
        self._run([client_tool("pg_basebackup"), "-D", data, "-d", info, "-X", "stream", "-c", "fast", "--no-sync", *asked])
        # Not by --write-recovery-conf: a newer pg_basebackup names connection options that an older server does not know.
        with (data / "postgresql.auto.conf").open("a") as conf:
            conf.write(f"primary_conninfo = '{info}'\nprimary_slot_name = '{slot}'\n")
        (data / "standby.signal").touch()
        service_account().own(data / "standby.signal")
        clone = type(self)(self.version, folder, data, self.settings, owned=True)
        clone.configure(settings or {})
        if start:
            clone.start()
        return clone

    # ------------------------------------------------------------ life

    def start(self, *, wait: bool = True, timeout: float = 120) -> None:
        """Starts the server; with ``wait`` returns when it accepts connections (or is a standby that allows none)."""
        if self.running:
            raise RuntimeError("already running")
        options = {"port": str(self.port), "unix_socket_directories": str(self.folder), "listen_addresses": "127.0.0.1", **self.settings}
        command = [self.bin / "postgres", "-D", self.data, *(word for name, value in options.items() for word in ("-c", f"{name}={value}"))]
        account = service_account()
        with self.log.open("ab") as log:
            account.own(self.log)
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=account.environment(self.folder),
                umask=0o077,
                start_new_session=True,
                **account.popen,
            )
        if wait:
            self.wait_ready(timeout)

    def wait_ready(self, timeout: float = 120) -> None:
        """Until postmaster.pid says ready (its eighth line, as pg_ctl reads it); raises with the log's end when the server ends instead."""
        assert self.process is not None
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"PostgreSQL {self.version} ended with status {self.process.returncode} at start:\n{self.log_tail()}")
            with contextlib.suppress(OSError):
                lines = (self.data / "postmaster.pid").read_text().splitlines()
                if len(lines) >= 8 and lines[0] == str(self.process.pid) and lines[7].strip() in ("ready", "standby"):
                    return
            time.sleep(0.02)
        raise TimeoutError(f"PostgreSQL {self.version} not ready after {timeout} s:\n{self.log_tail()}")

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        assert self.process is not None
        return self.process.pid

    def stop(self, mode: str = "fast", timeout: float = 120) -> None:
        """``fast``, ``smart`` or ``immediate``, as pg_ctl has them. Nothing when it does not run."""
        if not self.running:
            return
        assert self.process is not None
        self.process.send_signal(SIGNALS[mode])
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            tail = self.log_tail()
            self.kill9()
            raise TimeoutError(f"PostgreSQL {self.version} did not stop ({mode}) in {timeout} s and was killed:\n{tail}") from None

    def kill9(self) -> None:
        """SIGKILL to the postmaster and every backend, as when the machine dies (but for the page cache)."""
        if not self.running:
            return
        assert self.process is not None
        # Stopped first, so that no backend is born between looking and killing.
        os.kill(self.process.pid, signal.SIGSTOP)
        backends = _children(self.process.pid)
        for pid in (self.process.pid, *backends):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(30)
        end = time.monotonic() + 30
        while any(Path(f"/proc/{pid}").exists() and _parent(pid) is not None for pid in backends) and time.monotonic() < end:
            time.sleep(0.01)

    def restart(self, mode: str = "fast") -> None:
        self.stop(mode)
        self.start()

    def promote(self) -> None:
        """Returns when the server has left recovery."""
        self.execute("select pg_promote(true, 60)")

    def reload(self) -> None:
        self.execute("select pg_reload_conf()")

    def remove(self) -> None:
        """Kills the server if it runs, and deletes what this object made."""
        self.kill9()
        _live.discard(self)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    # ------------------------------------------------------------ configuration

    def configure(self, settings: Mapping[str, str]) -> None:
        """Appends to postgresql.conf; takes effect at ``reload()`` or ``restart()``."""
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def hba(self, rules: Sequence[str]) -> None:
        """Replaces pg_hba.conf; ``reload()`` makes it count."""
        (self.data / "pg_hba.conf").write_text("\n".join(rules) + "\n")

    # ------------------------------------------------------------ talking to it

    @property
    def dsn(self) -> str:
        """A libpq connection string over the Unix socket, as superuser ``postgres``."""
        return f"host={self.folder} port={self.port} user=postgres dbname=postgres"

    @property
    def tcp_dsn(self) -> str:
        """The same over TCP on 127.0.0.1; asks for the password when one was given."""
        return f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"

    def connect(self, dbname: str = "postgres", **options: Any) -> Any:
        """A psycopg connection in autocommit mode."""
        import psycopg

        return psycopg.connect(self.dsn, **{"dbname": dbname, "autocommit": True, "connect_timeout": 10, **options})

    def execute(self, sql: str, params: Sequence[Any] | None = None, *, dbname: str = "postgres") -> list[tuple[Any, ...]]:
        """One statement (or several without ``params``) in a connection of its own; rows of the last one that returns some."""
        with self.connect(dbname) as connection:
            cursor = connection.execute(sql, params)
            rows: list[tuple[Any, ...]] = []
            while True:
                if cursor.description is not None:
                    rows = cursor.fetchall()
                if not cursor.nextset():
                    return rows

    def value(self, sql: str, params: Sequence[Any] | None = None, *, dbname: str = "postgres") -> Any:
        """The first column of the first row."""
        return self.execute(sql, params, dbname=dbname)[0][0]

    def wait_for(self, sql: str, *, timeout: float = 90, dbname: str = "postgres") -> None:
        """Until a query's first value is true; where it finds no row it is not."""
        end = time.monotonic() + timeout
        while not any(row[0] for row in self.execute(sql, dbname=dbname)[:1]):
            if time.monotonic() > end:
                raise TimeoutError(f"not true within {timeout} s: {sql}\n{self.log_tail()}")
            time.sleep(0.05)

    def tool(self, name: str, *words: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs a client program (psql, pgbench, …; the newest here) against this server, as the servers' account; raises when it fails."""
        return self._run([client_tool(name), "-h", self.folder, "-p", str(self.port), "-U", "postgres", *words], **options)

    def pgbench(self, *words: str | Path, dbname: str = "postgres", **options: Any) -> str:
        """pgbench with the words given (``-i -s 10``, ``-T 5 -c 2``); returns what it prints."""
        done = self.tool("pgbench", *words, dbname, **options)
        return done.stdout + done.stderr

    def log_tail(self, lines: int = 25) -> str:
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""

    def _run(self, command: Sequence[str | Path], timeout: float = 600, **options: Any) -> subprocess.CompletedProcess[str]:
        account = service_account()
        done = subprocess.run(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL if "input" not in options else None,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            cwd=self.folder,
            env=account.environment(self.folder),
            umask=0o077,
            **{**account.popen, **options},
        )
        if done.returncode:
            raise RuntimeError(
                f"{' '.join(str(word) for word in command)} ended with status {done.returncode}:\n{done.stdout}\n{done.stderr}"
            )
        return done


def _tcp_rules(password: str) -> list[str]:
    method = "scram-sha-256" if password else "trust"
    return [f"host {what} all 127.0.0.1/32 {method}" for what in ("all", "replication")]


def _parent(pid: int) -> int | None:
    """The parent of a process that lives; None for one that is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[1])


def _children(pid: int) -> list[int]:
    return [int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit() and _parent(int(one.name)) == pid]


@atexit.register
def _remove_all() -> None:
    for server in list(_live):
        with contextlib.suppress(Exception):
            server.remove()
