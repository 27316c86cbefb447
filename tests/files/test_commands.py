"""The commands on a system of kind files."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import answer, environment, holdfast
from tests.files.kit import differences, picture
from tests.servers import need, service_account
from tests.servers.account import server_folder
from tests.servers.python import holdfast_for_account

PLAN = """
platform: acme
vault:
  key: {{env: HOLDFAST_KEY}}
  locations:
    - {{name: onsite, url: "file://{folder}/vault", failure_domain: here}}
systems:
  app: {{kind: files, paths: ["{folder}/srv"], backup: daily, rpo: 1d, keep: {{last: 3}}}}
"""


@pytest.fixture
def home(tmp_path):
    (tmp_path / "srv" / "sub").mkdir(parents=True)
    (tmp_path / "srv" / "sub" / "one").write_bytes(b"one")
    (tmp_path / "srv" / "odd\x1b[2J\nname").write_bytes(b"two")
    os.mkfifo(tmp_path / "srv" / "sub" / "pipe")
    (tmp_path / "holdfast.yaml").write_text(PLAN.format(folder=tmp_path))
    assert run(tmp_path, "init", "--yes").returncode == 0
    return tmp_path


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return holdfast(folder, *words, HOLDFAST_KEY="k", HOLDFAST_SANDBOX=str(folder / "boxes"))


def test_from_backup_to_export(home):
    done = run(home, "backup", "app", "--json")
    assert done.returncode == 0, done.stderr
    [point] = answer(done)["points"]
    assert (point["kind"], point["method"], point["facts"]["incomplete"]) == ("files", "full", 0)
    listed = answer(run(home, "ls", "app", f"{home}/srv/sub", "--json"))
    assert [(one["path"], one["kind"]) for one in listed["entries"]] == [
        (f"files{home}/srv/sub", "dir"),
        (f"files{home}/srv/sub/one", "file"),
        (f"files{home}/srv/sub/pipe", "fifo"),
    ]
    shown = run(home, "ls", "app").stdout
    assert "\x1b" not in shown
    assert "odd\\x1b[2J\\nname" in shown
    plan = answer(run(home, "restore", "app", "--into", str(home / "out"), "--dry-run", "--json"))
    assert (plan["mode"], plan["refuses"]) == ("new", [])
    assert not (home / "out").exists()
    done = run(home, "restore", "app", "--into", str(home / "out"), "--json")
    assert answer(done)["result"]["files"] == 2
    assert not differences(picture(home / "srv"), picture(home / "out" / str(home)[1:] / "srv"))
    repaired = home / "out" / str(home)[1:] / "srv" / "sub"
    (repaired / "one").write_bytes(b"longer than it was")
    repair = ("restore", "app", "--into", str(home / "out"), "--delta")
    result = answer(run(home, *repair, "--json"))["result"]
    assert (result["files"], result["changed"], result["written"], result["kept"]) == (2, 1, 3, 3)
    (repaired / "one").unlink()
    assert "Repaired: 1 file, 3 B written; 3 B of 2 files were right." in run(home, *repair).stdout
    assert "Repaired: 0 files, 0 B written; 6 B of 2 files were right." in run(home, *repair).stdout
    again = run(home, "restore", "app", "--into", str(home / "out"), "--json")
    assert (again.returncode, "files-target-taken" in again.stderr + again.stdout) == (4, True)
    got = run(home, "get", "app", f"{home}/srv/sub", "--to", str(home / "got"))
    assert (home / "got" / "one").read_bytes() == b"one"
    assert "1 entry is neither" in got.stderr
    done = run(home, "export", point["id"], "--to", str(home / "exported"))
    assert done.returncode == 0, done.stderr
    assert not differences(picture(home / "srv"), picture(home / "exported" / str(home)[1:] / "srv"))
    assert point["id"] in (home / "exported" / "README").read_text()
    opened = run(home, "open", "app", "--for", "0.1", "--json")
    assert json.loads(opened.stdout)["connection"].startswith(str(home / "boxes"))
    assert run(home, "status").returncode == 0


def test_a_restore_of_folders_does_not_wait_for_git_and_registries(home):
    """Nor a backup: what their parts import costs as much as reading some thousand files."""
    from holdfast.systems.files.git.stored import ROOT as GIT
    from holdfast.systems.files.images.layout import ROOT as IMAGES

    assert (GIT, IMAGES) == ("git", "images")  # as the late parts are called
    for words in (("backup", "app"), ("restore", "app", "--into", str(home / "out"))):
        script = (
            "import sys\nfrom holdfast.interfaces.cli.main import main\n"
            f"assert main({list(words)!r}) == 0\n"
            "print([name for name in sys.modules if name.startswith(('holdfast.systems.files.git', 'holdfast.systems.files.images'))])"
        )
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=home,
            env=environment(home, HOLDFAST_KEY="k"),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "[]"


def test_a_restore_out_of_a_damaged_vault_ends_with_its_own_status(home):
    """One of two packs of content is lost: what lies in the other comes back, and the exit status, the text and the JSON say what lacks."""
    run(home, "backup", "app")
    before = set((home / "vault" / "packs").rglob("*"))
    (home / "srv" / "late").write_bytes(os.urandom(9000))
    run(home, "backup", "app")
    late = max(
        (path for path in set((home / "vault" / "packs").rglob("*")) - before if path.is_file()), key=lambda path: path.stat().st_size
    )
    late.unlink()
    done = run(home, "restore", "app", "--into", str(home / "out"))
    assert done.returncode == 5, done.stderr
    assert "error[restored-partly]: 1 entry could not be restored" in done.stderr
    assert f"{home}/srv/late" in done.stderr
    [listed] = home.glob("out.lacking-*.jsonl")
    assert f"All of them: {listed}" in done.stderr
    assert json.loads(listed.read_text())["path"] == f"{home}/srv/late"
    there = home / "out" / str(home)[1:] / "srv"
    assert not (there / "late").exists()
    assert (there / "sub" / "one").read_bytes() == b"one"
    done = run(home, "restore", "app", "--into", str(home / "again"), "--json")
    assert done.returncode == 5
    error = answer(done)["error"]
    assert (error["code"], error["details"]["lacking"]) == ("restored-partly", 1)
    assert [one["path"] for one in error["details"]["lacks"]] == [f"{home}/srv/late"]
    verified = run(home, "verify", "app")
    assert verified.returncode != 0
    assert f"{home}/srv/late" in verified.stdout + verified.stderr


@pytest.mark.parametrize(
    "words", [("follow", "app"), ("when", "app", "--dropped", "x"), ("restore", "app", "--into", "x", "--database", "y")]
)
def test_what_files_do_not_have_is_said(home, words):
    run(home, "backup", "app")
    done = run(home, *words)
    assert done.returncode == 2, done.stderr
    assert "kind files" in done.stderr


def test_what_cannot_be_read_shows_in_the_exit_status():
    account = service_account()
    with need():
        program, environment = holdfast_for_account()
    home = server_folder("files")
    try:
        (home / "srv").mkdir()
        (home / "srv" / "open").write_bytes(b"x")
        (home / "srv" / "closed").write_bytes(b"y")
        (home / "holdfast.yaml").write_text(PLAN.format(folder=home))
        account.own(home)
        for path in home.rglob("*"):
            account.own(path)
        (home / "srv" / "closed").chmod(0)

        def as_account(*words: str) -> subprocess.CompletedProcess[str]:
            env = {**environment, "HOME": str(home), "HOLDFAST_KEY": "k", "PATH": os.environ["PATH"]}
            return subprocess.run(
                [*program, *words], cwd=home, env=env, capture_output=True, text=True, check=False, timeout=100, **account.popen
            )

        assert as_account("init", "--yes").returncode == 0
        done = as_account("backup", "app")
        assert done.returncode == 1, done.stderr
        assert f"{home}/srv/closed is not in the point: Permission denied" in done.stderr
        (home / "srv" / "closed").chmod(0o600)
        assert as_account("backup", "app").returncode == 0
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(home)
