"""Prune and copy killed for good (SIGKILL of a separate process) before and behind every change; then another process goes on."""

import datetime as dt
import shutil
import subprocess
import sys

import pytest

from holdfast.storage.local import LocalStorage
from holdfast.vault import Vault, prune
from holdfast.vault.check import Check
from holdfast.vault.copy import copy
from holdfast.vault.packs import condemned
from holdfast.vault.points.retention import Keep
from tests.vault_care.conftest import SECRET, Depot, files

CHILD = """
import datetime as dt, os, signal, sys
from pathlib import Path
from holdfast.model import SystemClock
from holdfast.storage.local import LocalStorage
from holdfast.storage.wrappers.faults import Fault, Faulty
from holdfast.vault import Vault, prune
from holdfast.vault.packs import condemned
from holdfast.vault.copy import copy
from holdfast.vault.points.retention import Keep

verb, cache, left, late, *folders = sys.argv[1:]
left = int(left)

def die(call, name):
    global left
    if call in ("put", "delete"):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

def wrap(folder):
    return Faulty(LocalStorage(folder, create=True), Fault("*", act=die, times=10**9, late=late == "late"))

if verb == "copy":
    copy(LocalStorage(folders[0]), wrap(folders[1]))
else:
    vault = Vault.open([wrap(folder) for folder in folders], "open sesame", clock=SystemClock(), cache=Path(cache))
    plan = prune.make(vault, {"orders": Keep(last=1)}, zone=dt.UTC, grace=dt.timedelta(0))
    prune.run(vault, plan, most=1)
"""


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    """Two points that share packs, in two folders; made once, copied for every kill."""
    place = tmp_path_factory.mktemp("origin")
    depot = Depot(place / "cache", lambda clock: [LocalStorage(str(place / name), create=True) for name in ("a", "b")])
    base = depot.take(files(1, 1, 5000))
    depot.child = depot.take(files(1, 1, 5000) | files(2, 1, 5000), base=base.id)
    depot.place = place
    return depot


def child(verb, cache, left, late, *folders):
    return subprocess.run(
        [sys.executable, "-c", CHILD, verb, str(cache), str(left), late, *map(str, folders)], check=False, stderr=subprocess.PIPE
    )


@pytest.mark.parametrize("late", ["early", "late"])
def test_a_killed_prune_loses_nothing_and_the_next_one_finishes(origin, tmp_path, late):
    for left in range(0, 100, 3 if late == "early" else 7):
        folders = [tmp_path / f"{left}-{name}" for name in ("a", "b")]
        for folder in folders:
            shutil.copytree(origin.place / folder.name[-1], folder)
        ended = child("prune", tmp_path / "cache", left, late, *folders)
        vault = Vault.open([LocalStorage(str(folder)) for folder in folders], SECRET, clock=origin.clock, cache=tmp_path / "other")
        assert origin.child.id in origin.require_whole(vault=vault)
        if ended.returncode == 0:
            break
        assert ended.returncode == -9, ended.stderr.decode()
        plan = prune.make(vault, {"orders": Keep(last=1)}, zone=dt.UTC, grace=dt.timedelta(0))
        prune.run(vault, plan, most=1)
        assert origin.require_whole(vault=vault) == [origin.child.id]
        assert Check(vault, share=1).run().ok
    assert left > 5
    for storage in vault.locations.storages:
        assert all(one.dead is not None for one in condemned.read(storage, vault.notary).lists)


def test_a_killed_copy_goes_on(origin, tmp_path):
    for left in range(0, 100, 4):
        folder = tmp_path / str(left)
        ended = child("copy", tmp_path, left, "early", origin.place / "a", folder)
        if ended.returncode == 0:
            break
        assert ended.returncode == -9, ended.stderr.decode()
        assert not (folder / "config").exists()
        assert copy(LocalStorage(str(origin.place / "a")), LocalStorage(str(folder))).refused == []
        vault = Vault.open([LocalStorage(str(folder))], SECRET, clock=origin.clock, cache=tmp_path / "cache")
        assert len(origin.require_whole(vault=vault)) == 2
    assert left > 5
