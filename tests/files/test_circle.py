"""A vault among what a system protects is refused before anything is read, whatever way leads to it."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.systems.files.circle import circle
from holdfast.systems.files.errors import VaultInside
from holdfast.systems.files.settings import FilesSettings
from tests.cli.running import answer, holdfast
from tests.files.kit import Scene
from tests.files.test_mounts import mounting

TAG = b"Signature: 8a477f597d28d172789f06886806bc55"


def found(root: Path, vault: Path, **settings):
    return circle("app", FilesSettings((str(root),), vaults=(("onsite", str(vault)),), **settings))


@pytest.fixture
def top(tmp_path):
    (tmp_path / "srv" / "deep" / "vault" / "packs").mkdir(parents=True)
    (tmp_path / "beside").mkdir()
    return tmp_path


def test_a_vault_below_a_path_is_found_and_one_beside_is_not(top):
    error = found(top / "srv", top / "srv" / "deep" / "vault")
    assert isinstance(error, VaultInside)
    assert f"'onsite' ({top}/srv/deep/vault) lies in {top}/srv, which 'app' protects" in error.message
    assert f"exclude: [{top}/srv/deep/vault]" in error.hint
    assert found(top / "srv", top / "srv") is not None
    assert found(Path("/"), top / "srv" / "deep" / "vault") is not None
    assert found(top / "srv", top / "beside") is None
    assert found(top / "srv", top / "srv2") is None
    assert found(top / "beside", top / "srv" / "deep" / "vault") is None


def test_a_path_inside_the_vault_is_found(top):
    error = found(top / "srv" / "deep" / "vault" / "packs", top / "srv" / "deep" / "vault")
    assert error is not None
    assert "lies in the vault's location 'onsite'" in error.message


def test_links_on_the_way_are_followed(top):
    (top / "link").symlink_to(top / "srv" / "deep")
    assert found(top / "srv", top / "link" / "vault") is not None
    assert found(top / "link" / "vault", top / "srv" / "deep" / "vault") is not None
    # A link below a path is stored as a link: what it leads to is not read.
    (top / "beside" / "link").symlink_to(top / "srv" / "deep" / "vault")
    assert found(top / "beside", top / "srv" / "deep" / "vault") is None


def test_what_the_plan_leaves_out_is_no_circle(top):
    vault = top / "srv" / "deep" / "vault"
    for pattern in ("/deep/vault", "deep", "vault/", str(vault)):
        assert found(top / "srv", vault, exclude=(pattern,)) is None, pattern
    for pattern in ("/vault", "packs", str(top / "beside")):
        assert found(top / "srv", vault, exclude=(pattern,)) is not None, pattern
    assert found(top / "srv", vault, exclude=("vault", "!vault")) is not None
    (top / "srv" / "deep" / "CACHEDIR.TAG").write_bytes(TAG)
    assert found(top / "srv", vault, exclude_caches=True) is None
    assert found(top / "srv", vault) is not None


BOUND = """
import sys
from holdfast.systems.files.circle import circle
from holdfast.systems.files.settings import FilesSettings
error = circle("app", FilesSettings((sys.argv[1],), tuple(sys.argv[3:]), vaults=(("onsite", sys.argv[2]),)))
print(error.message if error else "")
"""


def bound(what: Path, where: Path, root: Path, vault: Path, *exclude: str) -> str:
    words = [sys.executable, "-c", BOUND, str(root), str(vault), *exclude]
    script = f'mount --bind "{what}" "{where}" && exec "$@"'
    done = subprocess.run(["unshare", "-m", "sh", "-e", "-c", script, "sh", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@mounting
def test_a_bind_mount_of_the_vault_or_of_a_folder_above_it_is_found(top):
    vault = top / "srv" / "deep" / "vault"
    seen = top / "beside" / "seen"
    seen.mkdir()
    assert f"lies in {top}/beside, which 'app' protects, as {seen}:" in bound(vault, seen, top / "beside", vault)
    assert f"as {seen}/vault:" in bound(top / "srv" / "deep", seen, top / "beside", vault)
    assert bound(vault / "packs", seen, top / "beside", vault) == ""
    assert bound(vault, seen, top / "beside", vault, "/seen") == ""


def test_a_backup_is_refused_before_anything_is_stored(tmp_path):
    scene = Scene(tmp_path)
    (scene.source / "file").write_bytes(b"x")
    scene.settings = dataclasses.replace(scene.settings, paths=(str(tmp_path),), vaults=(("onsite", str(tmp_path / "vault")),))
    with pytest.raises(VaultInside):
        scene.backup()
    assert not scene.vault.points("app")
    assert [(one.name, one.state) for one in scene.system().probe()][-1] == ("vault", "fail")
    scene.settings = dataclasses.replace(scene.settings, exclude=(str(tmp_path / "vault"), "/cache"))
    assert scene.backup().totals.files
    scene.close()


PLAN = """
platform: acme
vault:
  key: {{env: HOLDFAST_KEY}}
  locations:
    - {{name: onsite, url: "file://{folder}/srv/a%20vault", failure_domain: here}}
systems:
  app: {{kind: files, paths: ["{folder}/srv"], backup: daily, rpo: 1d, keep: {{last: 3}}{more}}}
"""


def test_lint_check_and_backup_refuse_it_and_a_restore_does_not(tmp_path):
    (tmp_path / "srv").mkdir()
    (tmp_path / "srv" / "one").write_bytes(b"one")

    def run(*words: str, more: str = ""):
        (tmp_path / "holdfast.yaml").write_text(PLAN.format(folder=tmp_path, more=more))
        return holdfast(tmp_path, *words, HOLDFAST_KEY="k")

    assert run("init", "--yes").returncode == 0
    excluded = f', exclude: ["{tmp_path}/srv/a vault"]'
    assert run("plan", "lint", more=excluded).returncode == 0
    assert run("backup", "app", more=excluded).returncode == 0
    lint = run("plan", "lint", "--json")
    [problem] = answer(lint)["problems"]
    assert (lint.returncode, problem["severity"], problem["line"], problem["path"]) == (2, "error", 8, "systems.app.paths")
    assert "each backup would store the ones before it" in problem["message"]
    checked = run("check", "app", "--json")
    assert checked.returncode == 1
    assert ("vault", "fail") in [(one["name"], one["state"]) for one in answer(checked)["systems"][0]["probes"]]
    refused = run("backup", "app", "--json")
    assert refused.returncode == 4
    assert "files-vault-inside" in refused.stdout
    # Whoever needs the files back is not kept from them.
    assert run("restore", "app", "--into", str(tmp_path / "out")).returncode == 0
