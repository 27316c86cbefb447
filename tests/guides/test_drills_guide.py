"""docs/guide-drills.md works as printed, on a real server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.drills.kit import Shop, fill, marks
from tests.guides.script import commands, script

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guide-drills.md"


@pytest.mark.postgres
@pytest.mark.timeout(1800)
def test_the_guide_works_as_printed(servers, tmp_path):
    server = servers(15)
    fill(server)
    shop = Shop(server, tmp_path)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "holdfast.yaml").write_text(shop.plan.read_text().replace("  db:", "  orders-db:"))
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "holdfast").write_text(f'#!/bin/sh\nexec {sys.executable} -m holdfast.interfaces.cli.main "$@"\n')
    (programs / "holdfast").chmod(0o755)
    environment = {**shop.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    text = script(PAGE, {"/etc/holdfast": str(tmp_path / "etc")})
    done = subprocess.run(["bash", "-c", text], env=environment, capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert len(commands(PAGE)) == 7
    assert "the phone list" in done.stdout
    assert (tmp_path / "etc" / "drill.html").stat().st_size > 10_000
    assert marks(server) is None
