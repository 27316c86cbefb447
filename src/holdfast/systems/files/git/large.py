"""Files that Git LFS keeps beside a repository: fetched by git-lfs where it is installed, checked by their SHA-256."""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from holdfast.systems.files.git.address import Repository
from holdfast.systems.files.git.run import Git


def available(git: Git) -> bool:
    return shutil.which("git-lfs", path=git.environ["PATH"]) is not None


def fetch(git: Git, repository: Repository, folder: Path, storage: Path) -> str:
    """Bring every large file that a commit names into ``storage``; what git-lfs said when it failed, else ""."""
    for key, value in (
        ("remote.origin.url", repository.url),
        ("lfs.storage", str(storage)),
        ("lfs.concurrenttransfers", "4"),
        # No credentials are asked for, and no other program moves bytes.
        ("lfs.locksverify", "false"),
    ):
        git.need(["config", key, value], folder=folder)
    done = git.run(["lfs", "fetch", "--all", "origin"], folder=folder, network=True)
    return done.last() or f"status {done.status}" if done.status else ""


def place(storage: Path, oid: str) -> Path:
    """Where git-lfs keeps one, in its storage and below a repository's ``lfs`` folder alike."""
    return storage / "objects" / oid[:2] / oid[2:4] / oid


def right(path: Path, oid: str, size: int) -> bool:
    """Whether a file is the one that its name says."""
    try:
        with path.open("rb") as file:
            return path.stat().st_size == size and hashlib.file_digest(file, "sha256").hexdigest() == oid
    except OSError:
        return False


def forget(storage: Path, wanted: Mapping[str, int]) -> None:
    """Remove kept files that no commit names any more."""
    if (storage / "objects").is_dir():
        for path in (storage / "objects").glob("*/*/*"):
            if path.name not in wanted:
                path.unlink(missing_ok=True)
