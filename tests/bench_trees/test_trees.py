"""What the benchmark of files measures with: trees that a seed makes again, and a bound that really restores."""

import json
import subprocess
import sys
from pathlib import Path

from bench import trees
from bench.cases.trees import CASES
from bench.measure import Run
from bench.results import PEERS, Results, judged
from bench.trees import Shape, change, digest, make, size_of

ROOT = Path(__file__).parents[2]
FEW = Shape(40, 3000, 0.6)


def test_a_seed_makes_the_same_tree_and_another_one_another(tmp_path):
    assert make(tmp_path / "one", FEW) == make(tmp_path / "two", FEW)
    make(tmp_path / "other", FEW, seed=2)
    assert size_of(tmp_path / "one")[0] == FEW.files
    assert digest(tmp_path / "one") == digest(tmp_path / "two")
    assert digest(tmp_path / "one") != digest(tmp_path / "other")
    # Nobody gains by content that the generator repeats.
    assert len({content for _, content in digest(tmp_path / "one")}) == FEW.files


def test_a_change_touches_the_share_that_it_says(tmp_path):
    make(tmp_path / "tree", Shape(200, 2000, 0.5))
    before = digest(tmp_path / "tree")
    assert change(tmp_path / "tree", 0.05, seed=1) > 0
    assert sum(one != other for one, other in zip(before, digest(tmp_path / "tree"), strict=True)) == 10
    make(tmp_path / "large", Shape(2, 3 << 20, 0))
    assert change(tmp_path / "large", 0.1, seed=1) >= 2 * 4 * 8192


def test_the_restore_bound_restores(tmp_path):
    make(tmp_path / "tree", FEW)
    (tmp_path / "tree" / "none").write_bytes(b"")
    (tmp_path / "tree" / "large").write_bytes(bytes(range(256)) * 10_000)
    script = ROOT / "bench" / "restore_bound.py"
    subprocess.run([sys.executable, script, "pack", tmp_path / "tree", tmp_path / "packed"], check=True)
    done = subprocess.run(
        [sys.executable, script, "restore", tmp_path / "packed", tmp_path / "into"], check=True, capture_output=True, text=True
    )
    assert json.loads(done.stdout)["bytes"] == size_of(tmp_path / "tree")[1]
    assert digest(tmp_path / "into") == digest(tmp_path / "tree")


def test_the_fastest_peer_is_the_one_to_beat():
    results = Results()
    for name, seconds in zip((*PEERS, "holdfast"), (8.0, 4.0, 6.0, 2.0), strict=True):
        results.add("files", "first", name, Run(seconds, 1.0, 1, ""))
    target = next(one for one in judged(results) if (one["data"], one["case"], one.get("peer")) == ("files", "first", "fastest"))
    assert target["ratio"] == 2.0
    assert target["met"] is False
    assert {one["case"] for one in judged(results) if one["data"] == "large"} <= set(CASES)


def test_a_quick_run_has_a_smaller_tree():
    assert trees.small_enough(trees.SMALL).files == 2020
    assert trees.small_enough(trees.LARGE).mean * trees.small_enough(trees.LARGE).files < 200 << 20
