"""kill -9 in a backup and in a restore of a folder: another process goes on, and nothing is lost or wrong."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_killed_backups_and_restores_go_on(tmp_path):
    command = [sys.executable, "-m", "tests.files.killed_folders", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    killed = ast.literal_eval(done.stdout)
    assert killed["backup"] >= 8
    for place in ("write_files", "write", "close", "_link", "dress", "sync"):
        assert killed[place] >= 2, killed
