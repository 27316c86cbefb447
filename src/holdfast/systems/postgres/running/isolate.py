"""Throw-away instances: each in a folder of its own, reachable through a private socket only, torn down on leaving or by the next run.

Beside each sandbox lies a lock file that its process holds: a lock that can be taken belongs to a process that is gone, however it went.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import Refused
from holdfast.systems.postgres.running.binaries import Account, Binaries
from holdfast.systems.postgres.running.instance import Instance, running_pid, token
from holdfast.systems.shared import boxes
from holdfast.systems.shared.claims import Allowance, Claim, SandboxUnfit, door, take

PREFIX = "hf-box-"


@dataclass(frozen=True, slots=True)
class Sandboxes:
    """Where isolated copies live. ``limit``: how many at once, None for any number. The folder is the registry: PREFIX…/ and
    PREFIX….lock.
    """

    folder: Path
    limit: int | None = None
    size: int | None = None
    """Bytes that all copies in the folder may take together."""

    def sweep(self) -> list[str]:
        """Tear down what killed processes left; returns the folders removed."""
        if not self.folder.is_dir():
            return []
        with door(self.folder):
            return boxes.swept(self.folder, PREFIX, tear_down)

    def running(self) -> int:
        return sum(1 for _ in self.folder.glob(f"{PREFIX}*.lock")) if self.folder.is_dir() else 0

    def require_room(self, needed: int) -> None:
        """Whether a copy of ``needed`` bytes could ever live there, before anything is begun. Raises SandboxUnfit, SandboxTooSmall."""
        boxes.room(self.folder, needed, Allowance(self.limit, self.size))

    @contextlib.contextmanager
    def open(self, purpose: str, who: Account, needed: int = 0) -> Iterator[Path]:
        """A new folder for one isolated copy of ``needed`` bytes, removed on leaving together with every server in it. Sweeps first.

        Raises SandboxUnfit, SandboxTooSmall, SandboxesTaken.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SandboxUnfit(f"{self.folder} cannot be made: {error.strerror}.", hint="Set sandbox.directory in the plan.") from error
        box = self.folder / f"{PREFIX}{token()}"
        lock = box.with_suffix(".lock")
        with door(self.folder):
            boxes.swept(self.folder, PREFIX, tear_down)
            descriptor = take(lock, Claim(purpose, needed), Allowance(self.limit, self.size))
        try:
            box.mkdir(mode=0o711)
            who.own(box)
            try:
                yield box
            finally:
                tear_down(box)
        finally:
            lock.unlink(missing_ok=True)
            os.close(descriptor)


IN_MEMORY = 512 << 20
"""Bytes up to which a copy may live in memory, where a plan names no other place."""


def default_folder(needed: int | None = None) -> Path:
    """Where isolated copies live when the plan names no place: short, so that sockets fit, and passable for the server's account.

    A copy of ``needed`` bytes that is small beside the memory file system goes there: its thousand small files cost a disk more than the
    bytes do. Raises Refused where the folder belongs to somebody else.
    """
    top = Path(tempfile.gettempdir())
    memory = Path("/dev/shm")  # noqa: S108 - the memory file system itself, with a folder of our own that is checked below
    if (
        needed is not None
        and needed <= IN_MEMORY
        and memory.is_dir()
        and os.access(memory, os.W_OK)
        and _room(memory) > 4 * needed + (256 << 20)
    ):
        top = memory
    chosen = os.environ.get("HOLDFAST_SANDBOX")
    folder = Path(chosen) if chosen else top / f"holdfast-{os.geteuid()}"
    folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.geteuid() or not folder.is_dir() or folder.is_symlink():
        raise Refused(f"{folder} belongs to somebody else.", hint="Set sandbox.directory in the plan.")
    folder.chmod(0o711)
    return folder


def _room(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def tear_down(box: Path) -> None:
    """Every server below a folder is stopped, and the folder removed; one that is not there is none."""
    for pidfile in box.rglob("postmaster.pid"):
        pid = running_pid(pidfile.parent)
        if pid is not None:
            _stop(pidfile.parent)
    shutil.rmtree(box, ignore_errors=True)
    if box.exists():
        shutil.rmtree(box)


def _stop(data: Path) -> None:
    nobody = Account("", os.geteuid(), os.getegid(), switch=False)
    Instance(data, Binaries(Path(), 0, ""), nobody, data, log=data / "holdfast-server.log").stop(fast=False)
