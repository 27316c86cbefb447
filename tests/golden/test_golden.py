"""Vaults written long ago still open, check out and come back byte for byte."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.model import SystemClock
from holdfast.storage.local import LocalStorage
from holdfast.vault import Vault
from holdfast.vault.check import Check
from holdfast.vault.errors import WrongKey
from holdfast.vault.points import holds
from tests.golden import content

HERE = Path(__file__).parent
FORMATS = ["format-1", "format-1-epochs"]


def facts(name):
    return json.loads((HERE / f"{name}.json").read_text())


def opened(name, tmp_path, secret=content.PASSPHRASE):
    return Vault.open([LocalStorage(str(HERE / name))], secret, clock=SystemClock(), cache=tmp_path)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("by", ["passphrase", "recovery key"])
def test_every_point_comes_back(name, by, tmp_path):
    vault = opened(name, tmp_path, content.PASSPHRASE if by == "passphrase" else facts(name)["recovery_key"])
    assert [point.id for point in vault.points("orders-db")] == facts(name)["points"]
    for label, files in (("first", content.FIRST), ("second", content.SECOND)):
        reader = vault.point(label)
        stored = {one.entry.path: one for one in reader.entries()}
        assert set(stored) == {*files, "base", "link"}
        assert (stored["base"].entry.kind, stored["base"].entry.mode) == ("dir", 0o700)
        assert (stored["link"].entry.kind, stored["link"].entry.target) == ("symlink", "PG_VERSION")
        for path, data in files.items():
            entry = stored[path].entry
            assert (entry.size, entry.mode, entry.uid, entry.gid, entry.mtime_ns) == (len(data), 0o640, 70, 71, 1_700_000_000_123_456_789)
            if len(data) <= 64 << 20:
                assert reader.read(stored[path]) == data


@pytest.mark.parametrize("name", FORMATS)
def test_it_is_found_sound(name, tmp_path):
    report = Check(opened(name, tmp_path), share=1).run()
    assert report.ok, report.to_json()
    assert report.deep


@pytest.mark.parametrize("name", FORMATS)
def test_its_log_and_hold_are_there(name, tmp_path):
    vault = opened(name, tmp_path)
    logs = vault.logs("orders-db")
    assert logs.branches() == ["main"]
    assert b"".join(bytes(data) for _, data in logs.reader("main").stream(content.LOG_START)) == b"".join(content.LOG)
    assert [hold.reason for hold in holds.current(vault.locations, vault.notary)] == ["kept for ever"]


@pytest.mark.parametrize("name", FORMATS)
def test_the_reader_inside_it_reads_it(name, tmp_path):
    """The decoder that lies in the vault, not today's."""
    for label, files in zip(facts(name)["points"], (content.FIRST, content.SECOND), strict=True):
        for number, path in enumerate(("base/1/1259", "odd/name with space, é and \udcff", "large/zeros")):
            target = tmp_path / f"{label}-{number}"
            done = subprocess.run(
                [sys.executable, "-I", HERE / name / "decoder.py", HERE / name, "--point", label, "--get", path, "--to", target],
                env={**os.environ, "HOLDFAST_KEY": content.PASSPHRASE, "PYTHONUTF8": "1"},
                capture_output=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert target.read_bytes() == files[path]


def test_scopes_epochs_and_a_revoked_writer_of_a_golden_vault(tmp_path):
    name = "format-1-epochs"
    assert max(opened(name, tmp_path).notary.bundle.epochs["vault"]) == 2
    with pytest.raises(WrongKey):
        opened(name, tmp_path, "a key that was removed")
    vault = Vault.open(
        [LocalStorage(str(HERE / name))],
        content.PASSPHRASE,
        clock=SystemClock(),
        cache=tmp_path,
        scopes={"pii": content.SCOPE_KEY, "late": content.SCOPE_KEY},
    )
    for system in ("people", "letters"):
        (point,) = vault.points(system)
        assert point.id == facts(name)[system]
        reader = vault.reader(point)
        assert {one.entry.path: reader.read(one) for one in reader.entries() if one.entry.kind == "file"} == content.PEOPLE
    (point,) = vault.points("other-db")
    assert point.id == facts(name)["revoked"]
    assert [one.label for one in vault.keys.writers.list() if one.revoked] == ["db1"]
    assert Check(vault, share=1).run().ok


def test_todays_reader_reads_the_scopes_of_a_golden_vault(tmp_path):
    name = "format-1-epochs"
    for system in ("people", "letters"):
        target = tmp_path / system
        done = subprocess.run(
            [
                sys.executable,
                "-I",
                HERE.parents[1] / "src/holdfast/vault/format/decoder.py",
                HERE / name,
                "--point",
                facts(name)[system],
                "--get",
                "people",
                "--to",
                target,
            ],
            env={**os.environ, "HOLDFAST_KEY": facts(name)["recovery_key"], "HOLDFAST_SCOPE_KEYS": content.SCOPE_KEY, "PYTHONUTF8": "1"},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert target.read_bytes() == content.PEOPLE["people"]


def test_plan_runbooks_and_suites_of_a_golden_vault_are_found(tmp_path):
    from holdfast.vault.records.copies import newest_plan, newest_runbooks, newest_suites

    vault = opened("format-1-records", tmp_path)
    storage = vault.locations.first
    assert newest_plan(storage, vault.notary) == (content.PLAN, [])
    assert newest_runbooks(storage, vault.notary) == (content.RUNBOOKS, [])
    assert newest_suites(storage, vault.notary) == (content.SUITES, [])
