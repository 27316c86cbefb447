"""Git repositories and container images by the command line, as a plan names them."""

import json

import pytest

from tests.cli.running import answer, holdfast, with_plan
from tests.files.git.kit import commit, git, new, refs
from tests.files.images.kit import Pusher, layer
from tests.servers.need import need
from tests.servers.registry import RegistryServer

PLAN = """\
platform: test
vault:
  key: {{env: TEST_KEY}}
  locations: [{{name: one, url: "file://{folder}/vault"}}]
tiers: {{only: {{rpo: 24h, rto: 1h, backup: daily, keep: {{daily: 7}}, locations: [one]}}}}
systems:
  app:
    kind: files
    tier: only
    paths: [{folder}/etc]
    git:
      - {folder}/shop
      - url: {{env: OTHER_URL}}
        submodules: true
    images:
      - {host}/acme/api:1
      - {{name: "{host}/acme/multi:2", platforms: [linux/arm64]}}
    registries:
      - {{host: "{host}", plain_http: true}}
"""


@pytest.fixture(scope="module")
def registry():
    with need():
        server = RegistryServer()
    with server:
        pusher = Pusher(server.host)
        pusher.image("acme/api", "1", [layer(1)])
        pusher.multi("acme/multi", "2", {"linux/amd64": [layer(2)], "linux/arm64": [layer(3)]})
        yield server


@pytest.fixture
def home(tmp_path, registry):
    new(tmp_path / "shop", commits=2)
    new(tmp_path / "other")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "conf").write_text("x = 1\n")
    with_plan(tmp_path, PLAN.format(folder=tmp_path, host=registry.host))
    return tmp_path


def run(home, *words, status=0):
    done = holdfast(home, *words, TEST_KEY="open sesame", OTHER_URL=str(home / "other"))
    assert done.returncode == status, (words, done.returncode, done.stdout[-2000:], done.stderr[-3000:])
    return done


def test_from_the_plan_to_a_vault_and_back(home):
    run(home, "init", "--yes")
    probes = answer(run(home, "check", "app", "--json"))
    assert "git shop" in json.dumps(probes)
    assert "acme/api:1" in json.dumps(probes)
    run(home, "backup", "app")
    commit(home / "shop", "later", "x")
    run(home, "backup", "app")
    [listed] = answer(run(home, "points", "app", "--json"))["systems"]
    assert [len(point["facts"]["git"]["shop"]["bundles"]) for point in listed["points"]] == [1, 2]
    assert len(listed["points"][0]["facts"]["images"]) == 2
    run(home, "restore", "app", "--into", str(home / "back"))
    assert refs(home / "back" / "git" / "shop.git") == refs(home / "shop")
    assert refs(home / "back" / "git" / "other.git") == refs(home / "other")
    index = json.loads((home / "back" / "images" / "index.json").read_text())
    assert len(index["manifests"]) == 2
    # A restore that was cut short goes on: what is there is kept.
    for left in (home / "back" / "git" / "shop.git", home / "back" / "images" / "index.json"):
        left.rename(home / left.name)
    run(home, "restore", "app", "--into", str(home / "back"), "--delta")
    assert refs(home / "back" / "git" / "shop.git") == refs(home / "shop")
    assert json.loads((home / "back" / "images" / "index.json").read_text()) == index
    # One repository alone.
    run(home, "restore", "app", "--path", "git/shop", "--into", str(home / "alone"))
    assert [path.name for path in (home / "alone" / "git").iterdir()] == ["shop.git"]
    assert git(home / "alone" / "git" / "shop.git", "fsck", "--full", "--strict") == ""


def test_verify_and_a_new_registry(home):
    run(home, "init", "--yes")
    run(home, "backup", "app")
    verified = answer(run(home, "verify", "app", "--json"))
    said = json.dumps(verified)
    for name in ("git shop", "git other", "acme/api:1", "acme/multi:2"):
        assert name in said
    assert '"state": "failed"' not in said
    with need():
        other = RegistryServer()
    with other:
        done = answer(run(home, "restore", "app", "--into", f"http://{other.host}/rescued", "--path", f"{host(home)}/acme/api:1", "--json"))
        assert done["images"] == [f"{other.host}/rescued/acme/api:1"]
        assert done["sent"] == 2
        again = run(home, "restore", "app", "--into", f"http://{other.host}/rescued", "--path", f"{host(home)}/acme/api:1")
        assert "0 blobs were sent, 2 were there already" in again.stdout
    gone = run(home, "restore", "app", "--into", f"http://{other.host}/rescued", status=3)
    assert "registry-unreachable" in gone.stderr


def host(home):
    return (home / "holdfast.yaml").read_text().split('host: "')[1].split('"')[0]
