"""Azurite, which speaks Azure Blob Storage's interface: by npm, locked with its dependencies by hash."""

import shutil
import tempfile
from pathlib import Path

from scripts.services.outcome import Outcome, run
from tests.servers.azurite import azurite_folder, main_file
from tests.servers.versions import ROOT

LOCK = ROOT / "requirements" / "azurite"


def install() -> Outcome:
    target = azurite_folder()
    if main_file(target).exists():
        return Outcome("azurite", shutil.which("node") is not None, str(target) if shutil.which("node") else "needs Node.js")
    npm = shutil.which("npm")
    if not npm:
        return Outcome("azurite", there=False, detail="needs Node.js and npm to get it")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        files = Path(scratch, "files")
        shutil.copytree(LOCK, files)
        words = ["--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev", "--prefix", files]
        problem = run([npm, "ci", *words])
        if problem:
            return Outcome("azurite", there=False, detail=problem)
        files.chmod(0o755)
        files.rename(target)
    return Outcome("azurite", there=True, detail=str(target))
