"""A run by the process that was started once is as one that starts in full."""

import json
import os
import subprocess
import threading

import pytest

from tests.cli import asking
from tests.cli.running import PROGRAM, environment, holdfast, with_plan
from tests.runbooks.kit import page

NONSENSE = ["nonsense", "--json"]


@pytest.fixture
def fresh(monkeypatch):
    """From now on every run starts in full."""
    return lambda: monkeypatch.setattr(asking.Warm, "fits", lambda *_: False)


@pytest.mark.parametrize(
    "words", [["--version"], ["plan", "show", "--json"], ["status"], NONSENSE, ["vault", "prune", "--help"], ["wal", "push"]], ids=" ".join
)
def test_it_says_and_ends_the_same(tmp_path, fresh, words):
    with_plan(tmp_path)
    one = holdfast(tmp_path, *words)
    fresh()
    two = holdfast(tmp_path, *words)
    assert (one.args, one.returncode, one.stdout, one.stderr) == (two.args, two.returncode, two.stdout, two.stderr)


def test_it_has_its_folder_its_environment_its_input_and_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        told = holdfast(tmp_path, "runbook", "new", "first", "--system", "db", COLUMNS="50")
    finally:
        os.umask(before)
    [made] = (tmp_path / "runbooks").glob("*.md")
    assert made.stat().st_mode & 0o777 == 0o600, told
    with_plan(tmp_path)
    assert json.loads(holdfast(tmp_path, "plan", "show", "--json", HOLDFAST_PLAN="nowhere.yaml").stdout)["error"]["code"]


def test_it_and_what_it_starts_can_be_stopped_as_any_other(tmp_path, fresh):
    """Signals that are ignored are so in what a step starts as well."""
    (tmp_path / "look.md").write_text(page("id: look\nshell: grep -E 'Sig(Ign|Blk|Cgt)' /proc/self/status > signals\nrepeatable: true"))
    said = []
    for _ in range(2):
        done = holdfast(tmp_path, "runbook", "run", "./look.md", "--json")
        assert json.loads(done.stdout)["outcome"] == "done", done
        said.append((tmp_path / "signals").read_text())
        fresh()
    assert said[0] == said[1]


def test_one_that_takes_too_long_is_killed_and_the_others_go_on(tmp_path, monkeypatch):
    killed = []
    kill = asking._kill
    monkeypatch.setattr(asking, "_kill", lambda pid: (killed.append(pid), kill(pid)))
    os.mkfifo(tmp_path / "never.yaml")
    with pytest.raises(subprocess.TimeoutExpired):
        asking.ran(["plan", "show"], tmp_path, environment(tmp_path, HOLDFAST_PLAN=str(tmp_path / "never.yaml")), timeout=0.2)
    assert len(killed) == 1
    done = []
    runs = [threading.Thread(target=lambda: done.append(holdfast(tmp_path, "--version").returncode)) for _ in range(4)]
    for one in runs:
        one.start()
    for one in runs:
        one.join()
    assert done == [0, 0, 0, 0]


@pytest.mark.parametrize(("name", "value"), [("PYTHONPATH", "/nowhere"), ("LC_ALL", "C.UTF-8"), ("LD_LIBRARY_PATH", "/nowhere")])
def test_what_is_read_before_anything_else_needs_a_start_in_full(tmp_path, name, value):
    holdfast(tmp_path, "--version")
    given = environment(tmp_path)
    if given.get(name) == value:
        pytest.skip("that is how everything starts here")
    assert asking._warm.fits(given)
    assert not asking._warm.fits({**given, name: value})
    assert PROGRAM == asking.WORDS
