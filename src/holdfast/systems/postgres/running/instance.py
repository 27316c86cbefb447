"""Starts and stops a PostgreSQL server on a restored data directory, and watches its recovery."""

import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.errors import FoundWrong, MissingExtra
from holdfast.model import Clock, SystemClock
from holdfast.systems.postgres.running import netless
from holdfast.systems.postgres.running.binaries import Account, Binaries

SOCKET_PATH_LIMIT = 107
PORT = 5432
"""The port in a Unix socket's name when the server listens on no network address: nothing can clash in a private folder."""


class ServerFailed(FoundWrong):
    """The server ended, or never became ready. The message holds the last lines of its log."""

    code = "postgres-start-failed"


class ServerStuck(FoundWrong):
    """The server did not become ready, or did not stop, in the time it was given."""

    code = "postgres-start-timeout"


def running_pid(data: Path) -> int | None:
    """The id of the server that runs on a data directory, None when none does (a stale ``postmaster.pid`` is seen through)."""
    try:
        first = (data / "postmaster.pid").read_text().split("\n", 1)[0].strip()
        pid = abs(int(first))
        os.kill(pid, 0)
    except (FileNotFoundError, NotADirectoryError, ValueError, ProcessLookupError):
        return None
    except PermissionError:
        return pid
    if _ended(pid):
        return None
    try:
        # After a reboot the id may belong to another program; PostgreSQL's own keeps its working directory on the data.
        return pid if Path(f"/proc/{pid}/cwd").resolve() == data.resolve() else None
    except OSError:
        return pid


def _ended(pid: int) -> bool:
    """Whether a process is a zombie: ended, and its parent has not asked yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (OSError, IndexError):
        return False


def socket_folder(data: Path, who: Account) -> Path:
    """A private folder for the Unix socket: the data directory itself (0700), or one under the temporary folder when the path
    is too long.
    """
    if len(os.fsencode(data / f".s.PGSQL.{PORT}")) + 6 <= SOCKET_PATH_LIMIT:
        return data
    folder = Path(tempfile.mkdtemp(prefix="hf-sock-"))
    who.own(folder)
    return folder


def free_port() -> int:
    """A TCP port on loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Instance:
    """A server that this process started (or found) on ``data``. ``host`` is a socket folder, so only its owner and root reach it."""

    data: Path
    binaries: Binaries
    account: Account
    host: Path
    port: int = PORT
    role: str = "postgres"
    log: Path = field(default_factory=Path)
    process: "subprocess.Popen[bytes] | None" = None
    clock: Clock = field(default_factory=SystemClock)

    def dsn(self, database: str = "postgres") -> str:
        """A libpq connection string; holds no secret."""

        def quoted(value: object) -> str:
            return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"

        return f"host={quoted(self.host)} port={self.port} user={quoted(self.role)} dbname={quoted(database)}"

    def connect(self, database: str = "postgres", *, timeout: float = 10.0) -> Any:
        """A psycopg connection in autocommit mode, superuser, UTC, no statement timeout."""
        psycopg = driver()
        return psycopg.connect(
            self.dsn(database),
            autocommit=True,
            connect_timeout=max(2, int(timeout)),
            application_name="holdfast",
            options="-c timezone=UTC -c statement_timeout=0",
        )

    def query(
        self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None, database: str = "postgres"
    ) -> list[tuple[Any, ...]]:
        """All rows of one statement."""
        with self.connect(database) as connection:
            rows: list[tuple[Any, ...]] = connection.execute(sql, parameters).fetchall()
            return rows

    def databases(self) -> list[str]:
        """Names of the databases one can connect to, templates left out."""
        return [name for (name,) in self.query("select datname from pg_database where datallowconn and not datistemplate order by oid")]

    def alive(self) -> bool:
        return self.process.poll() is None if self.process else running_pid(self.data) is not None

    def leave(self) -> None:
        """Let the server run on: it is no longer ours to stop, only to reap should it end while we live."""
        if self.process is not None:
            threading.Thread(target=self.process.wait, name="postgres", daemon=True).start()
            self.process = None

    def log_tail(self, lines: int = 12) -> str:
        """The end of the server's log, most telling lines first kept."""
        try:
            text = self.log.read_text(errors="replace").splitlines()
        except OSError:
            return ""
        text = [line for line in text if "the database system is" not in line]
        telling = [line for line in text if re.search(r"\b(FATAL|PANIC|ERROR|HINT|DETAIL):", line)]
        return "\n".join((telling or text)[-lines:])

    def stop(self, *, fast: bool = True, timeout: float = 120.0) -> None:
        """Stop: ``fast`` makes a shutdown checkpoint, otherwise at once (a throw-away copy). Raises ServerStuck."""
        pid = self.process.pid if self.process else running_pid(self.data)
        if pid is not None and self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT if fast else signal.SIGQUIT)
            end = self.clock.monotonic() + timeout
            while self.alive():
                if self.clock.monotonic() > end:
                    raise ServerStuck(
                        f"The server on {self.data} (process {pid}) did not stop within {timeout:.0f} s.", hint=f"Its log: {self.log}"
                    )
                self.clock.sleep(0.02)
        if self.process:
            self.process.wait()
        if self.host != self.data and self.host.name.startswith("hf-sock-"):
            shutil.rmtree(self.host, ignore_errors=True)


