"""docs/guide-files.md works as printed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.guides.script import commands, script

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guide-files.md"


def test_the_guide_works_as_printed(tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "holdfast").write_text(f'#!/bin/sh\nexec {sys.executable} -m holdfast.interfaces.cli.main "$@"\n')
    (programs / "holdfast").chmod(0o755)
    for name in ("etc", "vault", "srv/acme/conf", "srv/acme/cache", "srv/acme/data", "home"):
        (tmp_path / name).mkdir(parents=True)
    acme = tmp_path / "srv" / "acme"
    (acme / "conf" / "app.yaml").write_text("key: value\n")
    (acme / "conf" / "x.tmp").write_text("temporary")
    (acme / "conf" / "keep.tmp").write_text("kept")
    (acme / "cache" / "big").write_text("cached")
    (acme / "data" / "dump.sql").write_text("select 1;\n")
    for path in acme.rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    text = script(PAGE, {"/etc/holdfast": str(tmp_path / "etc"), "/var/lib/holdfast": str(tmp_path / "vault"), "/srv/": f"{tmp_path}/srv/"})
    # diff compares what the point leaves out as well
    text = text.replace("diff -r ", "diff -r --exclude=x.tmp ")
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "LANG": "C.UTF-8",
        "HOLDFAST_SANDBOX": str(tmp_path / "boxes"),
    }
    done = subprocess.run(["bash", "-c", text], env=environment, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert len(commands(PAGE)) == 9
    assert (tmp_path / "srv" / "found.yaml").read_text() == "key: value\n"
    part = tmp_path / "srv" / "part" / str(acme).lstrip("/")
    assert (part / "data" / "dump.sql").exists()
    assert sorted(path.name for path in (part / "conf").iterdir()) == ["app.yaml", "keep.tmp"]
    assert (acme / "conf" / "app.yaml").read_text() == "key: value\n"
    [aside] = (tmp_path / "srv").glob("acme.before-*")
    assert (aside / "conf" / "app.yaml").read_text() == "ruined\n"
    assert not (acme / "cache").exists()
    shutil.rmtree(tmp_path / "srv", ignore_errors=True)
