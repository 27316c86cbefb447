"""Sets the scene: a folder, a server with a shop in it, a plan, a vault; and takes it all down again."""

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.demo.ledger import Load, create
from holdfast.demo.server import PREFIX, EmbeddedServer, in_turn, installation, workspace
from holdfast.model import Clock, SystemClock
from holdfast.systems.postgres.running.instance import running_pid

if TYPE_CHECKING:
    from holdfast.assembly import Platform

SYSTEM = "shop"
LOCK, KEPT = "lock", "kept"
RPO_SECONDS, RTO_SECONDS = 5, 60
SEED, WRITERS, RATE = 2026, 4, 120

PLAN = """\
# The plan of the demonstration: what matters, what was promised, how it is kept.
platform: demonstration
vault:
  key: {{file: vault.key}}
  locations:
    - {{name: vault, url: "file://{vault}"}}
tiers:
  critical: {{rpo: {rpo}s, rto: {rto}s, backup: hourly, continuous: true, verify: {{restore: daily}}, keep: {{last: 3, daily: 7}}}}
sandbox: {{directory: "{sandbox}"}}
systems:
  {system}:
    kind: postgres
    tier: critical
    dsn: "{dsn}"
    data_directory: "{data}"
"""


class Stage:
    """``folder`` holds everything: ``server/``, ``vault/``, ``holdfast.yaml``, ``vault.key``, ``state/``, ``cache/``."""

    def __init__(self, clock: Clock, folder: Path | None = None) -> None:
        self.clock = clock
        self.folder = folder or workspace()
        # Held as long as this process lives: a folder whose lock is free belongs to nobody.
        self._lock = os.open(self.folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.install = installation(self.folder)
        self.server = EmbeddedServer(self.install, self.folder / "server", clock)
        self.load = Load(self.server.connect, clock, seed=SEED, writers=WRITERS, rate=RATE)
        self._platform: Platform | None = None
        self._closing = threading.Lock()

    @property
    def vault(self) -> Path:
        return self.folder / "vault"

    @property
    def plan_path(self) -> Path:
        return self.folder / "holdfast.yaml"

    def open_shop(self) -> None:
        """A running server with the shop's empty tables."""
        self.server.create()
        self.server.start()
        with self.server.connect() as connection:
            create(connection)

    def make_plan(self) -> None:
        """Plan and vault. The vault's key rests in a file that only we can read: it protects nothing but this demonstration."""
        self.plan_path.write_text(
            PLAN.format(
                vault=self.vault,
                rpo=RPO_SECONDS,
                rto=RTO_SECONDS,
                sandbox=self.folder / "sandbox",
                system=SYSTEM,
                dsn=self.server.dsn,
                data=self.server.data,
            )
        )
        descriptor = os.open(self.folder / "vault.key", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        os.write(descriptor, secrets.token_urlsafe(24).encode())
        os.close(descriptor)
        self.platform.create_vault()

    @property
    def environ(self) -> dict[str, str]:
        """What Holdfast is told, so that nothing of it touches this user's own state."""
        return {
            **os.environ,
            "HOLDFAST_STATE": str(self.folder / "state"),
            "HOLDFAST_CACHE": str(self.folder / "cache"),
            "HOLDFAST_PG_BIN": str(self.install / "bin"),
            "HOLDFAST_PLAN": str(self.plan_path),
        }

    @property
    def platform(self) -> "Platform":
        """Plan, vault, system, state and journal, joined as for any platform."""
        if self._platform is None:
            from holdfast.assembly import Platform
            from holdfast.plan import load

            self._platform = Platform(load(self.plan_path), clock=self.clock, environ=self.environ)
        return self._platform

    def strike(self) -> None:
        """Take everything down and remove the folder. May be called twice; goes on past what fails, and raises it at the end."""
        with self._closing:
            in_turn(self._stop_load, self._close, lambda: remove(self.folder))

    def leave(self) -> None:
        """End the writers, keep the servers and the folder."""
        with self._closing:
            in_turn(self._stop_load, self._close, (self.folder / KEPT).touch)

    def _stop_load(self) -> None:
        self.load.stop()

    def _close(self) -> None:
        if self._platform is not None:
            self._platform.close()
            self._platform = None


def remove(folder: Path) -> None:
    """Kill every server whose data lies in the folder, by the ids in their own files, and remove the folder."""
    for pidfile in folder.rglob("postmaster.pid"):
        pid = running_pid(pidfile.parent)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGQUIT)
            for _ in range(500):
                if running_pid(pidfile.parent) is None:
                    break
                SystemClock().sleep(0.02)
    # A killed initdb leaves a child that writes for a moment longer.
    for _ in range(100):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        SystemClock().sleep(0.1)
    shutil.rmtree(folder)


def sweep(*, kept: bool = False) -> list[Path]:
    """Remove what killed demonstrations left, with ``kept`` also what was left up on purpose; those that run stay. Returns the folders."""
    removed = []
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if folder.stat().st_uid != os.geteuid() or ((folder / KEPT).exists() and not kept) or not (folder / LOCK).exists():
            continue
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue
        else:
            remove(folder)
            removed.append(folder)
        finally:
            os.close(descriptor)
    return removed
