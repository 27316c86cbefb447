"""Who backs up trees: each with zstd's fast level, encryption, two workers, a local repository, run as ourselves."""

import os
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from bench.measure import Run, run, stored
from tests.servers import Account, ServerMissing
from tests.servers.account import server_folder

PASSWORD = "benchmark-only"
MYSELF = Account(name="self", uid=os.geteuid(), gid=os.getegid(), switch=False)


class Keeper(Protocol):
    """A backup program over one tree. Each call is one timed run."""

    name: str
    home: Path

    def fresh(self) -> None:
        """An empty repository, and nothing remembered (not timed)."""
        ...

    def backup(self) -> Run: ...

    def restore(self, into: Path) -> Run:
        """The newest backup into an empty folder, and on disk at the end."""
        ...

    def check(self) -> Run:
        """Every stored byte is read and verified."""
        ...

    def prune(self) -> Run:
        """All but the newest backup go, with their space."""
        ...

    def stored(self) -> int:
        """Bytes in the repository."""
        ...


class Peer:
    """What restic, borg and rustic have in common."""

    name = ""

    def __init__(self, tree: Path) -> None:
        self.program = find(self.name)
        self.tree = tree
        self.home = server_folder(self.name)
        self.repository = self.home / "repository"

    @property
    def environment(self) -> dict[str, str]:
        raise NotImplementedError

    def run(self, *words: str | Path, cwd: Path | None = None, statuses: tuple[int, ...] = (0,)) -> Run:
        # GOMAXPROCS and RAYON_NUM_THREADS: two workers, as everybody has.
        environment = {**self.environment, "GOMAXPROCS": "2", "RAYON_NUM_THREADS": "2", "HOME": str(self.home)}
        return run([self.program, *words], MYSELF, cwd or self.home, environment=environment, statuses=statuses)

    def fresh(self) -> None:
        for left in self.home.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        self.repository.mkdir()
        self.init()

    def init(self) -> None:
        raise NotImplementedError

    def stored(self) -> int:
        return stored(self.repository)


def find(name: str) -> str:
    """A program on the path, or where Cargo installs; raises ServerMissing with the way to get it."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{Path.home() / '.cargo' / 'bin'}")
    override = os.environ.get(f"HOLDFAST_{name.upper()}")
    if override or found:
        return str(override or found)
    ways = {"rustic": "`cargo install --locked rustic-rs --no-default-features` builds it"}
    raise ServerMissing(f"{name} is not on this machine; {ways.get(name, '`make services` gets it')}")


def durable(done: Run) -> Run:
    """The time until what a program wrote is on disk counts: some sync, others leave it to the kernel."""
    began = time.perf_counter()
    os.sync()
    return replace(done, seconds=done.seconds + time.perf_counter() - began)


class Restic(Peer):
    name = "restic"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "RESTIC_REPOSITORY": str(self.repository),
            "RESTIC_PASSWORD": PASSWORD,
            "RESTIC_CACHE_DIR": str(self.home / "cache"),
            "RESTIC_COMPRESSION": "auto",
        }

    def init(self) -> None:
        self.run("init")

    def backup(self) -> Run:
        return self.run("backup", "--quiet", self.tree)

    def restore(self, into: Path) -> Run:
        return durable(self.run("restore", "latest", "--target", into))

    def check(self) -> Run:
        return self.run("check", "--read-data")

    def prune(self) -> Run:
        return self.run("forget", "--keep-last", "1", "--prune")


class Borg(Peer):
    name = "borg"
    made = 0

    @property
    def environment(self) -> dict[str, str]:
        return {
            "BORG_REPO": str(self.repository),
            "BORG_PASSPHRASE": PASSWORD,
            "BORG_BASE_DIR": str(self.home / "base"),
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
        }

    def init(self) -> None:
        self.made = 0
        self.run("init", "--encryption", "repokey-blake2")

    def backup(self) -> Run:
        self.made += 1
        return self.run("create", "--compression", "zstd,1", f"::{self.made}", self.tree)

    def restore(self, into: Path) -> Run:
        return durable(self.run("extract", f"::{self.made}", cwd=into))

    def check(self) -> Run:
        return self.run("check", "--verify-data")

    def prune(self) -> Run:
        first, second = self.run("prune", "--keep-last", "1"), self.run("compact")
        return Run(first.seconds + second.seconds, first.cpu + second.cpu, max(first.anonymous, second.anonymous), second.output)


class Rustic(Peer):
    name = "rustic"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "RUSTIC_REPOSITORY": str(self.repository),
            "RUSTIC_PASSWORD": PASSWORD,
            "RUSTIC_CACHE_DIR": str(self.home / "cache"),
            "RUSTIC_NO_PROGRESS": "true",
        }

    def init(self) -> None:
        self.run("init", "--set-compression", "1")

    def backup(self) -> Run:
        return self.run("backup", self.tree)

    def restore(self, into: Path) -> Run:
        return durable(self.run("restore", "latest", into))

    def check(self) -> Run:
        return self.run("check", "--read-data")

    def prune(self) -> Run:
        return self.run("forget", "--keep-last", "1", "--prune", "--instant-delete")


def version(name: str) -> str:
    """What a program says of its version, in a word."""
    try:
        words = [find(name), "version"] if name == "restic" else [find(name), "--version"]
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=30).stdout.split("\n", maxsplit=1)[0]
    except (ServerMissing, OSError, subprocess.SubprocessError) as problem:
        return str(problem)
