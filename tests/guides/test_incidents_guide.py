"""docs/guide-incidents.md works as printed."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.channels.kit import HOOK, Hooks
from tests.guides.script import commands, script

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guide-incidents.md"


def test_the_guide_works_as_printed(tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "holdfast").write_text(f'#!/bin/sh\nexec {sys.executable} -m holdfast.interfaces.cli.main "$@"\n')
    (programs / "holdfast").chmod(0o755)
    (programs / "python3").symlink_to(sys.executable)
    (tmp_path / "home").mkdir()
    ops = tmp_path / "ops"
    with Hooks() as alarm:
        environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(tmp_path / "home"),
            "LANG": "C.UTF-8",
            "ALARM_URL": alarm.url + HOOK,
        }
        text = script(PAGE, {"/srv/ops": str(ops)})
        done = subprocess.run(
            ["bash", "-c", text], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=280
        )
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        assert len(commands(PAGE)) == 5
        assert len(alarm.seen) == len(alarm.asked)
        told = json.dumps(list(alarm.seen.values()))
    for word in ("declared", "acknowledged", "updated", "resolved"):
        assert word in told
    assert "closed" in done.stdout
    assert "papers (back): RTO 15m kept" in done.stdout
    assert "+49 30 5678" in (ops / "incident-plan.html").read_text()
