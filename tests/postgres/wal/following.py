"""A vault in a folder, and followers into it: in a thread, or as a process of its own that can be killed."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from holdfast.model import SystemClock
from holdfast.storage.contract import Storage
from holdfast.storage.local import LocalStorage
from holdfast.systems.postgres.follow import Follower, FollowSettings, FollowStatus
from holdfast.vault import Vault
from holdfast.vault.keys.slots import PassphraseCost
from holdfast.vault.logs import SystemLogs

SECRET = "correct horse"
ROOT = Path(__file__).parents[3]
PATIENCE = 100.0
"""Seconds that anything may take on a machine with other things to do."""


def new_vault(folder: Path) -> None:
    """A vault under ``folder``, empty."""
    storage = LocalStorage(str(folder / "vault"), create=True)
    Vault.create([storage], SECRET, clock=SystemClock(), cache=folder / "cache", cost=PassphraseCost(memory_kib=32, passes=1))[0].close()


def logs_of(folder: Path, name: str = "db", wrap: Callable[[Storage], Storage] = lambda storage: storage) -> SystemLogs:
    """The logs of a system in that vault."""
    vault = Vault.open([wrap(LocalStorage(str(folder / "vault")))], SECRET, clock=SystemClock(), cache=folder / "cache")
    return SystemLogs(vault.locations, vault.notary, SystemClock(), name)


class Running:
    """A follower in a thread. ``error`` is what ended it."""

    def __init__(self, dsn: str | Callable[[], str], logs: SystemLogs, name: str = "db", **settings) -> None:
        self.statuses: list[FollowStatus] = []
        self.error: BaseException | None = None
        conninfo = (lambda: dsn) if isinstance(dsn, str) else dsn
        settings = {"interval": 0.05, "heartbeat": 0.2, "retry": 0.5, "timeout": 30.0, "lease_patience": 0.0, **settings}
        self.follower = Follower(name, conninfo, logs, FollowSettings(**settings), on_status=self.statuses.append)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.follower.run()
        except BaseException as exc:  # noqa: BLE001
            self.error = exc

    @property
    def now(self) -> FollowStatus:
        return self.follower.status()

    @property
    def timeline(self) -> int:
        """Of what is durable; 0 for nothing."""
        durable = self.follower.durable
        return int(durable[0].split("-")[1]) if durable else 0

    def wait(self, position: int, branch: str | None = None, timeout: float = PATIENCE) -> None:
        """Until the vault holds the log up to ``position``."""
        self.wait_for(lambda: (d := self.follower.durable) is not None and d[1] >= position and branch in {None, d[0]}, timeout)

    def wait_for(self, truth: Callable[[], object], timeout: float = PATIENCE) -> None:
        end = time.monotonic() + timeout
        while not truth():
            if self.error is not None:
                raise self.error
            assert time.monotonic() < end, f"{self.follower.durable} {self.statuses[-1:]}"
            assert self.thread.is_alive()
            time.sleep(0.01)

    def ended(self, timeout: float = PATIENCE) -> BaseException | None:
        """What ended it, once it has."""
        self.thread.join(timeout)
        assert not self.thread.is_alive()
        return self.error

    def stop(self) -> None:
        self.follower.stop()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()
        self.follower.close()


@contextmanager
def running(*args, **settings) -> Iterator[Running]:
    one = Running(*args, **settings)
    try:
        yield one
    finally:
        one.stop()


def spawn(folder: Path, dsn: str, interval: float = 0.05, extra: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    """A follower as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.postgres.wal.follow_process", str(folder), dsn, str(interval), *extra],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def assembled(logs: SystemLogs, branch: str, start: int, end: int) -> bytes:
    """The log from ``start`` to ``end`` from nothing but the vault."""
    return b"".join(data for _, data in logs.reader(branch).stream(start, end))
