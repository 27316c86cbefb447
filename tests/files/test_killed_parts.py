"""kill -9 in captures and restores of repositories and images; another process goes on."""

import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.storage.local import LocalStorage
from tests.files.git.kit import git, new
from tests.files.images.kit import Pusher, layer
from tests.servers.need import need
from tests.servers.registry import RegistryServer
from tests.vault.kit import create

ROOT = Path(__file__).parents[2]


def run(folder: Path, what: str, step: int, least: int, *more: str) -> None:
    create(folder, LocalStorage(str(folder / "vault"), create=True)).close()
    command = [sys.executable, "-m", "tests.files.killed", what, str(folder), str(step), *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    kills = int(done.stdout.split()[-1])
    assert kills >= least, done.stdout
    assert done.stdout.count("killed ") == kills


@pytest.mark.parametrize(("what", "step", "least"), [("capture", 11, 3), ("restore", 9, 3)])
def test_repositories(tmp_path, what, step, least):
    source = new(tmp_path / "source", commits=2)
    git(source, "tag", "-a", "v1", "-m", "x")
    run(tmp_path, what, step, least)


@pytest.fixture
def image(tmp_path):
    with need():
        server = RegistryServer()
    with server:
        Pusher(server.host).multi("acme/api", "1", {"linux/amd64": [layer(1), layer(2)], "linux/arm64": [layer(3)]})
        yield f"{server.host}/acme/api:1", server.host


@pytest.mark.parametrize(("what", "step", "least"), [("capture", 5, 3), ("restore", 5, 2)])
def test_images(tmp_path, image, what, step, least):
    run(tmp_path, what, step, least, *image)


@pytest.mark.soak
@pytest.mark.parametrize("what", ["capture", "restore"])
def test_repositories_at_every_call(tmp_path, what):
    new(tmp_path / "source", commits=2)
    run(tmp_path, what, 1, 20)


@pytest.mark.soak
@pytest.mark.parametrize("what", ["capture", "restore"])
def test_images_at_every_call(tmp_path, image, what):
    run(tmp_path, what, 1, 12, *image)
