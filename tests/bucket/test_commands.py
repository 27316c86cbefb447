"""The commands on a system of kind bucket."""

import subprocess
import time
from pathlib import Path

import pytest

from tests.bucket.kit import new_bucket, noise, options_of, picture
from tests.bucket.test_round_trip import fill
from tests.cli.running import answer, holdfast

PLAN = """
platform: acme
vault:
  key: {{env: HOLDFAST_KEY}}
  locations:
    - {{name: onsite, url: "file://{folder}/vault", failure_domain: here}}
systems:
  raw:
    kind: bucket
    url: "{url}/landing"
    endpoint: "{endpoint}"
    credentials: {{access_key_id: {{env: RAW_KEY}}, secret_access_key: {{env: RAW_SECRET}}}}
    {more}
    backup: daily
    rpo: 1d
    keep: {{last: 3}}
"""


class Home:
    def __init__(self, folder: Path, minio, more: str = "", **bucket) -> None:
        from holdfast.connect.objects import open_objects

        self.folder, self.minio, self.url = folder, minio, new_bucket(minio, **bucket)
        self.store = open_objects(self.url, options_of(minio))
        (folder / "holdfast.yaml").write_text(PLAN.format(folder=folder, url=self.url, endpoint=minio.endpoint, more=more))

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return holdfast(self.folder, *words, HOLDFAST_KEY="k", RAW_KEY=self.minio.access_key, RAW_SECRET=self.minio.secret_key)


@pytest.fixture
def home(tmp_path, minio):
    one = Home(tmp_path, minio)
    fill(one.store, ["landing/a b", "landing/new\nline", "landing/2026/x", "elsewhere"])
    assert one("init", "--yes").returncode == 0
    yield one
    one.store.close()


def test_from_check_to_a_copy_that_is_proved(home, minio, tmp_path):
    checked = home("check", "raw", "--json")
    assert checked.returncode == 0, checked.stdout
    done = home("backup", "raw", "--json")
    assert done.returncode == 0, done.stderr
    [point] = answer(done)["points"]
    assert (point["kind"], point["method"], point["facts"]["objects"]) == ("bucket", "full", 3)
    assert [one["path"] for one in answer(home("ls", "raw", "--json"))["entries"]] == [
        "objects/landing/2026/x",
        "objects/landing/a b",
        "objects/landing/new\nline",
    ]
    target = new_bucket(minio) + "/copy"
    dry = home("restore", "raw", "--into", target, "--dry-run", "--json")
    assert dry.returncode == 0, dry.stderr
    assert (answer(dry)["mode"], answer(dry)["into"], answer(dry)["refuses"]) == ("new", target, [])
    restored = home("restore", "raw", "--into", target, "--json")
    assert restored.returncode == 0, restored.stderr
    proved = home("verify", "raw", "--against", target, "--json")
    assert proved.returncode == 0, proved.stdout
    [one] = answer(proved)["systems"]
    assert {(result["name"], result["state"]) for result in one["results"]} == {
        ("keys, sizes, ETags", "passed"),
        ("headers, metadata, tags, content", "passed"),
    }
    whole = home("verify", "raw", "--json")
    assert whole.returncode == 0, whole.stdout
    assert answer(whole)["systems"][0]["exact"]
    assert home("points", "raw").returncode == 0
    refused = home("export", point["id"][:14], "--to", str(tmp_path / "exported"))
    assert refused.returncode == 2
    assert f"holdfast restore raw --into /new/folder --to {point['id'][:14]}" in refused.stderr
    assert home("status").returncode == 0, home("status").stdout
    again = home("restore", "raw", "--into", target)
    assert again.returncode == 4
    assert "holds objects already" in again.stderr


