"""docs/guide-code-and-images.md works as printed, with repositories and real registries."""

import base64
import os
import subprocess
import sys
from pathlib import Path

from tests.files.git.kit import git, new, refs
from tests.files.images.kit import Pusher, layer
from tests.guides.script import commands, script
from tests.servers.need import need
from tests.servers.registry import PASSWORD, USER, RegistryServer

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guide-code-and-images.md"


def test_the_guide_works_as_printed(tmp_path):
    with need():
        first, second = RegistryServer(basic=True), RegistryServer()
    srv = tmp_path / "srv"
    work = new(tmp_path / "work", commits=3)
    git(work, "tag", "-a", "v1", "-m", "x")
    (srv / "git").mkdir(parents=True)
    git(tmp_path, "clone", "-q", "--bare", str(work), str(srv / "git" / "pipelines.git"))
    new(tmp_path / "shop")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "holdfast").write_text(f'#!/bin/sh\nexec {sys.executable} -m holdfast.interfaces.cli.main "$@"\n')
    (programs / "holdfast").chmod(0o755)
    with first, second:
        value = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        pusher = Pusher(first.host, {"Authorization": f"Basic {value}"})
        pusher.image("acme/api", "1.0", [layer(1)])
        pusher.multi("acme/base", "2", {"linux/amd64": [layer(2)]})
        places = {
            "https://new-registry.example": f"http://{second.host}",
            "registry.example": first.host,
            "password: {env: REGISTRY_TOKEN}": "password: {env: REGISTRY_TOKEN}, plain_http: true",
            f"{{host: {first.host},": f'{{host: "{first.host}",',
            "file:///var/lib/holdfast": f"file://{tmp_path}/vault",
            "/srv/": f"{srv}/",
        }
        text = script(PAGE, places)
        environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "HOLDFAST_STATE": str(tmp_path / "state"),
            "HOLDFAST_CACHE": str(tmp_path / "cache"),
            "HOLDFAST_KEY": "correct horse battery staple",
            "SHOP_URL": str(tmp_path / "shop"),
            "REGISTRY_USER": USER,
            "REGISTRY_TOKEN": PASSWORD,
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }
        done = subprocess.run(
            ["bash", "-c", text],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "Traceback" not in said
    assert f"--- block {len(commands(PAGE))}" in said
    assert refs(srv / "by-hand.git") == refs(srv / "git" / "pipelines.git") == refs(srv / "restored" / "git" / "pipelines.git")
    assert f"{second.host}/rescued/acme/api:1.0" in said
    assert PASSWORD not in said
