"""What a put reported as stored survives a power cut at any later call, and no cut ever shows half an object."""

import os

import pytest

from holdfast.storage import ObjectExists
from holdfast.storage.local import LocalStorage
from tests.storage.power_cut import NoFileSync, NoFolderSync, PowerCut, fresh

BODIES = {
    "config": [b"configuration"],
    "packs/ab/one": [os.urandom(3000), b"", os.urandom(9 << 20), b"end"],
    "packs/ab/two": [b"second in a folder that is there"],
    "logs/s/b/0-1": [b"three folders at once"],
    "logs/s/c/0-1": [b"one new folder"],
    "empty": [],
}


def run(tmp_path, kind):
    """Puts and a delete over ``kind``; at every call a power cut is tried. Returns what was found lost or half there, and the calls."""
    root = tmp_path / "live"
    root.mkdir()
    promised = {}
    deleted = set()
    wrong = []

    def cut():
        for eager in (False, True):
            place = tmp_path / f"after-{next(fresh)}"
            files.disk(place, eager=eager)
            after = LocalStorage(str(place))
            found = {info.name: after.get(info.name) for info in after.list()}
            wrong.extend(("lost", name) for name in promised if found.get(name) != promised[name])
            wrong.extend(("half", name) for name, body in found.items() if body != b"".join(BODIES[name]))
            if not eager:
                wrong.extend(("back", name) for name in deleted if name in found)

    files = kind(root, cut)
    storage = LocalStorage(str(root), files=files)
    for name, parts in BODIES.items():
        storage.put_if_absent(name, parts)
        promised[name] = b"".join(parts)
        cut()
    with pytest.raises(ObjectExists):
        storage.put_if_absent("config", [b"configuration"])
    gone = promised.pop("logs/s/b/0-1")
    assert gone
    storage.delete("logs/s/b/0-1")
    deleted.add("logs/s/b/0-1")
    cut()
    return wrong, files.calls


def test_a_power_cut_loses_nothing_that_was_promised(tmp_path):
    wrong, calls = run(tmp_path, PowerCut)
    assert wrong == []
    assert calls > 40


@pytest.mark.parametrize(("kind", "loss"), [(NoFolderSync, "lost"), (NoFileSync, "half")])
def test_the_cut_finds_a_planted_loss(tmp_path, kind, loss):
    wrong, _ = run(tmp_path, kind)
    assert loss in {what for what, _ in wrong}


def test_a_name_made_by_one_that_died_is_synced_by_the_next(tmp_path):
    """A folder and an object left unsynced by another process: put into the folder, or told that the object exists, we may rely on both."""
    root = tmp_path / "live"
    root.mkdir()
    files = PowerCut(root)
    other = LocalStorage(str(root), files=files)
    other._sync_folder = lambda folder: None  # dies before each sync
    other.put_if_absent("points/1", [b"commit"])
    storage = LocalStorage(str(root), files=files)
    with pytest.raises(ObjectExists):
        storage.put_if_absent("points/1", [b"abort"])
    files.disk(tmp_path / "after")
    assert LocalStorage(str(tmp_path / "after")).get("points/1") == b"commit"
