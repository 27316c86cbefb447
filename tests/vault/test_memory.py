"""Memory stays bounded whatever the size."""

import subprocess
import sys
from pathlib import Path


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
