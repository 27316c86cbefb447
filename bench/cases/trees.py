"""First backup, unchanged, 1 % changed, restore, check and prune over a tree of files; growth over larger trees."""

import itertools
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bench import trees
from bench.contenders.bound import shared
from bench.contenders.holdfast_files import HoldfastFiles
from bench.contenders.trees import MYSELF, Borg, Keeper, Restic, Rustic
from bench.measure import Run, RunFailed, run
from bench.results import Results
from tests.servers import ServerMissing
from tests.servers.account import server_folder

Say = Callable[[str], None]
CHANGED = 0.01
SPARED = 65.0
"""Seconds; ext4's RECENTCY_MIN is 60 (fs/ext4/ialloc.c)."""
ROOT = Path(__file__).resolve().parents[2]


def measure(results: Results, kind: str, shape: trees.Shape, rounds: int, wanted: set[str], say: Say) -> None:
    """Every case over one tree; contenders take turns, and who comes first alternates."""
    home = server_folder("tree")
    tree = home / "tree"
    keepers: list[Keeper] = []
    say(f"{kind}: making the tree of {shape.files:,} files")
    trees.make(tree, shape)
    files, size = trees.size_of(tree)
    results.fact(kind, "data", "tree", files=files, bytes=size)
    race = Race(results, kind, say)
    try:
        keepers = race.enter(tree, wanted)
        bound = Bounds(results, kind, tree, home) if "bound" in wanted else None
        race.warm(keepers)
        for turn in range(rounds):
            say(f"{kind}: round {turn + 1} of {rounds}")
            for one in _order(keepers, turn):
                race.begin(one, keepers)
            if bound:
                bound.backup()
            for one in _order(keepers, turn):
                race.time("unchanged", one, keepers, one.backup)
            changed = trees.change(tree, CHANGED, seed=turn)
            results.fact(kind, "1 % changed", "tree", bytes=changed)
            for one in _order(keepers, turn):
                race.time("1 % changed", one, keepers, one.backup)
            for one in _order(keepers, turn):
                into = race.into()
                if race.time("restore", one, keepers, lambda one=one, into=into: one.restore(into)):
                    race.compare(one, tree, into)
            if bound:
                bound.restore(race.into())
            for case in ("check", "prune"):
                for one in _order(keepers, turn):
                    race.time(case, one, keepers, getattr(one, case))
            race.clear()
    finally:
        race.clear()
        for folder in [one.home for one in keepers] + [home]:
            shutil.rmtree(folder, ignore_errors=True)


def growth(results: Results, sizes: Sequence[int], rounds: int, wanted: set[str], say: Say) -> None:
    """The same cases for more and more files, and how each case's time grows: 1 is in proportion."""
    for files in sizes:
        measure(results, _name(files), trees.grown(files), rounds, wanted - {"bound"}, say)
    for few, many in itertools.pairwise(sizes):
        for one in sorted(wanted - {"bound"}):
            for case in CASES:
                before = results.median(_name(few), case, one)
                after = results.median(_name(many), case, one)
                if before and after:
                    results.fact("growth", case, one, **{f"{few}_to_{many}": (after / before) / (many / few)})


def _name(files: int) -> str:
    return f"{files:,}"


CASES = ("first", "unchanged", "1 % changed", "restore", "check", "prune")


