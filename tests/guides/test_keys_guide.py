"""docs/guide-keys.md works as printed, with a security module in software."""

import os
import subprocess
import sys
from pathlib import Path

from tests.guides.script import commands, script
from tests.servers import need
from tests.servers.softhsm import SoftHsm

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guide-keys.md"


def test_the_guide_works_as_printed(tmp_path):
    with need():
        module = SoftHsm(tmp_path / "hsm")
    for name in ("etc", "srv/app", "srv/customers", "bin"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("app", "customers"):
        (tmp_path / "srv" / name / "file").write_text(f"of {name}\n" * 1000)
    program = tmp_path / "bin" / "holdfast"
    program.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "import sys; from holdfast.interfaces.cli.main import main; sys.exit(main())" "$@"\n'
    )
    program.chmod(0o755)
    places = {
        "/var/lib/holdfast": str(tmp_path / "vault"),
        "/etc/holdfast": str(tmp_path / "etc"),
        "/srv/app": str(tmp_path / "srv/app"),
        "/srv/customers": str(tmp_path / "srv/customers"),
        "/usr/lib/softhsm/libsofthsm2.so": module.library,
    }
    environment = {
        **module.environment,
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "HOLDFAST_STATE": str(tmp_path / "state"),
        "HOLDFAST_CACHE": str(tmp_path / "cache"),
    }
    done = subprocess.run(
        ["bash", "-c", script(PAGE, places)],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout
    assert f"--- block {len(commands(PAGE))}" in done.stdout
    for name in ("safe.key", "db1.key", "alice.key", "pii.key", "erased-pii.json"):
        assert (tmp_path / "etc" / name).stat().st_mode & 0o777 == 0o600
