"""Files that change, vanish, refuse; links swapped in; names that look alike; disks that are too small."""

import errno
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.errors import HoldfastError
from holdfast.model import Entry, Silent
from holdfast.systems.files.capture import reading
from holdfast.systems.files.errors import (
    DiskFull,
    NoPoint,
    PathEmptied,
    PathVanished,
    TargetMissing,
    TargetMoved,
    TargetTaken,
    TargetTooSmall,
)
from holdfast.systems.files.restore import run as running
from tests.files.kit import ROOT, Scene, as_nobody, differences, picture
from tests.files.test_incremental import moving

root_only = pytest.mark.skipif(not ROOT, reason="needs root")


# ---------------------------------------------------------------- the source moves


@pytest.mark.parametrize("size", [3000, 3 << 20])
def test_a_file_that_changes_once_while_it_is_read_is_read_again(scene, monkeypatch, size):
    path = scene.source / "log"
    path.write_bytes(b"x" * size)
    moving(monkeypatch, path, times=1)
    point = scene.backup()
    assert not point.findings
    assert [line.path for line in scene.vault.reader(point).lines()].count(f"files{path}") == 1
    scene.restore(scene.folder / "out")
    assert (scene.at(scene.folder / "out") / "log").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("size", [3000, 3 << 20])
def test_a_file_that_never_stands_still_marks_the_point(scene, monkeypatch, size):
    path = scene.source / "log"
    path.write_bytes(b"x" * size)
    (scene.source / "sound").write_bytes(b"sound")
    moving(monkeypatch, path, times=10_000)
    point = scene.backup()
    assert [(one.code, one.where["path"]) for one in point.findings] == [("files-changed-while-read", f"files{path}")]
    assert point.facts["incomplete"] == 1
    plan = scene.plan(scene.folder / "out")
    assert any("incomplete" in warning for warning in plan.warnings)
    scene.restore(scene.folder / "out")
    assert (scene.at(scene.folder / "out") / "log").stat().st_size == size


def at_first_read(monkeypatch, what) -> None:
    """Do something just before the first batch of small files is read: behind their listing."""
    done = []
    real = reading.read_files

    def read(requests, view):
        if not done:
            done.append(1)
            what()
        return real(requests, view)

    monkeypatch.setattr(reading, "read_files", read)


def test_a_file_that_vanishes_is_told_and_the_point_is_whole_without_it(scene, monkeypatch):
    (scene.source / "gone").write_bytes(b"x")
    (scene.source / "stays").write_bytes(b"y")
    at_first_read(monkeypatch, (scene.source / "gone").unlink)
    point = scene.backup()
    assert point.facts["vanished"] == {"count": 1, "paths": [f"files{scene.source}/gone"]}
    assert not point.findings
    scene.restore(scene.folder / "out")
    assert [path.name for path in scene.at(scene.folder / "out").iterdir()] == ["stays"]


@pytest.mark.parametrize("becomes", ["symlink", "fifo", "grown", "folder"])
def test_a_file_that_becomes_something_else(scene, monkeypatch, becomes):
    path = scene.source / "it"
    path.write_bytes(b"x")

    def swap() -> None:
        if becomes == "grown":
            path.write_bytes(b"g" * (5 << 20))
            return
        path.unlink()
        if becomes == "symlink":
            path.symlink_to("/etc/passwd")
        elif becomes == "fifo":
            os.mkfifo(path)
        else:
            path.mkdir()

    at_first_read(monkeypatch, swap)
    point = scene.backup()
    scene.restore(scene.folder / "out")
    there = scene.at(scene.folder / "out") / "it"
    if becomes == "folder":  # it came after the listing of its folder
        assert point.facts["vanished"]["count"] == 1
        assert not there.exists()
    else:
        assert stat.S_IFMT(there.lstat().st_mode) == stat.S_IFMT(path.lstat().st_mode)
    if becomes == "grown":
        assert there.read_bytes() == path.read_bytes()
    if becomes == "symlink":
        assert os.readlink(there) == "/etc/passwd"


def test_a_folder_swapped_for_a_link_is_not_followed(scene, monkeypatch):
    (scene.folder / "secret").mkdir()
    (scene.folder / "secret" / "key").write_bytes(b"secret")
    (scene.source / "a").mkdir()
    (scene.source / "a" / "key").write_bytes(b"mine")
    from holdfast.systems.files.handles import Handle

    real = Handle.open.__func__

    def swapped(cls, name, parent=None):
        if name == "a" and not (scene.source / "a").is_symlink():
            shutil.rmtree(scene.source / "a")
            (scene.source / "a").symlink_to(scene.folder / "secret")
        return real(cls, name, parent)

    monkeypatch.setattr(Handle, "open", classmethod(swapped))
    point = scene.backup()
    paths = [line.path for line in scene.vault.reader(point).lines()]
    assert paths == [f"files{scene.source}", f"files{scene.source}/a"]
    assert scene.vault.reader(point).find(paths[1]).entry.kind == "symlink"


