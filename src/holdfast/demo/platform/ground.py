"""A folder for everything, that a later run removes where this one was killed."""

import fcntl
import os
from pathlib import Path

from holdfast.demo.platform.machine import Machine
from holdfast.demo.platform.production import Production
from holdfast.demo.server import in_turn, installation, workspace
from holdfast.demo.stage import LOCK, remove
from holdfast.model import Clock


class Ground:
    """``production/`` is the machine that is lost, ``offsite/`` the other location, ``new/`` the empty machine; ``office/`` holds what
    is known outside the platform: the ledger, the clients' address book.
    """

    def __init__(self, clock: Clock) -> None:
        self.folder = workspace()
        # Held as long as this process lives: a folder whose lock is free belongs to nobody.
        self._lock = os.open(self.folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.install = installation(self.folder)
        self.offsite = self.folder / "offsite"
        self.office = self.folder / "office"
        self.office.mkdir()
        self.address = self.office / "address"
        self.production = Production(self.folder / "production", self.offsite, self.install, self.address, clock)
        self._clock = clock

    def empty_machine(self, recovery_key: str) -> Machine:
        """Nothing but a home, and the key in its environment."""
        return Machine(self.folder / "new", self._clock, {"HOLDFAST_KEY": recovery_key, "HOLDFAST_PG_BIN": str(self.install / "bin")})

    def ledger(self) -> Path:
        """Where the acknowledged orders are kept."""
        return self.office / "ledger.jsonl"

    def strike(self) -> None:
        """Everything down and away. Goes on past what fails, and raises it at the end."""
        in_turn(self.production.strike, lambda: remove(self.folder))
        os.close(self._lock)


def written(path: Path, lines: list[str]) -> str:
    """The file's SHA-256."""
    import hashlib

    data = "".join(line + "\n" for line in lines).encode()
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()
