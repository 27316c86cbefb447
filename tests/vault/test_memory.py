"""Memory stays bounded whatever the size."""

import gc
import subprocess
import sys
import tracemalloc
from pathlib import Path

from holdfast.storage.local import LocalStorage
from holdfast.vault import Vault
from tests.vault.kit import CHEAP, CLOCK, SECRET, capture


def test_anonymous_memory_of_a_large_capture_and_restore(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.vault.big_capture", str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
        timeout=280,
    )
    most, new = map(int, done.stdout.split())
    assert new == 0
    assert 30 < most < 300


def test_what_a_session_held_is_let_go_when_it_ends(tmp_path: Path) -> None:
    """Without waiting for Python to collect: a service takes thousands of points."""
    vault, _ = Vault.create([LocalStorage(str(tmp_path / "vault"), create=True)], SECRET, clock=CLOCK, cache=tmp_path, cost=CHEAP)
    capture(vault, {"a": b"a" * 70_000})
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for number in range(5):
            capture(vault, {"a": bytes([number]) * 70_000})
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert held < 2 << 20
