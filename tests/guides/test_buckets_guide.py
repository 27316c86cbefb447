"""docs/guide-buckets.md works as printed."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

from holdfast.connect.objects import open_objects
from tests.bucket.kit import options_of, picture
from tests.bucket.test_round_trip import fill
from tests.guides.script import commands, script

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guide-buckets.md"


def test_the_guide_works_as_printed(tmp_path, minio):
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "holdfast").write_text(f'#!/bin/sh\nexec {sys.executable} -m holdfast.interfaces.cli.main "$@"\n')
    (programs / "holdfast").chmod(0o755)
    for name in ("etc", "vault", "home"):
        (tmp_path / name).mkdir(parents=True)
    raw, copy = minio.bucket(f"raw-{secrets.token_hex(5)}"), minio.bucket(f"copy-{secrets.token_hex(5)}")
    store, copied = open_objects(f"s3://{raw}", options_of(minio)), open_objects(f"s3://{copy}", options_of(minio))
    fill(store, ["landing/2026-11-20/a b", "landing/2026-11-20/c", "landing/2026-11-21/d", "elsewhere"])
    before = picture(store, "landing/")
    places = {
        "/etc/holdfast": str(tmp_path / "etc"),
        "/var/lib/holdfast": str(tmp_path / "vault"),
        "/tmp/one-day": str(tmp_path / "one-day"),
        "https://minio.example:9000": minio.endpoint,
        "s3://acme-raw": f"s3://{raw}",
        "s3://acme-copy": f"s3://{copy}",
    }
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "LANG": "C.UTF-8",
        "RAW_KEY": minio.access_key,
        "RAW_SECRET": minio.secret_key,
    }
    done = subprocess.run(["bash", "-c", script(PAGE, places)], env=environment, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    assert len(commands(PAGE)) == 5
    assert picture(copied, "raw/landing/") == before
    assert picture(store, "landing/") == before
    assert sorted(path.name for path in (tmp_path / "one-day" / "landing").rglob("*") if path.is_file()) == ["a b", "c"]
    store.close()
    copied.close()
