"""Throw-away copies: each in a folder of its own, removed on leaving or, after a kill, by the next run.

Beside each lies a lock file that its process holds: a lock that can be taken belongs to a process that is gone, however it went.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from holdfast.errors import Refused

_PREFIX = "hf-delta-"


def _folder(given: Path | None) -> Path:
    """Raises Refused where somebody else owns the folder."""
    folder = given or Path(os.environ.get("HOLDFAST_SANDBOX") or Path(tempfile.gettempdir()) / f"holdfast-{os.geteuid()}")
    folder.mkdir(parents=True, exist_ok=True, mode=0o711)
    if folder.is_symlink() or (given is None and folder.lstat().st_uid != os.geteuid()):
        raise Refused(f"{folder} belongs to somebody else.", hint="Set sandbox.directory in the plan.")
    return folder


@contextlib.contextmanager
def open_box(given: Path | None) -> Iterator[Path]:
    sweep(given)
    box = _folder(given) / f"{_PREFIX}{secrets.token_hex(4)}"
    lock = box.with_suffix(".lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        box.mkdir(mode=0o700)
        try:
            yield box
        finally:
            shutil.rmtree(box)
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def sweep(given: Path | None) -> list[str]:
    """Remove what killed processes left; returns the folders."""
    removed = []
    for lock in sorted(_folder(given).glob(f"{_PREFIX}*.lock")):
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            if lock.with_suffix("").exists():
                shutil.rmtree(lock.with_suffix(""))
            lock.unlink(missing_ok=True)
            removed.append(str(lock.with_suffix("")))
        finally:
            os.close(descriptor)
    return removed
