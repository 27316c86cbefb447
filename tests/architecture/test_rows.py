"""Dependencies point the way that `.importlinter` says, and a violation is seen."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    """import-linter over the package below ``root``/src."""
    program = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    return subprocess.run(
        [sys.executable, "-c", program, "--config", str(ROOT / ".importlinter"), "--no-cache"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_rule_is_broken():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The rows of the house KEPT" in done.stdout


@pytest.mark.parametrize(
    ("where", "line", "rule"),
    [
        ("model/planted.py", "import holdfast.storage.contract", "The rows of the house"),
        ("vault/planted.py", "import holdfast.systems.contract", "The rows of the house"),
        ("systems/planted.py", "def later():\n    import holdfast.storage.contract", "Systems do not touch"),
        ("recovery/planted.py", "import holdfast.systems.postgres.lsn", "Only assembly names concrete systems"),
        ("newroom/__init__.py", "", "The rows of the house"),
    ],
)
def test_a_planted_violation_is_seen(tmp_path, where, line, rule):
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    planted = tmp_path / "src" / "holdfast" / where
    planted.parent.mkdir(exist_ok=True)
    planted.write_text(line + "\n")
    done = lint(tmp_path)
    assert done.returncode != 0, f"nobody saw {line!r} in {where}"
    said = " ".join((done.stdout + done.stderr).split())
    assert f"{rule}" in said
    assert "BROKEN" in said or "newroom" in said
