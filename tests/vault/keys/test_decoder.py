"""The stand-alone reader on vaults with epochs, scopes and revoked writers, with its four packages and without Holdfast."""

import subprocess
import sys

import pytest

from holdfast.storage.local import LocalStorage
from holdfast.vault import Vault
from tests.vault.keys.killed import PII, keyring
from tests.vault.kit import CHEAP, CLOCK, SECRET, capture

PLAIN, PEOPLE = {"a": b"a" * 70_000}, {"b": b"b" * 70_000}


@pytest.fixture(params=["after-lock", "at-once"])
def place(tmp_path, request):
    folder = tmp_path / "vault"
    vault, recovery = Vault.create([LocalStorage(str(folder), create=True)], SECRET, clock=CLOCK, cache=tmp_path, cost=CHEAP)

    def opened(secret=SECRET, key=PII):
        storages = [LocalStorage(str(folder))]
        scopes = {"pii": key} if key else {}
        return Vault.open(storages, secret, clock=CLOCK, cache=tmp_path, scopes=scopes, systems={"people": "pii"} if scopes else {})

    keys = keyring(vault)
    writer = keys.new_key("file", role="writer", label="db1", now=CLOCK.now()).text
    keys.scopes.add("pii", PII, now=CLOCK.now(), erase=request.param)
    written = capture(opened(writer, None), PLAIN, system="s")
    leaver = opened(writer, None)
    keyring(opened()).rotate()
    keyring(opened()).rotate("pii")
    people = capture(opened(), PEOPLE, system="people")
    with opened().logs("people").writer("main") as log:
        log.append(0, b"people's log" * 10, {})
    plain = capture(opened(), PLAIN, system="s")
    keyring(opened()).writers.revoke("db1")
    late = capture(leaver, PLAIN, system="s")
    return folder, recovery, {"written": written.id, "people": people.id, "plain": plain.id, "late": late.id}


def decode(folder, *words, key=SECRET, scopes=""):
    return subprocess.run(
        [sys.executable, "-I", folder / "decoder.py", folder, *words],
        env={"HOLDFAST_KEY": key, "HOLDFAST_SCOPE_KEYS": scopes, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_it_reads_every_epoch_and_the_scopes_whose_keys_it_has(place, tmp_path):
    folder, recovery, ids = place
    for number, key in enumerate((SECRET, recovery)):
        listed = decode(folder, "--list", key=key, scopes=PII)
        assert listed.returncode == 0, listed.stderr
        assert [line.split()[0] for line in listed.stdout.splitlines()] == sorted([ids["written"], ids["people"], ids["plain"]])
        for name, path, data in (("written", "a", PLAIN["a"]), ("people", "b", PEOPLE["b"]), ("plain", "a", PLAIN["a"])):
            target = tmp_path / f"{name}{number}"
            done = decode(folder, "--point", ids[name], "--get", path, "--to", target, key=key, scopes=PII)
            assert done.returncode == 0, done.stderr
            assert target.read_bytes() == data
    done = decode(folder, "--log", "main", "--to", tmp_path / "log", scopes=PII)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "log").read_bytes() == b"people's log" * 10


def test_without_a_scopes_key_the_rest_is_read(place):
    folder, _, ids = place
    listed = decode(folder, "--list")
    assert listed.returncode == 0, listed.stderr
    assert [line.split()[0] for line in listed.stdout.splitlines()] == sorted([ids["written"], ids["plain"]])
    assert f"{ids['people']} belongs to a scope" in listed.stderr
    assert "opens no scope" in decode(folder, "--list", scopes="wrong").stderr


def test_what_a_revoked_writer_signed_afterwards_is_not_listed(place):
    folder, _, ids = place
    listed = decode(folder, "--list")
    assert ids["late"] not in listed.stdout
    assert "had been revoked" in listed.stderr
