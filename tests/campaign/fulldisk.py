"""A location on a real file system that is too small: a tmpfs, which only root can mount."""

import contextlib
import os
import subprocess
import tempfile
from pathlib import Path

REAL = "full disk, a real one"
_PAGE = 4096


def possible() -> bool:
    """Whether this account may mount."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            mount(Path(folder))
        except (OSError, subprocess.CalledProcessError):
            return False
        unmount(Path(folder))
        return True


def mount(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], check=True, capture_output=True)


def leave(folder: Path, pages: int = 4096) -> None:
    """Room for so many pages more than are used."""
    found = os.statvfs(folder)
    used = (found.f_blocks - found.f_bfree) * found.f_frsize
    # A size of 0 would mean none at all.
    subprocess.run(["mount", "-o", f"remount,size={used + pages * _PAGE or _PAGE}", folder], check=True, capture_output=True)


def unmount(folder: Path) -> None:
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        subprocess.run(["umount", folder], check=True, capture_output=True)
