"""docs/guide-runbooks.md works as printed, and so does the page for paper that it prints."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.guides.script import commands, script

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guide-runbooks.md"


def test_the_guide_works_as_printed(tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "holdfast").write_text(f'#!/bin/sh\nexec {sys.executable} -m holdfast.interfaces.cli.main "$@"\n')
    (programs / "holdfast").chmod(0o755)
    (tmp_path / "home").mkdir()
    recovery = tmp_path / "recovery"
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path / "home"), "LANG": "C.UTF-8"}
    text = script(PAGE, {"/srv/recovery": str(recovery)})
    done = subprocess.run(
        ["bash", "-c", text], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert len(commands(PAGE)) == 7
    assert "who asked cannot approve" in done.stdout
    assert sorted(path.name for path in recovery.iterdir() if path.is_dir()) == ["billing", "orders.damaged", "runbooks"]
    assert "it was the wrong folder" in done.stdout
    assert "holdfast vault open" in (recovery / "lost-database-on-paper.md").read_text()
    _on_paper(recovery, environment)


def _on_paper(recovery: Path, environment: dict[str, str]) -> None:
    """Somebody types what the page says, in its order, without the program."""
    (recovery / "shop").mkdir()
    text = (recovery / "move-aside-on-paper.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 5  # parameters, the step, its probe, its undo, the wait
    blocks[0] = re.sub(r"_{5,}", "shop", blocks[0])
    typed = "\n".join([blocks[0], blocks[1], blocks[2], blocks[4]])
    assert "holdfast" not in typed
    without = {**environment, "PATH": os.environ["PATH"]}
    done = subprocess.run(["bash", "-ec", typed], cwd=recovery, env=without, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (recovery / "shop.damaged").is_dir()