# ---------------------------------------------------------------- what cannot be read


@root_only
def test_what_may_not_be_read_is_named_and_the_point_is_incomplete(scene):
    (scene.source / "open").write_bytes(b"x")
    (scene.source / "closed").write_bytes(b"y")
    (scene.source / "closed").chmod(0)
    (scene.source / "folder").mkdir()
    (scene.source / "folder" / "inner").write_bytes(b"z")
    (scene.source / "folder").chmod(0)
    for path in (scene.folder, *scene.folder.parents):
        if not path.stat().st_mode & 0o001:
            path.chmod(path.stat().st_mode | 0o011)
    for path in [scene.folder / "vault", scene.folder / "cache", *scene.folder.rglob("vault/**/*"), *scene.folder.rglob("cache/**/*")]:
        if path.exists():
            path.chmod(0o777 if path.is_dir() else 0o666)
    scene.folder.chmod(0o777)

    done = as_nobody("backup", scene.folder)
    base = f"files{scene.source}"
    assert sorted(done["findings"]) == [["files-unreadable", f"{base}/closed"], ["files-unreadable", f"{base}/folder"]]
    assert done["facts"]["incomplete"] == 2


def test_a_path_that_is_gone_is_an_error_and_no_point(scene):
    (scene.source / "x").write_bytes(b"x")
    scene.backup()
    scene.source.rename(scene.folder / "away")
    with pytest.raises(PathVanished) as caught:
        scene.backup()
    assert str(scene.source) in caught.value.message
    scene.source.symlink_to(scene.folder / "away")
    with pytest.raises(PathVanished):
        scene.backup()
    assert len(scene.vault.points()) == 1
    assert [probe.state for probe in scene.system().probe()] == ["fail"]


def test_a_path_that_was_emptied_is_refused_unless_it_is_meant(scene):
    (scene.source / "x").write_bytes(b"x")
    scene.backup()
    (scene.source / "x").unlink()
    with pytest.raises(PathEmptied) as caught:
        scene.backup()
    assert "mounted" in caught.value.hint
    assert scene.backup(full=True).totals.files == 0


# ---------------------------------------------------------------- names


def test_names_that_differ_only_in_case_or_normal_form_stay_apart(scene):
    names = ["readme", "README", "ReadMe", "caf\u00e9", "cafe\u0301", "\ufb01", "fi"]
    for number, name in enumerate(names):
        (scene.source / name).write_bytes(bytes([number]))
    point = scene.backup()
    scene.restore(scene.folder / "out")
    assert {path.name: path.read_bytes()[0] for path in scene.at(scene.folder / "out").iterdir()} == {
        name: number for number, name in enumerate(names)
    }
    reader = scene.vault.reader(point)
    for number, name in enumerate(names):
        assert reader.read(reader.find(f"files{scene.source}/{name}")) == bytes([number])