def driver() -> Any:
    """psycopg, or one sentence that names the missing extra."""
    try:
        import psycopg
    except ImportError as error:
        raise MissingExtra("postgres", "Connecting to PostgreSQL") from error
    return psycopg


def environment(home: Path) -> dict[str, str]:
    """What a server gets: none of our PG* variables, library paths or secrets leak in."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(home), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def start(
    data: Path,
    binaries: Binaries,
    who: Account,
    *,
    role: str = "postgres",
    port: int | None = None,
    host: Path | None = None,
    options: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> Instance:
    """Launch the server; returns at once (``wait`` watches it). ``port`` None: Unix socket only, in a private folder, and without a network
    where this machine allows it.

    The server is its own session: a Ctrl-C in the terminal does not reach it, and it outlives this process unless stopped.
    """
    host = host or socket_folder(data, who)
    log = data / "holdfast-server.log"
    command = [
        *(netless.words(who) if port is None else ()),
        str(binaries.folder / "postgres"),
        "-D",
        str(data),
        "-k",
        str(host),
        "-p",
        str(port or PORT),
    ]
    settings = {
        "listen_addresses": "" if port is None else "127.0.0.1",
        "logging_collector": "off",
        "log_destination": "stderr",
        **(options or {}),
    }
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    with log.open("ab") as output:
        who.own(log)
        process = subprocess.Popen(
            command,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment(data),
            start_new_session=True,
            **who.popen,
        )
    return Instance(data, binaries, who, host, port or PORT, role, log, process, clock or SystemClock())


@dataclass(frozen=True, slots=True)
class Replay:
    """Where a server in recovery stands: ``lsn`` replayed ('0/3000028' or None), the last replayed commit's time, whether it is paused."""

    recovering: bool
    lsn: str | None = None
    commit_time: str | None = None
    paused: bool = False


_REPLAY = (
    "select pg_is_in_recovery(), pg_last_wal_replay_lsn()::text, pg_last_xact_replay_timestamp()::text,"
    " case when pg_is_in_recovery() then pg_get_wal_replay_pause_state() = 'paused' else false end"
)


def replay(connection: Any) -> Replay:
    """The state of recovery as the server tells it."""
    row = connection.execute(_REPLAY).fetchone()
    return Replay(*row)


def accepting(data: Path) -> bool:
    """Whether the server says that it takes connections: line 8 of ``postmaster.pid``, which pg_ctl reads too. Spares failed attempts."""
    try:
        lines = (data / "postmaster.pid").read_text().split("\n")
    except OSError:
        return False
    return len(lines) > 7 and lines[7].strip() in ("ready", "standby")


def states(instance: Instance, *, every: float = 0.05, roles: Sequence[str] = ()) -> Iterator[Replay | None]:
    """The server's state again and again; None while it takes no connections. Raises ServerFailed when it ends."""
    psycopg = driver()
    connection = None
    names = list(dict.fromkeys([instance.role, *roles, instance.account.name, "postgres"]))
    try:
        while True:
            if not instance.alive():
                raise ServerFailed(
                    f"PostgreSQL {instance.binaries.version} ended while starting on {instance.data}:\n{instance.log_tail()}",
                    hint=f"The whole log: {instance.log}",
                    directory=str(instance.data),
                )
            state = None
            try:
                if connection is not None or accepting(instance.data):
                    connection = connection or instance.connect()
                    state = replay(connection)
            except psycopg.errors.InvalidAuthorizationSpecification:
                # No such role: the superuser of this cluster has another name.
                names = [name for name in names if name != instance.role]
                if not names:
                    raise ServerFailed(
                        f"The server on {instance.data} has no superuser named {instance.role!r}, 'postgres' or {instance.account.name!r}.",
                        hint="Name it in the plan (superuser: NAME).",
                    ) from None
                instance.role = names[0]
            except psycopg.OperationalError:
                connection = None
            yield state
            instance.clock.sleep(every)
    finally:
        if connection is not None:
            connection.close()


def wait(
    instance: Instance, done: Callable[[Replay], bool], *, seen: Callable[[Replay], None] | None = None, timeout: float | None = None
) -> Replay:
    """Watch until ``done`` holds; ``seen`` gets each state. ``timeout`` counts seconds without any progress of replay, not the whole.

    Raises ServerFailed when the server ends, ServerStuck after ``timeout``.
    """
    last: object = None
    since = instance.clock.monotonic()
    for state in states(instance):
        if state is not None:
            if seen:
                seen(state)
            if done(state):
                return state
        if (state and state.lsn) != last:
            last, since = state and state.lsn, instance.clock.monotonic()
        if timeout is not None and instance.clock.monotonic() - since > timeout:
            raise ServerStuck(
                f"The server on {instance.data} made no progress for {timeout:.0f} s (replayed to "
                f"{last or 'nothing yet'}).\n{instance.log_tail()}",
                hint=f"The whole log: {instance.log}",
            )
    raise AssertionError("unreachable")


def token() -> str:
    """A short random name for something temporary."""
    return secrets.token_hex(6)
