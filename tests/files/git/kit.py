"""Repositories made by Git itself, a vault to put them into, and the way back."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from holdfast.model import RecoveryPoint, SystemClock
from holdfast.systems.files.git import GitCapture, rebuild, repository
from holdfast.systems.files.git.address import Repository
from holdfast.vault import Vault
from tests.vault import kit

CLOCK = SystemClock()


class Notes:
    """Progress that remembers what was worth showing."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def phase(self, name: str, total: int | None = None, unit: str = "B") -> None:
        pass

    def advance(self, amount: int) -> None:
        pass

    def note(self, text: str) -> None:
        self.said.append(text)


def git(folder: Path, *words: str | bytes, given: bytes | None = None, status: int = 0) -> str:
    """Git as a person would run it, with a fixed author and no configuration of this machine."""
    done = subprocess.run(
        ["git", "-C", str(folder), *words],
        input=given,
        capture_output=True,
        check=False,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "A",
            "GIT_AUTHOR_EMAIL": "a@example",
            "GIT_COMMITTER_NAME": "C",
            "GIT_COMMITTER_EMAIL": "c@example",
            "GIT_CONFIG_COUNT": "3",
            "GIT_CONFIG_KEY_0": "init.defaultBranch",
            "GIT_CONFIG_VALUE_0": "main",
            "GIT_CONFIG_KEY_1": "protocol.file.allow",
            "GIT_CONFIG_VALUE_1": "always",
            "GIT_CONFIG_KEY_2": "safe.directory",
            "GIT_CONFIG_VALUE_2": "*",
        },
    )
    assert done.returncode == status, (words, done.returncode, done.stderr.decode(errors="replace"))
    return done.stdout.decode(errors="surrogateescape").strip()


def new(folder: Path, *, commits: int = 1) -> Path:
    """A working repository with some commits on main."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q")
    for number in range(commits):
        commit(folder, f"file-{number}", f"content {number}\n" * 10)
    return folder


def commit(folder: Path, name: str, content: str | bytes, message: str = "") -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message or f"change {name}")
    return git(folder, "rev-parse", "HEAD")


def refs(folder: Path) -> list[str]:
    """Every reference with its id, HEAD and what is symbolic."""
    listed = git(folder, "for-each-ref", "--format=%(objectname) %(refname) %(symref)").splitlines()
    head = subprocess.run(
        ["git", "-C", str(folder), "symbolic-ref", "-q", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return [*listed, f"HEAD {head or git(folder, 'rev-parse', 'HEAD')}"]


class Bench:
    """A vault in memory, a cache of the host, and repositories that are captured and restored."""

    def __init__(self, folder: Path, *addresses: str | Path | Repository, stall: float = 60.0) -> None:
        self.folder = folder
        self.cache = folder / "git-cache"
        self.vault: Vault = kit.create(folder / "vault")
        self.repositories = [one if isinstance(one, Repository) else repository(str(one)) for one in addresses]
        self.stall = stall
        self.notes = Notes()
        self.restored = 0

    def capture(self, base: RecoveryPoint | None = None, repositories: Sequence[Repository] | None = None) -> RecoveryPoint:
        reader = self.vault.point(base.id) if base is not None else None
        with self.vault.begin(system="code", kind="files", base=reader) as writer:
            done = GitCapture(self.cache, CLOCK, stall=self.stall).run(repositories or self.repositories, writer, self.notes)
            return writer.commit(kind="files", start={}, stop={}, facts={"git": done.facts}, findings=done.findings)

    def raw(self, point: RecoveryPoint, name: str, into: Path) -> Path:
        """What the point holds of a repository, as files."""
        reader = self.vault.point(point.id)
        root = f"git/{name}/"
        for stored in reader.entries(root):
            path = into / stored.entry.path[len(root) :]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(reader.read(stored))
        return into

    def restore(self, point: RecoveryPoint, name: str, *, working: bool = False) -> Path:
        self.restored += 1
        place = self.folder / f"restored-{self.restored}"
        target = place / f"{name}.git"
        rebuild(self.raw(point, name, place / "raw"), target, CLOCK, working=working)
        return target
