"""A server, a vault in a folder, a follower and the recovery system over them: nothing stands in for anything."""

import contextlib
import datetime as dt
import shutil
from collections.abc import Iterator
from pathlib import Path

from holdfast.model import RecoveryPoint, Silent, SystemClock
from holdfast.storage.local import LocalStorage
from holdfast.systems.postgres import lsn as positions
from holdfast.systems.postgres.recovery import PostgresRecovery
from holdfast.systems.postgres.running.instance import running_pid
from holdfast.systems.postgres.settings import PostgresSettings
from holdfast.systems.postgres.system import PostgresSystem
from holdfast.vault import Vault
from tests.postgres.restore.conftest import stop
from tests.postgres.wal.following import SECRET, Running, logs_of, new_vault
from tests.servers import PostgresServer, server_binaries, service_account
from tests.servers.account import server_folder


class History:
    """What the vault holds of the system 'db'."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def points(self):
        return self._vault.points("db")

    def open(self, point: str):
        return self._vault.point(point)

    def logs(self):
        return self._vault.logs("db")


class Whole:
    """``folder`` holds the vault; ``ground`` is where restores go."""

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.ground = server_folder("whole")
        new_vault(folder)
        self.vault = Vault.open([LocalStorage(str(folder / "vault"))], SECRET, clock=SystemClock(), cache=folder / "cache")
        self.follower: Running | None = None
        self.recovery = PostgresRecovery(
            "db",
            lambda on: self.server.dsn,
            self.covered,
            sandbox=self.ground / "boxes",
            bin=str(server_binaries(server.version)),
            owner=service_account().name if service_account().switch else None,
        )

    @property
    def history(self) -> History:
        return History(self.vault)

    def covered(self, branch: str) -> dt.datetime | None:
        status = self.follower.now if self.follower else None
        return status.covered if status and status.branch == branch else None

    def follow(self) -> None:
        self.follower = Running(lambda: self.server.dsn, logs_of(self.folder))

    def backup(self, label: str | None = None, *, in_place: bool = True, base: RecoveryPoint | None = None, progress=None) -> RecoveryPoint:
        settings = PostgresSettings(dsns=(self.server.dsn,), data_directory=self.server.data if in_place else None)
        reader = self.vault.reader(base) if base else None
        with self.vault.begin(system="db", kind="postgres", base=reader, label=label) as writer:
            return PostgresSystem("db", settings).capture(writer, progress or Silent(), logs=self.vault.logs("db"))

    def shipped(self) -> None:
        """Until everything that is on the server is in the vault."""
        assert self.follower is not None
        self.follower.wait(positions.parse(self.server.value("select pg_current_wal_flush_lsn()")))

    def now(self) -> dt.datetime:
        return self.server.value("select clock_timestamp()")

    def close(self) -> None:
        if self.follower:
            self.follower.stop()
        self.vault.close()
        for pidfile in self.ground.rglob("postmaster.pid"):
            if running_pid(pidfile.parent):
                stop(pidfile.parent)
        shutil.rmtree(self.ground, ignore_errors=True)


@contextlib.contextmanager
def whole(server: PostgresServer, folder: Path) -> Iterator[Whole]:
    one = Whole(server, folder)
    try:
        yield one
    finally:
        one.close()