def test_what_differs_is_named_and_put_right(home, minio):
    assert home("backup", "raw").returncode == 0
    before = picture(home.store)
    home.store.put("landing/a b", noise(10))
    home.store.put("landing/more", b"more")
    home.store.delete(["landing/2026/x"])
    against = home("verify", "raw", "--against", f"{home.url}/landing", "--quick", "--json")
    assert against.returncode == 1
    [one] = answer(against)["systems"]
    detail = one["results"][0]["detail"]
    for said in ("landing/2026/x is missing", "landing/a b has 10 bytes", "landing/more is too many"):
        assert said in detail
    refused = home("restore", "raw", "--into", f"{home.url}/landing", "--in-place", "--dry-run", "--json")
    assert refused.returncode == 4
    assert answer(refused)["refuses"][0]["code"] == "bucket-not-versioned"
    done = home("restore", "raw", "--into", f"{home.url}/landing", "--delta", "--remove-extra", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    result = answer(done)["result"]
    assert (result["files"], result["notes"]) == (2, ["1 objects that the point does not hold were removed."])
    assert picture(home.store) == before


def test_the_plans_rate_holds_for_a_restore_into_a_bucket(home, minio):
    for number in range(4):
        home.store.put(f"landing/large-{number}", noise(1 << 20))
    assert home("backup", "raw").returncode == 0
    plan = home.folder / "holdfast.yaml"
    plan.write_text(plan.read_text() + "limits: {rate: 1MiB/s}\n")
    began = time.monotonic()
    done = home("restore", "raw", "--into", new_bucket(minio), "--json")
    assert done.returncode == 0, done.stderr
    # The last of four is sent three seconds after the first, but for the burst.
    assert time.monotonic() - began > 2.5


def test_a_command_checks_a_copy_that_is_thrown_away(tmp_path, minio):
    sandbox = tmp_path / "boxes"
    checks = """checks:
    - {name: there, command: 'cat "$HOLDFAST_CONNECTION/a b"', expect: hello}
    - {name: where, command: 'cd "$HOLDFAST_CONNECTION" && pwd > ../../where && ls -R | wc -l | tr -d " "', expect: 2}
    - {name: gone, command: 'test -e "$HOLDFAST_CONNECTION/none"', expect: ""}"""
    home = Home(tmp_path, minio, more=checks)
    plan = home.folder / "holdfast.yaml"
    plan.write_text(plan.read_text() + f"sandbox: {{directory: {sandbox}, size: 1GiB, max: 1}}\n")
    home.store.put("landing/a b", b"hello")
    assert home("init", "--yes").returncode == 0
    assert home("backup", "raw").returncode == 0
    done = home("verify", "raw", "--json")
    assert done.returncode == 1
    [one] = answer(done)["systems"]
    states = {result["name"]: result["state"] for result in one["results"] if result["kind"] == "check"}
    assert states == {"there": "passed", "where": "passed", "gone": "failed"}
    assert [path.name for path in sandbox.iterdir()] == ["where"]
    assert str(sandbox) in (sandbox / "where").read_text()
    home.store.close()


def test_a_copy_that_no_folder_takes_fails_its_check_by_name(tmp_path, minio):
    home = Home(tmp_path, minio, more="checks: [{name: there, command: 'true', expect: ''}]")
    home.store.put("landing/folder/", b"content")
    assert home("init", "--yes").returncode == 0
    assert home("backup", "raw").returncode == 0
    done = home("verify", "raw", "--json")
    [one] = answer(done)["systems"]
    [check] = [result for result in one["results"] if result["kind"] == "check"]
    assert (done.returncode, check["state"]) == (1, "failed")
    assert "'folder/' holds something" in check["detail"]
    home.store.close()


def test_in_place_keeps_what_it_overwrites(tmp_path, minio):
    home = Home(tmp_path, minio, more="versions: all", versions=True)
    assert home("init", "--yes").returncode == 0
    fill(home.store, ["landing/a", "landing/b"])
    before = picture(home.store)
    assert home("backup", "raw").returncode == 0
    home.store.put("landing/a", b"overwritten")
    home.store.put("landing/c", b"new")
    done = home("restore", "raw", "--into", f"{home.url}/landing", "--in-place", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert picture(home.store) == before
    versions = [(one.key, one.marker, one.size) for one in home.store.versions()]
    assert ("landing/a", False, len(b"overwritten")) in versions
    assert ("landing/c", True, 0) in versions
    home.store.close()


def test_from_the_vault_alone(home, tmp_path):
    """A machine with the vault's address and a key: the objects come back into a folder."""
    assert home("backup", "raw").returncode == 0
    (home.folder / "holdfast.yaml").unlink()
    empty = tmp_path / "empty"
    empty.mkdir()

    def run(*words: str):
        return holdfast(empty, *words, HOLDFAST_KEY="k", RAW_KEY="none", RAW_SECRET="none")

    opened = run("vault", "open", f"file://{home.folder}/vault", "--write-plan", "holdfast.yaml")
    assert opened.returncode == 0, opened.stderr + opened.stdout
    done = run("restore", "raw", "--into", str(empty / "out"), "--json")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (empty / "out").rglob("*") if path.is_file()) == ["a b", "new\nline", "x"]