def test_a_name_that_is_no_text_goes_through_every_door(scene):
    raw = os.fsencode(scene.source) + b"/\xff\xfe\nname"
    Path(os.fsdecode(raw)).write_bytes(b"odd")
    point = scene.backup()
    decoder = scene.folder / "vault" / "decoder.py"
    done = subprocess.run(
        [sys.executable, decoder, scene.folder / "vault", "--point", point.id, "--get", b"files" + raw, "--to", scene.folder / "one"],
        env={**os.environ, "HOLDFAST_KEY": "open sesame"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (scene.folder / "one").read_bytes() == b"odd"
    scene.restore(scene.folder / "out", paths=[os.fsdecode(raw)])
    assert [path.read_bytes() for path in scene.at(scene.folder / "out").iterdir()] == [b"odd"]


def test_a_tree_deeper_than_a_path_can_name(scene):
    here = os.open(scene.source, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("d" * 20, dir_fd=here)
        inner = os.open("d" * 20, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    point = scene.backup()
    assert point.totals.files == 1
    assert not point.findings
    scene.restore(scene.folder / "out")
    here = os.open(scene.at(scene.folder / "out"), os.O_RDONLY)
    for _ in range(300):
        inner = os.open("d" * 20, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    assert os.listdir(here) == ["bottom"]
    os.close(here)
    for top in (scene.source, scene.folder / "out"):  # what is this deep, few tools remove
        subprocess.run(["rm", "-rf", top], check=True)


# ---------------------------------------------------------------- restores that are refused, or cannot go on


def test_what_stands_there_is_never_written_over(scene):
    (scene.source / "x").write_bytes(b"x")
    scene.backup()
    taken = scene.at(scene.folder / "out")
    taken.mkdir(parents=True)
    (taken / "mine").write_bytes(b"mine")
    with pytest.raises(TargetTaken):
        scene.restore(scene.folder / "out")
    assert [path.name for path in taken.iterdir()] == ["mine"]
    (taken / "mine").unlink()
    scene.restore(scene.folder / "out")  # an empty folder is free
    assert (taken / "x").read_bytes() == b"x"


def test_in_place_moves_aside_what_is_there(scene):
    (scene.source / "x").write_bytes(b"x")
    (scene.source / "sub").mkdir()
    before = picture(scene.source)
    scene.backup()
    (scene.source / "x").write_bytes(b"ruined")
    (scene.source / "later").write_bytes(b"later")
    with pytest.raises(TargetTaken):
        scene.restore(Path("/"))
    done = scene.restore(Path("/"), in_place=True)
    assert not differences(before, picture(scene.source))
    [aside] = scene.folder.glob("source.before-*")
    assert (aside / "x").read_bytes() == b"ruined"
    assert (aside / "later").read_bytes() == b"later"
    assert any(str(aside) in note for note in done.notes)


def test_a_delta_leaves_what_is_extra_unless_asked(scene):
    (scene.source / "x").write_bytes(b"x")
    scene.backup()
    scene.restore(scene.folder / "out")
    top = scene.at(scene.folder / "out")
    (top / "x").write_bytes(b"ruined")
    (top / "extra").mkdir()
    (top / "extra" / "deep").write_bytes(b"deep")
    scene.restore(scene.folder / "out", delta=True)
    assert (top / "x").read_bytes() == b"x"
    assert (top / "extra" / "deep").read_bytes() == b"deep"
    done = scene.restore(scene.folder / "out", delta=True, remove_extra=True)
    assert sorted(path.name for path in top.iterdir()) == ["x"]
    assert any("1 entry that" in note for note in done.notes)


@pytest.mark.parametrize("kind", ["file", "hard link", "symbolic link", "fifo"])
def test_a_full_folder_makes_way_only_where_extra_entries_go(scene, kind):
    """A folder of today where the point holds something else: refused and whole without --remove-extra, or when a glob chose the entry."""
    held = scene.source / "held"
    if kind == "file":
        held.write_bytes(b"held")
    elif kind == "hard link":
        (scene.source / "first").write_bytes(b"held")
        os.link(scene.source / "first", held)
    elif kind == "symbolic link":
        held.symlink_to("elsewhere")
    else:
        os.mkfifo(held)
    scene.backup()
    before = picture(scene.source)
    scene.restore(scene.folder / "out")
    top = scene.at(scene.folder / "out")
    (top / "held").unlink()
    (top / "held" / "deep").mkdir(parents=True)
    (top / "held" / "deep" / "work").write_bytes(b"of today")
    with pytest.raises(TargetTaken, match=re.escape(str(top / "held"))) as refused:
        scene.restore(scene.folder / "out", delta=True)
    assert "--remove-extra" in refused.value.hint
    with pytest.raises(TargetTaken) as refused:
        scene.restore(scene.folder / "out", delta=True, remove_extra=True, paths=[f"{scene.source}/*"])
    assert "--remove-extra" not in refused.value.hint
    assert (top / "held" / "deep" / "work").read_bytes() == b"of today"
    done = scene.restore(scene.folder / "out", delta=True, remove_extra=True)
    assert not differences(before, picture(top))
    assert any("1 folder," in note for note in done.notes)


def test_a_delta_writes_through_no_link_and_no_shared_inode(scene):
    (scene.source / "file").write_bytes(b"right")
    (scene.source / "folder").mkdir()
    (scene.source / "folder" / "inner").write_bytes(b"inner")
    scene.backup()
    scene.restore(scene.folder / "out")
    top = scene.at(scene.folder / "out")
    outside = scene.folder / "outside"
    outside.mkdir()
    (outside / "inner").write_bytes(b"not yours")
    (outside / "file").write_bytes(b"not yours")
    (top / "file").unlink()
    (top / "file").symlink_to(outside / "file")
    shutil.rmtree(top / "folder")
    (top / "folder").symlink_to(outside)
    scene.restore(scene.folder / "out", delta=True)
    assert (outside / "inner").read_bytes() == (outside / "file").read_bytes() == b"not yours"
    assert (top / "file").read_bytes() == b"right"
    assert not (top / "folder").is_symlink()
    os.link(top / "file", outside / "copy")  # a snapshot by hard links, say
    (scene.source / "file").write_bytes(b"newer")
    scene.backup()
    scene.restore(scene.folder / "out", delta=True)
    assert (outside / "copy").read_bytes() == b"right"
    assert (top / "file").read_bytes() == b"newer"


def test_a_folder_replaced_by_a_link_in_mid_restore_stops_it(scene, monkeypatch):
    (scene.source / "a").mkdir()
    for number in range(50):
        (scene.source / "a" / f"f{number}").write_bytes(b"x")
    scene.backup()
    elsewhere = scene.folder / "elsewhere"
    elsewhere.mkdir()
    top = scene.at(scene.folder / "out")
    real = running.FolderRestore._folder

    def swap(self, entry, place):
        real(self, entry, place)
        if entry.path.endswith("/a"):
            self._folders.forget(place)
            (top / "a").rmdir()
            (top / "a").symlink_to(elsewhere)

    monkeypatch.setattr(running.FolderRestore, "_folder", swap)
    with pytest.raises(TargetMoved):
        scene.restore(scene.folder / "out")
    assert not list(elsewhere.iterdir())


def test_a_forged_path_leads_nowhere(scene):
    """A writer whose key was stolen can sign any tree."""
    with scene.vault.begin(system="app", kind="files") as writer:
        writer.add(Entry("files/../../../../../../../../../../tmp/holdfast-forged", size=1), b"x")
        writer.commit(kind="files", start={}, stop={}, facts={"roots": {"/": 1}})
    with pytest.raises(HoldfastError):
        scene.restore(scene.folder / "out")
    assert not Path("/tmp/holdfast-forged").exists()


def test_what_is_not_in_the_point_is_said_before_anything_is_written(scene):
    with pytest.raises(NoPoint):
        scene.plan(scene.folder / "out")
    (scene.source / "x").write_bytes(b"x")
    scene.backup()
    with pytest.raises(TargetMissing, match="nothere"):
        scene.plan(scene.folder / "out", paths=[f"{scene.source}/nothere"])
    with pytest.raises(TargetMissing):
        scene.plan(scene.folder / "out", delta=True, in_place=True)
    assert not (scene.folder / "out").exists()


# ---------------------------------------------------------------- disks


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MiB."""
    if not ROOT:
        pytest.skip("only root mounts")
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", place], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("this machine lets nobody mount")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(scene, small_disk):
    (scene.source / "large").write_bytes(os.urandom(6 << 20))
    scene.backup()
    with pytest.raises(TargetTooSmall) as caught:
        scene.restore(small_disk / "out")
    assert "MiB are needed" in caught.value.message
    assert not (small_disk / "out").exists()


@pytest.mark.parametrize("size", [3000, 3 << 20])
def test_a_disk_that_fills_up_is_told_and_the_restore_goes_on_elsewhere(scene, small_disk, size):
    for number in range(6 << 20, 0, -size):
        (scene.source / f"f{number}").write_bytes(os.urandom(size))
    scene.backup()
    plan = scene.plan(small_disk / "out")
    object.__setattr__(plan, "obstacles", ())  # somebody else took the room behind the look at it
    with pytest.raises(DiskFull) as caught:
        scene.recovery().restore(scene.history, plan, Silent())
    assert "--delta" in caught.value.hint
    scene.restore(scene.folder / "out")
    assert not differences(picture(scene.source), picture(scene.at(scene.folder / "out")))


@root_only
def test_another_file_system_is_entered_unless_told_otherwise(tmp_path, small_disk):
    (tmp_path / "one").mkdir()
    scene = Scene(tmp_path / "one", one_filesystem=True)
    inner = scene.source / "mounted"
    inner.mkdir()
    (inner / "beneath").write_bytes(b"x")
    subprocess.run(["mount", "--bind", small_disk, inner], check=True)
    try:
        (small_disk / "there").write_bytes(b"y")
        paths = [line.path.rpartition("/")[2] for line in scene.vault.reader(scene.backup()).lines()]
        assert paths == ["source", "mounted"]
        scene.settings = type(scene.settings)((str(scene.source),))
        paths = [line.path.rpartition("/")[2] for line in scene.vault.reader(scene.backup()).lines()]
        assert paths == ["source", "mounted", "there"]
    finally:
        subprocess.run(["umount", inner], check=True)
        scene.close()


def test_errors_are_told_by_name_not_by_traceback():
    from holdfast.systems.files.restore.writing import failed

    for number, kind in ((errno.ENOSPC, DiskFull), (errno.EDQUOT, DiskFull)):
        with pytest.raises(kind):
            failed("/x", OSError(number, os.strerror(number)))
