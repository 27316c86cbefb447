"""docs/guide-evidence.md works as printed."""

import subprocess
import sys

from tests.guides.on_files import DOCS, followed
from tests.guides.script import commands

PAGE = DOCS / "guide-evidence.md"


def test_the_guide_works_as_printed(tmp_path):
    said, etc = followed(PAGE, tmp_path)
    assert len(commands(PAGE)) == 4
    root = next(line.split()[-1] for line in said.splitlines() if line.startswith("its root"))
    words = [sys.executable, etc / "verify_evidence.py", etc / "report.json", "--root", root]
    alone = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert (alone.returncode, alone.stdout.split(": ")[1].split("\n")[0]) == (0, "sound"), alone.stdout + alone.stderr
    assert "<svg" in (etc / "report.html").read_text()
