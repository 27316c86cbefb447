"""docs/guide-validation.md works as printed."""

import os
import subprocess
import sys
from pathlib import Path

from tests.evidence.shop import SECRET
from tests.guides.script import commands, script

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guide-validation.md"
PLAN = """
platform: acme
vault: {{key: {{env: HOLDFAST_KEY}}, locations: [{{name: here, url: "file://{folder}/vault"}}]}}
tiers: {{t: {{rpo: 2d, rto: 1h, backup: daily, keep: {{last: 3}}}}}}
sandbox: {{directory: {folder}/boxes}}
systems: {{app: {{kind: files, tier: t, paths: [{folder}/app]}}}}
"""


def test_the_guide_works_as_printed(tmp_path):
    programs, etc = tmp_path / "bin", tmp_path / "etc"
    for folder in (programs, etc, tmp_path / "home", tmp_path / "app"):
        folder.mkdir()
    (tmp_path / "app" / "app.yaml").write_text("key: value\n")
    (programs / "holdfast").write_text(f'#!/bin/sh\nexec {sys.executable} -m holdfast.interfaces.cli.main "$@"\n')
    (programs / "holdfast").chmod(0o755)
    (etc / "holdfast.yaml").write_text(PLAN.format(folder=tmp_path))
    text = script(PAGE, {"/etc/holdfast": str(etc)}).replace("holdfast backup", "holdfast init --yes && holdfast backup", 1)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path / "home"), "LANG": "C.UTF-8", "HOLDFAST_KEY": SECRET}
    done = subprocess.run(["bash", "-c", text], env=environment, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert len(commands(PAGE)) == 3
    assert "compared with the source, exactly" in done.stdout
    assert "compared with the source, by sample" in done.stdout
    assert "holdfast verify --record " in done.stdout
