"""What makes a short command short."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from holdfast.assembly import ahead

KINDS = ["postgres", "files", "bucket", "delta"]


def started(words: str) -> str:
    environ = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    return subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True, env=environ).stdout


def test_numpy_starts_no_threads_that_nobody_uses() -> None:
    run = "from holdfast.interfaces.cli.main import main; main(['--version']); import numpy, os; print(len(os.listdir('/proc/self/task')))"
    if not Path("/proc/self/task").is_dir():
        pytest.skip("threads are counted in /proc")
    assert started(run).splitlines()[-1] == "1"


@pytest.mark.parametrize("work", ["backup", "restore", "status"])
def test_what_is_imported_ahead_exists(work) -> None:
    ahead.import_ahead(KINDS, work)
    for thread in threading.enumerate():
        if thread.name == "imports":
            thread.join(60)
    for name in {*ahead._ANY[work], *(name for kind in KINDS for name in ahead._MODULES.get((kind, work), ()))}:
        assert name in sys.modules


@pytest.mark.parametrize("work", ["backup", "restore", "status"])
def test_the_vaults_circle_of_imports_is_whole_before_two_threads_import(work) -> None:
    """One that meets another in it can be given half a module: 'cannot import name'."""
    seen = f"""
import sys, types
from holdfast.assembly import ahead
def begun(**_):
    found = [sys.modules.get(name) for name in ("holdfast.vault", "holdfast.vault.logs")]
    print(all(one is not None and not one.__spec__._initializing for one in found))
    return types.SimpleNamespace(start=lambda: None)
ahead.threading = types.SimpleNamespace(Thread=begun)
ahead.import_ahead(["files"], "{work}")
"""
    assert started(seen) == "True\n"


def test_an_import_that_fails_ahead_is_left_to_whoever_needs_it(monkeypatch) -> None:
    monkeypatch.setitem(ahead._MODULES, ("postgres", "backup"), ("holdfast.no_such_module", "holdfast.model"))
    ahead.import_ahead(["postgres"], "backup")
    for thread in threading.enumerate():
        if thread.name == "imports":
            thread.join(60)
    assert "holdfast.no_such_module" not in sys.modules


SMALL = """platform: small
vault:
  key: {env: HOLDFAST_KEY}
  locations: [{name: here, url: "file://VAULT", failure_domain: here}]
tiers: {one: {rpo: 24h, rto: 4h, backup: daily, keep: {last: 1}, locations: [here]}}
systems: {tree: {kind: files, tier: one, paths: ["TREE"]}}
"""
NEEDLESS = {"ssl", "asyncio", "http.client", "urllib.request", "rich", "jinja2"}


def test_a_backup_and_a_status_import_nothing_in_vain(tmp_path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("content")
    plan = tmp_path / "holdfast.yaml"
    plan.write_text(SMALL.replace("VAULT", str(tmp_path / "vault")).replace("TREE", str(tmp_path / "tree")))
    work = f"""
import contextlib, io, json, sys
from holdfast.interfaces.cli.main import main

def run(*words):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return main(["--plan", {str(plan)!r}, *words])

assert run("init", "--yes") == 0
assert run("backup", "tree") == 0
run("status")
print(json.dumps(sorted(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", work],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HOME": str(tmp_path), "HOLDFAST_KEY": "five words", "HOLDFAST_STATE": str(tmp_path / "s")},
    )
    assert NEEDLESS & set(json.loads(done.stdout.splitlines()[-1])) == set()
