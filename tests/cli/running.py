"""The program as people run it: a process of its own, with its own home."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.cli.asking import ran
from tests.plan.writing import SMALL

PROGRAM = [sys.executable, "-m", "holdfast.interfaces.cli.main"]
"""Where the start itself is the point, or what is done to a process under way. Who only wants the answer asks by ``ran``."""


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    home = {"HOME": str(folder), "HOLDFAST_STATE": str(folder / "state"), "HOLDFAST_CACHE": str(folder / "cache")}
    return {**kept, **home, "PYTHONDONTWRITEBYTECODE": "1", **more}


def holdfast(folder: Path, *words: str, stdin: str | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """Run ``holdfast`` in ``folder``."""
    return ran(words, folder, environment(folder, **env), stdin=stdin)


def answer(done: subprocess.CompletedProcess[str]):
    """The one JSON document on stdout."""
    return json.loads(done.stdout)


def with_plan(folder: Path, text: str = SMALL) -> Path:
    (folder / "holdfast.yaml").write_text(text)
    return folder
