"""The program as people run it: a process of its own, with its own home."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.plan.writing import SMALL

PROGRAM = [sys.executable, "-m", "holdfast.interfaces.cli.main"]


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    home = {"HOME": str(folder), "HOLDFAST_STATE": str(folder / "state"), "HOLDFAST_CACHE": str(folder / "cache")}
    return {**kept, **home, "PYTHONDONTWRITEBYTECODE": "1", **more}


def holdfast(folder: Path, *words: str, stdin: str | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """Run ``holdfast`` in ``folder``."""
    given = {"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}
    return subprocess.run(
        [*PROGRAM, *words], cwd=folder, env=environment(folder, **env), capture_output=True, text=True, timeout=120, check=False, **given
    )


def answer(done: subprocess.CompletedProcess[str]):
    """The one JSON document on stdout."""
    return json.loads(done.stdout)


def with_plan(folder: Path, text: str = SMALL) -> Path:
    (folder / "holdfast.yaml").write_text(text)
    return folder
