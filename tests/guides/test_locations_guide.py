"""docs/guide-locations.md works as printed."""

import os
import subprocess
import sys
from pathlib import Path

from tests.guides.script import commands, script

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guide-locations.md"


def test_the_guide_works_as_printed(tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "holdfast").write_text(f'#!/bin/sh\nexec {sys.executable} -m holdfast.interfaces.cli.main "$@"\n')
    (programs / "holdfast").chmod(0o755)
    for name in ("etc", "vault", "mnt/offsite", "srv/acme", "home"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "srv" / "acme" / "app.yaml").write_text("key: value\n")
    (tmp_path / "srv" / "acme" / "large").write_bytes(os.urandom(300_000))
    places = {"/etc/holdfast": "etc", "/var/lib/holdfast": "vault", "/mnt/": "mnt/", "/srv/": "srv/"}
    text = script(PAGE, {said: f"{tmp_path}/{meant}" for said, meant in places.items()})
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path / "home"), "LANG": "C.UTF-8"}
    done = subprocess.run(["bash", "-c", text], env=environment, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert len(commands(PAGE)) == 5
    assert "ended with 3" in done.stdout
    assert "1 of the 2 locations" in done.stderr
    # Behind after it was away, level after the copy.
    behind, level = done.stdout.split("--- block 3")[1].split("--- block 4")[0].split("offsite → onsite")
    assert "1 point, " in behind
    assert "1 point, " not in level.split("Vault ")[1]
    assert "another location had it" in done.stderr
    restored = next((tmp_path / "srv" / "restored").rglob("app.yaml"))
    assert restored.read_text() == "key: value\nchanged\n"
    assert "healed" in done.stdout
    assert "offsite was empty and belongs to it now" in done.stdout
    assert done.stdout.rstrip().rsplit("\n", 1)[-1].startswith("The vault is whole")
