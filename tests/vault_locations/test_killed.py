"""kill -9 before and behind every storage call of a copy and of a heal; then another process finishes the work."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.storage.local import LocalStorage
from holdfast.vault import Vault
from holdfast.vault.check import Check
from holdfast.vault.copy import copy
from tests.vault_care.conftest import SECRET, Depot, files

ROOT = Path(__file__).resolve().parents[2]
CONTENT = files(1, 1, 4000)


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    """Two points and a log in two folders."""
    place = tmp_path_factory.mktemp("origin")
    depot = Depot(place / "cache", lambda clock: [LocalStorage(str(place / name), create=True) for name in ("a", "b")])
    base = depot.take(CONTENT)
    depot.take(CONTENT | files(2, 1, 4000), base=base.id)
    depot.log(0, b"log" * 50)
    depot.place = place
    return depot


@pytest.fixture(scope="module")
def killer():
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.vault_locations.killing"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def order(**what) -> int:
        process.stdin.write(json.dumps(what, default=str) + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    yield order
    process.stdin.close()
    process.wait(30)
    process.stdout.close()


def whole(origin, folder, cache):
    """The folder by itself is a vault, whose points come back, and in which nothing is wrong."""
    vault = Vault.open([LocalStorage(str(folder))], SECRET, clock=origin.clock, cache=cache)
    assert len(origin.require_whole(vault=vault)) == 2
    report = Check(vault, share=1).run()
    assert report.ok, report.found


def kills(step: int, late: str) -> range:
    """Soak tries every call; the sample begins elsewhere for each side of the call."""
    return range(0 if late == "early" else 1, 200, step)


STEPS = [4, pytest.param(1, marks=pytest.mark.soak)]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("late", ["early", "late"])
def test_a_copy_killed_anywhere_goes_on(origin, killer, tmp_path, step, late):
    killed = 0
    for left in kills(step, late):
        folder = tmp_path / str(left)
        status = killer(
            verb="copy", cache=tmp_path, left=left, late=late == "late", folders=[origin.place / "a", origin.place / "b", folder]
        )
        if status == 0:
            break
        assert status == -signal.SIGKILL
        killed += 1
        # Until its end a new location is no vault, and nobody takes it for one.
        assert not (folder / "config").exists() or late == "late"
        assert copy([LocalStorage(str(origin.place / name)) for name in "ab"], LocalStorage(str(folder))).refused == []
        whole(origin, folder, tmp_path / "cache")
        assert not list((folder / "points").glob("*.coming"))
        shutil.rmtree(folder)
    assert killed >= 20 / step


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("late", ["early", "late"])
def test_a_heal_killed_anywhere_is_finished_by_the_next(origin, killer, tmp_path, step, late):
    """Of every kind of object one is damaged and one is missing; the other location heals both."""
    killed = 0
    for left in kills(step, late):
        folder = tmp_path / str(left)
        shutil.copytree(origin.place / "b", folder)
        for kind in ("packs", "index", "points", "logs", "keys"):
            first, *rest = sorted(path for path in (folder / kind).rglob("*") if path.is_file())
            data = bytearray(first.read_bytes())
            data[len(data) // 2] ^= 1
            first.write_bytes(data)
            if rest:
                rest[-1].unlink()
        folders = [origin.place / "a", folder]
        status = killer(verb="heal", cache=tmp_path / f"cache{left}", left=left, late=late == "late", folders=folders)
        vault = Vault.open([LocalStorage(str(one)) for one in folders], SECRET, clock=origin.clock, cache=tmp_path / "cache")
        if status == 0:
            whole(origin, folder, tmp_path / "cache")
            break
        assert status == -signal.SIGKILL
        killed += 1
        # What the two hold together was never less than whole.
        assert len(origin.require_whole(vault=vault)) == 2
        report = Check(vault, share=1, heal=True).run()
        assert report.ok, [one for one in report.found if not one.healed and one.severity != "notice"]
        whole(origin, folder, tmp_path / "cache")
        shutil.rmtree(folder)
    assert killed >= 20 / step
