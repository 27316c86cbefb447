"""Throw-away copies: each in a folder of its own, removed on leaving or, after a kill, by the next run.

Beside each lies a lock file that its process holds: a lock that can be taken belongs to a process that is gone, however it went.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from holdfast.systems.shared.claims import Allowance, Claim, SandboxTooSmall, SandboxUnfit, door, require_fits, take

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def _folder(given: Path | None) -> Path:
    """Raises SandboxUnfit where somebody else owns the folder, or none can be made."""
    folder = given or Path(os.environ.get("HOLDFAST_SANDBOX") or Path(tempfile.gettempdir()) / f"holdfast-{os.geteuid()}")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        status = folder.lstat()
    except OSError as error:
        raise SandboxUnfit(f"{folder} cannot be made: {error.strerror}.", hint="Set sandbox.directory in the plan.") from error
    if not folder.is_dir() or folder.is_symlink() or (given is None and status.st_uid != os.geteuid()):
        raise SandboxUnfit(f"{folder} belongs to somebody else.", hint="Set sandbox.directory in the plan.")
    return folder


@contextlib.contextmanager
def open_box(given: Path | None, kind: str, needed: int | None = None, allowed: Allowance | None = None) -> Iterator[Path]:
    """``given``: the plan's folder for such copies. ``needed``: bytes of a copy, which is counted by what is ``allowed``.

    Raises SandboxUnfit, SandboxTooSmall, SandboxesTaken.
    """
    folder = _folder(given)
    box = folder / f"hf-{kind}-{secrets.token_hex(4)}"
    lock = box.with_suffix(".lock")
    with door(folder):
        swept(folder, f"hf-{kind}-", remove)
        descriptor = take(lock, Claim(kind, needed), allowed or Allowance())
    try:
        box.mkdir(mode=0o700)
        try:
            yield box
        finally:
            remove(box)
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def room(given: Path | None, needed: int, allowed: Allowance) -> None:
    """Whether a copy of ``needed`` bytes could ever live there, before anything is begun. Raises SandboxUnfit, SandboxTooSmall."""
    folder = _folder(given)
    require_fits(needed, allowed, folder)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise SandboxTooSmall(
            f"An isolated copy needs about {needed >> 20} MiB, and {folder} has {free >> 20} MiB free.",
            hint="Set sandbox.directory in the plan to a place with more room.",
            needed=needed,
            free=free,
        )


def sweep(given: Path | None, kind: str) -> list[str]:
    """Remove what killed processes left of copies of ``kind``; returns the folders."""
    folder = _folder(given)
    with door(folder):
        return swept(folder, f"hf-{kind}-", remove)


def swept(folder: Path, prefix: str, clear: Callable[[Path], None]) -> list[str]:
    """Behind the door: clear what killed processes left of boxes whose name begins so; returns the boxes."""
    removed = []
    for lock in sorted(folder.glob(f"{prefix}*.lock")):
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
        except (FileNotFoundError, PermissionError):
            continue  # gone, or of another account, which sweeps its own
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            box = lock.with_suffix("")
            clear(box)
            lock.unlink(missing_ok=True)
            removed.append(str(box))
        finally:
            os.close(descriptor)
    return removed


def remove(box: Path) -> None:
    """A tree with whatever modes its folders have, however deep. Links are not followed; a box that is not there is none.

    Folders are moved up to the box one level at a time: below it paths grow longer than the system takes, and recursion ends before them.
    """
    try:
        top = os.open(box, _FOLDER)
    except FileNotFoundError:
        return
    try:
        names = _emptied(top, top)
        while names:
            name = names.pop()
            inner = os.open(name, _FOLDER, dir_fd=top)
            try:
                names += _emptied(inner, top)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)
    box.rmdir()


def _emptied(folder: int, top: int) -> list[str]:
    """Remove all but folders, and move these into ``top`` under new names, which it returns."""
    names = []
    with os.scandir(folder) as listing:
        entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in listing]
    for name, is_folder in entries:
        if not is_folder:
            os.unlink(name, dir_fd=folder)
            continue
        os.chmod(name, 0o700, dir_fd=folder)  # moving a folder writes into it
        names.append(secrets.token_hex(16))
        os.rename(name, names[-1], src_dir_fd=folder, dst_dir_fd=top)
    return names
