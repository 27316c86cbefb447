"""A vault in a folder, systems of kind files over it, and everything that a tree is on the machine."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from holdfast.model import RecoveryPoint, Silent, SystemClock
from holdfast.storage.local import LocalStorage
from holdfast.systems.contract import Restored, RestoreRequest
from holdfast.systems.files.attributes import data_ranges
from holdfast.systems.files.recovery import FilesRecovery
from holdfast.systems.files.settings import FilesSettings
from holdfast.systems.files.system import FilesSystem
from holdfast.vault import Vault
from holdfast.vault.keys.slots import PassphraseCost

CHEAP = PassphraseCost(memory_kib=8, passes=1)
SECRET = "open sesame"
NAME = "app"
ROOT = os.geteuid() == 0


class Later(SystemClock):
    """A clock ``ahead`` seconds before its time, so that files just written are no longer racy for a capture."""

    def __init__(self, ahead: float = 3.0) -> None:
        self.ahead = ahead

    def now(self):
        import datetime as dt

        return super().now() + dt.timedelta(seconds=self.ahead)


class History:
    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def points(self) -> Sequence[RecoveryPoint]:
        return self._vault.points(NAME)

    def open(self, point: str):
        return self._vault.point(point)

    def logs(self):
        raise AssertionError("files have no logs")


class Scene:
    """``source`` is protected; restores go below ``folder``."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.source = folder / "source"
        self.source.mkdir()
        self.settings = FilesSettings((str(self.source),), **settings)
        storage = LocalStorage(str(folder / "vault"), create=True)
        self.vault = Vault.create([storage], SECRET, clock=SystemClock(), cache=folder / "cache", cost=CHEAP)[0]
        self.clock = Later()

    def reopen(self, folder: Path) -> None:
        """The same scene in another process."""
        self.folder = folder
        self.source = folder / "source"
        self.settings = FilesSettings((str(self.source),))
        self.vault = Vault.open([LocalStorage(str(folder / "vault"))], SECRET, clock=SystemClock(), cache=folder / "cache")
        self.clock = Later()

    @property
    def history(self) -> History:
        return History(self.vault)

    def system(self) -> FilesSystem:
        return FilesSystem(NAME, self.settings, clock=self.clock)

    def recovery(self) -> FilesRecovery:
        return FilesRecovery(NAME, self.settings, clock=self.clock, sandbox=self.folder / "boxes", history=lambda: self.history)

    def backup(self, *, full: bool = False, label: str | None = None) -> RecoveryPoint:
        points = self.vault.points(NAME)
        base = self.vault.reader(points[-1]) if points and not full else None
        with self.vault.begin(system=NAME, kind="files", base=base, label=label) as writer:
            point = self.system().capture(writer, Silent())
        tick(self.folder)
        return point

    def plan(self, into: Path, point: RecoveryPoint | None = None, **options: Any):
        until = {"kind": "point", "point": point.id} if point else {"kind": "latest"}
        return self.recovery().plan_restore(self.history, RestoreRequest(into, until, options))

    def restore(self, into: Path, point: RecoveryPoint | None = None, **options: Any) -> Restored:
        return self.recovery().restore(self.history, self.plan(into, point, **options), Silent())

    def at(self, into: Path) -> Path:
        """Where the source comes back below ``into``."""
        return into / str(self.source).lstrip("/")

    def close(self) -> None:
        self.vault.close()


def tick(folder: Path) -> None:
    """The file system's clock moves on: what is written from now on bears another time than all before."""
    probe = folder / ".tick"
    probe.touch()
    began = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == began:
        probe.touch()
    probe.unlink()


def as_nobody(what: str, folder: Path) -> dict[str, Any]:
    """What tests.files.nobody tells of a deed in a scene's folder."""
    command = [sys.executable, "-m", "tests.files.nobody", what, str(folder)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def picture(top: Path) -> Mapping[str, Any]:
    """Every attribute of every entry, by path; hard links as groups of paths."""
    found: dict[str, Any] = {}
    groups: dict[tuple[int, int], list[str]] = {}
    base = os.fsencode(top)
    paths = [base]
    for folder, folders, names in os.walk(base):
        paths += [os.path.join(folder, name) for name in (*folders, *names)]
    for path in paths:
        status = os.lstat(path)
        name = os.fsdecode(os.path.relpath(path, base))
        kind = stat.S_IFMT(status.st_mode)
        one: dict[str, Any] = {"kind": kind, "owner": (status.st_uid, status.st_gid), "mtime": status.st_mtime_ns}
        one["attributes"] = {key: os.getxattr(path, key, follow_symlinks=False) for key in os.listxattr(path, follow_symlinks=False)}
        if kind == stat.S_IFLNK:
            one["target"] = os.readlink(path)
        else:
            one["mode"] = stat.S_IMODE(status.st_mode)
        if kind in (stat.S_IFCHR, stat.S_IFBLK):
            one["device"] = status.st_rdev
        if kind == stat.S_IFREG:
            fd = os.open(path, os.O_RDONLY)
            try:
                one["content"] = os.pread(fd, status.st_size + 1, 0)
                one["data"] = data_ranges(fd, status.st_size)
            finally:
                os.close(fd)
        if kind != stat.S_IFDIR and status.st_nlink > 1:
            groups.setdefault((status.st_dev, status.st_ino), []).append(name)
        found[name] = one
    found["links"] = sorted(sorted(names) for names in groups.values())
    return found


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[Any]:
    """Empty when two pictures are equal; else what differs, short enough to be read."""
    found: list[Any] = [("only in the first", name) for name in one.keys() - other.keys()]
    found += [("only in the second", name) for name in other.keys() - one.keys()]
    for name in one.keys() & other.keys():
        if one[name] != other[name]:
            if name == "links":
                found.append((name, one[name], other[name]))
            else:
                keys = [key for key in one[name] if one[name].get(key) != other[name].get(key)]
                found.append((name, {key: (str(one[name].get(key))[:80], str(other[name].get(key))[:80]) for key in keys}))
    return found
