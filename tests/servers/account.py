"""Which account runs the servers, and folders that it can use."""

import atexit
import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Account:
    """An account that servers run as. ``switch`` is false when that is the account we already run as."""

    name: str
    uid: int
    gid: int
    switch: bool

    @property
    def popen(self) -> dict[str, Any]:
        """Arguments for subprocess that start a program as this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.switch else {}

    def own(self, path: Path) -> None:
        """Gives a folder or file and all below it to the account. Links are not followed."""
        if not self.switch:
            return
        os.chown(path, self.uid, self.gid, follow_symlinks=False)
        if path.is_dir() and not path.is_symlink():
            for folder, names, files in os.walk(path):
                for name in (*names, *files):
                    os.chown(Path(folder, name), self.uid, self.gid, follow_symlinks=False)

    def environment(self, home: Path) -> dict[str, str]:
        """A small, predictable environment for a server: no locale, library path or PG* variable of ours leaks in."""
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(home),
            "USER": self.name,
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }

    def can_run(self, program: Path) -> bool:
        """Whether the account can start a program: a checkout below a private home is out of its reach."""
        if not self.switch:
            return os.access(program, os.X_OK)
        try:
            done = subprocess.run([program, "--version"], cwd="/", capture_output=True, check=False, timeout=250, **self.popen)
        except OSError:
            return False
        return done.returncode == 0


@cache
def service_account() -> Account:
    """Ourselves; as root the first of ``postgres`` and ``nobody`` that exists."""
    if os.geteuid() != 0:
        me = pwd.getpwuid(os.geteuid())
        return Account(me.pw_name, me.pw_uid, me.pw_gid, switch=False)
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, found.pw_uid, found.pw_gid, switch=True)
    raise RuntimeError("running as root, and neither an account 'postgres' nor 'nobody' exists to run servers as")


_passing: set[Path] = set()


def server_folder(prefix: str, *, keep: bool = False) -> Path:
    """A new folder that belongs to the account, with a path short enough for a Unix socket (107 bytes).

    Not below pytest's own temporary folder, which is private to the caller and long. It goes when the test or fixture scope that made it
    ends, at the latest with the process; with ``keep`` its maker removes it.
    """
    root = os.environ.get("HOLDFAST_TEST_TMP") or ("/tmp" if os.access("/tmp", os.W_OK) else tempfile.gettempdir())
    path = Path(tempfile.mkdtemp(prefix=f"hf-{prefix}-", dir=root))
    service_account().own(path)
    path.chmod(0o755)
    if not keep:
        _passing.add(path)
    return path


@contextlib.contextmanager
def folders_removed() -> Iterator[None]:
    """Folders that were made within are removed at the end."""
    before = set(_passing)
    try:
        yield
    finally:
        remove_folders(_passing - before)


def remove_folders(folders: set[Path]) -> None:
    for folder in sorted(folders):
        shutil.rmtree(folder, ignore_errors=True)
        _passing.discard(folder)


@atexit.register
def _remove_the_rest() -> None:
    remove_folders(set(_passing))


@cache
def reachable(folder: Path, parts: tuple[str, ...], program: str) -> Path:
    """``folder`` itself, or a copy of its ``parts`` that the account can run ``program`` (a path below it) from. The copy goes at exit."""
    account = service_account()
    if account.can_run(folder / program):
        return folder
    copy = Path(tempfile.mkdtemp(prefix="hf-bin-", dir="/tmp"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    copy.chmod(0o755)
    for part in parts:
        if (folder / part).exists():
            shutil.copytree(folder / part, copy / part, symlinks=True)
    subprocess.run(["chmod", "-R", "a+rX", str(copy)], check=True)
    if not account.can_run(copy / program):
        raise RuntimeError(f"the account {account.name} can run {program} neither in {folder} nor in a copy below /tmp")
    return copy
