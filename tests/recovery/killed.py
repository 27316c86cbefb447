"""Run in a process of its own that is killed: a restore or a backup that ends by SIGKILL in the middle, a sandbox whose owner dies."""

import os
import signal
import time
from pathlib import Path

from holdfast.model import Silent, SystemClock
from holdfast.recovery import plan, run
from holdfast.storage.local import LocalStorage
from holdfast.systems.postgres.recovery import PostgresRecovery
from holdfast.systems.postgres.restore import files
from holdfast.systems.postgres.running.instance import running_pid
from holdfast.systems.postgres.settings import PostgresSettings
from holdfast.systems.postgres.system import PostgresSystem
from holdfast.vault import Vault
from tests.postgres.wal.following import SECRET
from tests.recovery.whole import History


def _history(folder: str) -> History:
    return History(Vault.open([LocalStorage(folder + "/vault")], SECRET, clock=SystemClock(), cache=Path(folder) / "cache-killed"))


def main(folder: str, into: str, data: str, after: int) -> None:
    """Restore, and die after so many file writes; at the latest before the control file is written."""
    count = 0
    real = files.FileTarget.write

    def write(self, offset, content):
        nonlocal count
        count += 1
        if count >= after:
            os.kill(os.getpid(), signal.SIGKILL)
        real(self, offset, content)

    files.FileTarget.write = write
    import holdfast.systems.postgres.restore.run as running

    real_file = running.write_file

    def write_file(path, *args, **options):
        if path.name == "pg_control":
            os.kill(os.getpid(), signal.SIGKILL)
        real_file(path, *args, **options)

    running.write_file = write_file
    recovery = PostgresRecovery("db")
    history = _history(folder)
    run(plan(recovery, history, Path(into), {}, {}), recovery, history, Silent(), SystemClock())


def open_and_hang(folder: str, boxes: str, binaries: str) -> None:
    recovery = PostgresRecovery("db", sandbox=Path(boxes), bin=binaries)
    with recovery.isolate(_history(folder), {}, {}, Silent()):
        [data] = [path.parent for path in Path(boxes).rglob("postmaster.pid")]
        print("open", running_pid(data), flush=True)
        time.sleep(600)


def backup(folder: str, dsn: str, data: str, stage: str) -> None:
    """Back up, and die at ``stage``: 'phase NAME', 'pack', 'log' (the first of each), 'before the point' or 'after the point'."""

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    class Phases(Silent):
        def phase(self, name, total=None, unit="B"):
            if stage == f"phase {name}":
                die()

    class Mortal(LocalStorage):
        def put_if_absent(self, name, parts) -> None:
            if stage == "before the point" and name.startswith("points/"):
                die()
            super().put_if_absent(name, parts)
            if stage == "after the point" and name.startswith("points/"):
                die()
            for prefix, word in (("packs/", "pack"), ("logs/", "log")):
                if name.startswith(prefix) and stage == word:
                    die()

    vault = Vault.open([Mortal(folder + "/vault")], SECRET, clock=SystemClock(), cache=Path(folder) / "cache-killed")
    settings = PostgresSettings(dsns=(dsn,), data_directory=Path(data) if data else None)
    with vault.begin(system="db", kind="postgres") as writer:
        PostgresSystem("db", settings).capture(writer, Phases(), logs=vault.logs("db"))
