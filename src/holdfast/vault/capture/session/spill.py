"""The folder in the cache into which a session spills; those of sessions that were killed are swept by the next one."""

import contextlib
import fcntl
import os
import shutil
from pathlib import Path

_LOCK = ".lock"


class SpillFolder:
    """``path`` is this session's own, made when it is first needed. A lock beside it, held while the process lives, tells it from one
    that nobody will come back to.
    """

    def __init__(self, parent: Path, session: str) -> None:
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = parent / session
        self._lock = self.path.with_name(f"{session}{_LOCK}")
        self._fd: int | None = os.open(self._lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        _sweep(parent, self.path)

    def close(self) -> None:
        """Remove both."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._fd is not None:
            self._lock.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = None


def _sweep(parent: Path, own: Path) -> None:
    """The cache may be lost at any time, and so may this: what cannot be removed stays."""
    with contextlib.suppress(OSError):
        sessions = {path.name.removesuffix(_LOCK) for path in parent.iterdir()} - {own.name}
        for session in sessions:
            with contextlib.suppress(OSError):
                _sweep_one(parent, session)


def _sweep_one(parent: Path, session: str) -> None:
    lock = parent / f"{session}{_LOCK}"
    # A folder is made only under its lock: one without a lock's file is of a session that ends just now, or was killed as it did.
    fd = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: its process lives
        shutil.rmtree(parent / session, ignore_errors=True)
        lock.unlink(missing_ok=True)
    finally:
        os.close(fd)
