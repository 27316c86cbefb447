"""Captures and restores that die in the middle: what is seen of them, and that the next one goes on."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

from holdfast.systems.delta.store import LocalStore
from holdfast.systems.delta.tables import find
from tests.delta.kit import Lake, delta_rows, write


def die(lake: Lake, act: str, left: int) -> bool:
    """Whether it was killed; False when it came to its end first."""
    command = [sys.executable, "-m", "tests.delta.killed", str(lake.folder), act, str(left)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr[-3000:]
    return done.returncode != 0


@pytest.fixture
def three(lake):
    for number in range(3):
        write(lake.root / "orders", a=[number])
    return lake


@pytest.mark.parametrize("left", [0, 2, 5])
def test_a_killed_capture_leaves_no_point_and_the_next_one_is_whole(three, left):
    died = die(three, "capture", left)
    assert len(three.history.points()) == (0 if died else 1)
    three.backup()
    three.restore(three.folder / "out")
    assert delta_rows(three.folder / "out" / "orders") == [[0], [1], [2]]


@pytest.mark.parametrize("left", [0, 2, 3, 5])
def test_a_killed_copy_is_no_table_before_its_files_are_there(three, left):
    three.backup()
    assert die(three, "copy", left)
    out = three.folder / "out"
    if left <= 3:
        assert not (out / "orders" / "_delta_log").exists()
    shutil.rmtree(out, ignore_errors=True)
    three.restore(out)
    assert delta_rows(out / "orders") == [[0], [1], [2]]


@pytest.mark.parametrize("left", [0, 1, 3, 6])
def test_a_killed_restore_in_place_is_done_again(three, left):
    three.backup()
    write(three.root / "orders", a=[99], mode="overwrite")
    assert die(three, "in-place", left)
    three.restore(three.root, in_place=True)
    assert delta_rows(three.root / "orders") == [[0], [1], [2]]
    assert find(LocalStore(three.root), ()) == ["orders"]
    # Nothing that was there is gone: the damaged table lies aside, whole.
    assert any(len(list(path.glob("*.parquet"))) == 4 for path in three.root.glob("orders.damaged-*"))


@pytest.mark.parametrize("left", [0, 1])
def test_a_killed_rewind_was_done_whole_or_not_at_all(three, left):
    three.backup()
    died_before = left == 0
    assert die(three, "rewind", left)
    assert delta_rows(three.root / "orders") == ([[0], [1], [2]] if died_before else [[0], [1]])
    three.restore(three.root, "version:1", rewind=True)
    assert delta_rows(three.root / "orders") == [[0], [1]]
