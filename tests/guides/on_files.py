"""Guides that are followed on a machine with one protected folder."""

import os
import subprocess
import sys
from pathlib import Path

from tests.evidence.shop import SECRET
from tests.guides.script import script

DOCS = Path(__file__).resolve().parents[2] / "docs"
PLAN = """
platform: acme
vault: {{key: {{env: HOLDFAST_KEY}}, locations: [{{name: here, url: "file://{folder}/vault"}}]}}
tiers: {{t: {{rpo: 2d, rto: 1h, backup: daily, keep: {{last: 3}}}}}}
sandbox: {{directory: {folder}/boxes}}
systems: {{app: {{kind: files, tier: t, paths: [{folder}/app]}}}}
"""


def followed(page: Path, folder: Path) -> tuple[str, Path]:
    """(what was printed, the folder that stands for /etc/holdfast), when every command of the page was typed and none failed."""
    programs, etc = folder / "bin", folder / "etc"
    for each in (programs, etc, folder / "home", folder / "app"):
        each.mkdir()
    (folder / "app" / "app.yaml").write_text("key: value\n")
    (programs / "holdfast").write_text(f'#!/bin/sh\nexec {sys.executable} -m holdfast.interfaces.cli.main "$@"\n')
    (programs / "holdfast").chmod(0o755)
    (etc / "holdfast.yaml").write_text(PLAN.format(folder=folder))
    text = script(page, {"/etc/holdfast": str(etc)}).replace("holdfast backup", "holdfast init --yes && holdfast backup", 1)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder / "home"), "LANG": "C.UTF-8", "HOLDFAST_KEY": SECRET}
    done = subprocess.run(["bash", "-c", text], env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout, etc
