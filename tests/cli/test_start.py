"""What makes a short command short."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from holdfast.assembly import ahead


def started(words: str) -> str:
    environ = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    return subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True, env=environ).stdout


def test_numpy_starts_no_threads_that_nobody_uses() -> None:
    run = "from holdfast.interfaces.cli.main import main; main(['--version']); import numpy, os; print(len(os.listdir('/proc/self/task')))"
    if not Path("/proc/self/task").is_dir():
        pytest.skip("threads are counted in /proc")
    assert started(run).splitlines()[-1] == "1"


@pytest.mark.parametrize("work", ["backup", "restore"])
def test_what_is_imported_ahead_exists(work) -> None:
    ahead.import_ahead(["postgres", "files"], work)
    for thread in threading.enumerate():
        if thread.name == "imports":
            thread.join(60)
    for name in ahead._MODULES["postgres", work]:
        assert name in sys.modules


def test_an_import_that_fails_ahead_is_left_to_whoever_needs_it(monkeypatch) -> None:
    monkeypatch.setitem(ahead._MODULES, ("postgres", "backup"), ("holdfast.no_such_module", "holdfast.model"))
    ahead.import_ahead(["postgres"], "backup")
    for thread in threading.enumerate():
        if thread.name == "imports":
            thread.join(60)
    assert "holdfast.no_such_module" not in sys.modules
