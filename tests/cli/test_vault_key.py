"""``holdfast vault key`` as a person types it: what it shows, writes, refuses, and what a dry run leaves alone."""

import json
import stat

import pytest

from holdfast.interfaces.cli.main import main

PLAN = """platform: p
vault:
  key: {{env: KEY}}
  locations: [{{name: a, url: "file://{0}/a"}}, {{name: b, url: "file://{0}/b"}}]
  scopes: {{pii: {{key: {{env: PII}}}}}}
systems: {{}}
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    (tmp_path / "holdfast.yaml").write_text(PLAN.format(tmp_path))
    monkeypatch.chdir(tmp_path)
    # Keys of 256 bits: a passphrase would cost a fifth of a second each time.
    from holdfast.vault.keys.secret_text import fresh

    for name in ("KEY", "PII"):
        monkeypatch.setenv(name, fresh("file"))
    monkeypatch.setenv("HOLDFAST_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path / "cache"))

    def call(*words, status=0):
        assert main(["--json", *words]) == status
        return json.loads(capsys.readouterr().out)

    call("init", "--yes")
    return call


def objects(folder):
    return {path.relative_to(folder): path.read_bytes() for part in ("a", "b") for path in (folder / part).rglob("*") if path.is_file()}


def test_slots_are_listed_with_what_is_known_of_them(run):
    found = run("vault", "key")
    # Those of one moment come in no order.
    assert {(slot["kind"], slot["role"], slot["scope"], slot["proved"] is not None) for slot in found["slots"]} == {
        ("file", "owner", None, True),
        ("recovery", "owner", None, False),
        ("file", "owner", "pii", True),
    }
    assert len(found["slots"]) == 3
    assert found["scopes"] == [{"name": "pii", "erase": "after-lock", "slots": 1}]
    assert [writer["role"] for writer in found["writers"]] == ["owner"]


def test_a_new_key_goes_into_a_new_private_file_and_never_over_an_old_one(run, tmp_path):
    made = run("vault", "key", "add", "--kind", "file", "--role", "writer", "--label", "db1", "--to", "db1.key")
    assert "key" not in made
    path = tmp_path / "db1.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert text.startswith("hff1-")
    before = objects(tmp_path)
    refused = run("vault", "key", "add", "--kind", "file", "--label", "other", "--to", "db1.key", status=4)
    assert refused["error"]["code"] == "key-file-in-the-way"
    assert path.read_text() == text
    assert {name for name in objects(tmp_path) if "keys" in str(name)} == {name for name in before if "keys" in str(name)}
    assert text.strip() not in "".join(path.read_text(errors="replace") for path in (tmp_path / "state").rglob("*") if path.is_file())


def test_dry_runs_change_nothing_and_refuse_what_would_be_refused(run, tmp_path):
    recovery = next(slot["id"] for slot in run("vault", "key")["slots"] if slot["kind"] == "recovery")
    first = next(slot["id"] for slot in run("vault", "key")["slots"] if slot["kind"] == "file" and slot["scope"] is None)
    before = objects(tmp_path)
    assert run("vault", "key", "remove", recovery, "--dry-run")["slot"] == recovery
    assert run("vault", "key", "remove", first, "--dry-run", status=4)["error"]["code"] == "vault-slot-unproved"
    for words in (["rotate"], ["add", "--kind", "recovery"], ["erase-scope", "pii"], ["revoke", "db1"]):
        run("vault", "key", *words, "--dry-run")
    assert objects(tmp_path) == before


def test_dangerous_changes_ask_for_the_name(run, tmp_path):
    before = objects(tmp_path)
    recovery = next(slot["id"] for slot in run("vault", "key")["slots"] if slot["kind"] == "recovery")
    for words in (["remove", recovery], ["erase-scope", "pii"]):
        assert run("vault", "key", *words, status=4)["error"]["code"] == "not-confirmed"
    assert objects(tmp_path) == before
    assert run("vault", "key", "remove", status=2)["error"]["code"] == "key-command-incomplete"


def test_erasing_a_scope_gives_the_certificate(run, tmp_path):
    done = run("vault", "key", "erase-scope", "pii", "--yes", "--to", "erased.json")
    certificate = json.loads((tmp_path / "erased.json").read_text())
    assert certificate == done["certificate"]
    assert (certificate["complete"], certificate["scope"]) == (True, "pii")
    assert done["scopes"] == []
    assert run("vault", "key", "add-scope", "pii", status=4)["error"]["code"] == "vault-scope-erased"
    assert run("vault", "key", "erase-scope", "nobody", "--yes", status=2)["error"]["code"] == "vault-scope-unknown"
    (line,) = [entry for entry in run("log")["entries"] if entry["kind"] == "vault.key.erase-scope"]
    assert line["payload"]["certificate"]["signature"] == certificate["signature"]


def test_rotating_proving_and_revoking(run):
    made = run("vault", "key", "add", "--kind", "recovery", "--label", "safe", "--to", "safe.key")
    assert run("vault", "key", "prove", "--key-file", "safe.key")["proved"] == made["added"]
    assert run("vault", "key", "rotate")["epoch"] == 2
    assert run("vault", "key", "rotate", "--scope", "pii")["epoch"] == 2
    run("vault", "key", "add", "--kind", "file", "--role", "writer", "--label", "db1", "--to", "db1.key")
    run("vault", "key", "revoke", "db1", "--yes")
    found = run("vault", "key", "label", "safe", "--label", "the safe")
    assert {slot["label"] for slot in found["slots"]} >= {"the safe"}
    assert [writer["revoked"] is not None for writer in found["writers"] if writer["label"] == "db1"] == [True]