class Race:
    """Timed runs of contenders; one that fails is named and leaves."""

    def __init__(self, results: Results, kind: str, say: Say) -> None:
        self.results, self.kind, self.say = results, kind, say
        self.made: list[Path] = []
        self.cleared = float("-inf")

    def into(self) -> Path:
        """An empty folder to restore into. All of them go together (``clear``), and the next restore waits: where ext4 has no journal it
        spares inodes that were deleted in the last minute, and looks long for others, which would be charged to whoever restores next.
        """
        time.sleep(max(0.0, self.cleared + SPARED - time.monotonic()))
        home = server_folder("to")
        self.made.append(home)
        into = home / "into"
        into.mkdir()
        return into

    def clear(self) -> None:
        for home in self.made:
            shutil.rmtree(home, ignore_errors=True)
        self.made.clear()
        os.sync()
        self.cleared = time.monotonic()

    def enter(self, tree: Path, wanted: set[str]) -> list[Keeper]:
        found: list[Keeper] = []
        for one in (Restic, Borg, Rustic, HoldfastFiles):
            if one.name in wanted:
                try:
                    found.append(one(tree))
                except ServerMissing as missing:
                    if str(missing) not in self.results.missing:
                        self.results.missing.append(str(missing))
        return found

    def warm(self, keepers: list[Keeper]) -> None:
        """Every command of everybody once: programs and data are in the page cache, and modules compiled, before a clock starts."""
        for one in list(keepers):
            self.say(f"{self.kind}: {one.name} once, not timed")
            try:
                one.fresh()
                for action in (one.backup, one.backup, lambda one=one: one.restore(self.into()), one.check, one.prune):
                    action()
            except RunFailed as failure:
                self.results.missing.append(f"{one.name} failed before the race on {self.kind}: {failure}")
                keepers.remove(one)
        self.clear()

    def begin(self, one: Keeper, keepers: list[Keeper]) -> None:
        """A first backup into nothing."""
        try:
            one.fresh()
        except RunFailed as failure:
            self.results.missing.append(f"{one.name} could not begin on {self.kind}: {failure}")
            keepers.remove(one)
            return
        self.time("first", one, keepers, one.backup)

    def time(self, case: str, one: Keeper, keepers: list[Keeper], action: Callable[[], Run]) -> bool:
        before = one.stored()
        try:
            self.results.add(self.kind, case, one.name, action())
        except RunFailed as failure:
            self.results.missing.append(f"{one.name} failed at {case} on {self.kind}: {failure}")
            keepers.remove(one)
            return False
        after = one.stored()
        if case == "first":
            self.results.fact(self.kind, case, one.name, stored=after)
        elif case in ("unchanged", "1 % changed"):
            self.results.fact(self.kind, case, one.name, stored=after - before)
        elif case == "prune":
            self.results.fact(self.kind, case, one.name, left=after)
        return True

    def compare(self, one: Keeper, tree: Path, into: Path) -> None:
        """What came back must be what was there: a fast restore of something else is none."""
        if trees.digest(into) != trees.digest(tree):
            found, wanted = trees.size_of(into), trees.size_of(tree)
            self.results.missing.append(f"{one.name}'s restore on {self.kind} is WRONG: {found} (files, bytes) of {wanted}")


class Bounds:
    """The least work of a backup and of a restore, by scripts that keep no promises."""

    def __init__(self, results: Results, kind: str, tree: Path, home: Path) -> None:
        self.results, self.kind, self.tree, self.home = results, kind, tree, home
        self.packed = False

    def backup(self) -> None:
        try:
            script = shared("BOUND", "bound.py")
        except ServerMissing as missing:
            if str(missing) not in self.results.missing:
                self.results.missing.append(str(missing))
            return
        self._add("first", [sys.executable, script, self.tree, self.home / "bound", "--level", "1", "--threads", "2"])

    def restore(self, into: Path) -> None:
        script = ROOT / "bench" / "restore_bound.py"
        if not self.packed:
            run([sys.executable, script, "pack", self.tree, self.home / "packed"], MYSELF, self.home)
            self.packed = True
        self._add("restore", [sys.executable, script, "restore", self.home / "packed", into])

    def _add(self, case: str, command: list) -> None:
        done = run(command, MYSELF, self.home)
        said = json.loads(done.output.strip().splitlines()[-1])
        # Its own clock: start-up apart.
        self.results.add(self.kind, case, "bound", replace(done, seconds=said["seconds"], cpu=said["cpu_seconds"]))


def _order(keepers: list[Keeper], turn: int) -> list[Keeper]:
    return list(keepers) if turn % 2 == 0 else list(reversed(keepers))
