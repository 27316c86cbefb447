"""docs/guide-google-and-azure.md works as printed."""

import os
import subprocess
import sys
from pathlib import Path

from holdfast.connect.objects import Options, open_objects
from tests.bucket.kit import noise, picture
from tests.guides.script import commands, script
from tests.servers.google_service import account, google_service, new_key

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guide-google-and-azure.md"


def test_the_guide_works_as_printed(tmp_path, google, azurite):
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "holdfast").write_text(f'#!/bin/sh\nexec {sys.executable} -m holdfast.interfaces.cli.main "$@"\n')
    (programs / "holdfast").chmod(0o755)
    for name in ("etc", "vault", "home"):
        (tmp_path / name).mkdir(parents=True)
    secret = tmp_path / "etc" / "google-key.json"
    raw, copy, vault, files, second = google.bucket(), google.bucket(), azurite.container(), azurite.container(), azurite.container()
    there = Options(endpoint=azurite.address, credentials=azurite.credentials)
    opened = {name: open_objects(f"gs://{name}", Options(endpoint=google.endpoint)) for name in (raw, copy)}
    opened |= {name: open_objects(f"az://{name}", there) for name in (vault, files, second)}
    for name, keys in ((raw, ["a b", "c/d", "é"]), (files, ["invoices/a b", "invoices/2026/é", "elsewhere"])):
        for one in keys:
            opened[name].put(one, noise(100_000))
    before = picture(opened[raw]), picture(opened[files], "invoices/")
    places = {
        "/etc/holdfast": str(tmp_path / "etc"),
        "/var/lib/holdfast": str(tmp_path / "vault"),
        "/tmp/raw": str(tmp_path / "raw"),
        "acmestore": azurite.account,
        'url: "az://acme-vault/holdfast"': f'url: "az://{vault}/holdfast"\n      endpoint: "{azurite.address}"',
        'url: "gs://acme-raw"': f'url: "gs://{raw}"\n    endpoint: "{google.endpoint}"',
        'url: "az://acme-files"': f'url: "az://{files}"\n    endpoint: "{azurite.address}"',
        "gs://acme-copy": f"gs://{copy}",
        "az://acme-second": f"az://{second}",
    }
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "LANG": "C.UTF-8",
        "AZURE_KEY": azurite.key,
    }
    with google_service() as service:
        secret.touch(0o600)
        secret.write_text(account(service, new_key()))
        done = subprocess.run(
            ["bash", "-c", script(PAGE, places)], env=environment, capture_output=True, text=True, check=False, timeout=250
        )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    assert len(commands(PAGE)) == 2
    assert picture(opened[copy], "raw/") == before[0]
    assert picture(opened[second], "files/invoices/") == before[1]
    assert sorted(path.name for path in (tmp_path / "raw").rglob("*") if path.is_file()) == ["a b", "d", "é"]
    assert next(opened[vault].list("holdfast/packs/"))
    said = done.stdout + done.stderr
    assert azurite.key not in said
    assert "PRIVATE KEY" not in said
    for store in opened.values():
        store.close()
