"""What makes a short command short."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from argon2.exceptions import HashingError

from holdfast.assembly import ahead
from holdfast.vault.keys import stretching

KINDS = ["postgres", "files", "bucket", "delta"]


def started(words: str) -> str:
    environ = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    return subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True, env=environ).stdout


def test_numpy_starts_no_threads_that_nobody_uses() -> None:
    run = "from holdfast.interfaces.cli.main import main; main(['--version']); import numpy, os; print(len(os.listdir('/proc/self/task')))"
    if not Path("/proc/self/task").is_dir():
        pytest.skip("threads are counted in /proc")
    assert started(run).splitlines()[-1] == "1"


def stretched(secret: bytes = b"five words") -> bytes:
    return stretching.stretched(secret, b"s" * 16, passes=1, memory_kib=8, lanes=1)


@pytest.mark.parametrize("work", ["backup", "restore", "status"])
def test_what_is_imported_ahead_exists(work) -> None:
    ahead.import_ahead(KINDS, work)
    stretched()
    for name in {*ahead._ANY[work], *(name for kind in KINDS for name in ahead._MODULES.get((kind, work), ()))}:
        assert name in sys.modules


def test_what_is_done_meanwhile_is_done_once_on_the_thread_that_asks() -> None:
    """Two threads that import can meet in a circle of imports, and one is given half a module: the command ended as a defect."""
    alone, seen = stretched(), []
    stretching.meanwhile(lambda: seen.append(threading.current_thread()))
    assert [stretched(), stretched()] == [alone, alone]
    assert seen == [threading.main_thread()]


def test_on_another_thread_a_key_is_derived_and_nothing_else() -> None:
    seen: list[object] = []
    stretching.meanwhile(lambda: seen.append(None))
    thread = threading.Thread(target=lambda: seen.append(stretched()))
    thread.start()
    thread.join()
    assert seen == [stretched(), None]


def test_what_argon2_refuses_is_raised_where_the_key_was_asked_for() -> None:
    stretching.meanwhile(lambda: None)
    with pytest.raises(HashingError):
        stretching.stretched(b"x", b"s", passes=1, memory_kib=8, lanes=1)


def test_a_backup_imports_on_no_thread_but_its_own(tmp_path) -> None:
    """Each module of Holdfast is begun by the main thread, also while the key is derived."""
    (tmp_path / "tree").mkdir()
    plan = tmp_path / "holdfast.yaml"
    plan.write_text(SMALL.replace("VAULT", str(tmp_path / "vault")).replace("TREE", str(tmp_path / "tree")))
    work = f"""
import contextlib, io, sys, threading
from holdfast.vault.keys import stretching
seen, begun = [], []

class Finder:
    def find_spec(self, name, path=None, target=None):
        seen.append(threading.current_thread() is threading.main_thread())

sys.meta_path.insert(0, Finder())
start = threading.Thread.start
threading.Thread.start = lambda self: (begun.append(self.name), start(self))[1]
from holdfast.interfaces.cli.main import main
for words in (["init", "--yes"], ["backup", "tree"]):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        assert main(["--plan", {str(plan)!r}, *words]) == 0
print(any("key" in name for name in begun), len(seen) > 100, all(seen))
"""
    environ = {**os.environ, "HOME": str(tmp_path), "HOLDFAST_KEY": "five words", "HOLDFAST_STATE": str(tmp_path / "s")}
    done = subprocess.run([sys.executable, "-c", work], capture_output=True, text=True, env=environ, check=False)
    assert done.stdout == "True True True\n", done.stderr


def test_an_import_that_fails_ahead_is_left_to_whoever_needs_it(monkeypatch) -> None:
    monkeypatch.setitem(ahead._MODULES, ("postgres", "backup"), ("holdfast.no_such_module", "holdfast.model"))
    ahead.import_ahead(["postgres"], "backup")
    stretched()
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
