"""What a folder is, it is again: every kind of entry with every attribute, out and back."""

import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.files import trees
from tests.files.kit import ROOT, Scene, as_nobody, differences, picture

FEW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])


def without_sockets(seen):
    """Sockets are not restored; whoever listens makes its own."""
    return {name: one for name, one in seen.items() if name == "links" or one["kind"] != stat.S_IFSOCK}


def clear(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("compiled", [True, False])
def test_any_tree_comes_back_exactly(compiled, monkeypatch):
    from holdfast.systems.files.capture import reading
    from holdfast.systems.files.restore import writing

    if not compiled:
        monkeypatch.setattr(reading, "read_files", reading.read_files_python)
        monkeypatch.setattr(writing, "write_files", writing.write_files_python)

    @FEW
    @given(trees.trees)
    def run(tree):
        folder = Path(tempfile.mkdtemp(prefix="hf-tree-"))
        try:
            scene = Scene(folder)
            trees.build(os.fsencode(scene.source), tree)
            before = picture(scene.source)
            point = scene.backup()
            assert not point.findings
            done = scene.restore(folder / "out")
            seen = picture(scene.at(folder / "out"))
            assert not differences(without_sockets(before), without_sockets(seen))
            assert picture(scene.source) == before  # nothing was touched, not even a time
            # and again from the incremental that read nothing, as a repair of what is there
            second = scene.backup()
            assert second.totals.read == 0
            scene.restore(folder / "out", second, delta=True)
            assert not differences(without_sockets(before), without_sockets(picture(scene.at(folder / "out"))))
            assert [note for note in done.notes if "sockets" not in note] == []
            scene.close()
        finally:
            clear(folder)

    run()


def test_an_incremental_stores_only_what_is_new(scene):
    for number in range(300):
        (scene.source / f"f{number:03}").write_bytes(os.urandom(700))
    scene.backup()
    (scene.source / "f100").write_bytes(b"changed")
    (scene.source / "f200").unlink()
    (scene.source / "new").write_bytes(b"new")
    second = scene.backup()
    assert (second.totals.read, second.totals.new, second.method) == (10, 10, "incremental")
    assert second.facts["unread"] == 298
    scene.restore(scene.folder / "out")
    assert not differences(picture(scene.source), picture(scene.at(scene.folder / "out")))


def test_an_unchanged_tree_stores_next_to_nothing(scene):
    for number in range(5000):
        (scene.source / f"f{number:05}").touch()
    first = scene.backup()
    second = scene.backup()
    assert (first.facts.get("unread", 0), second.facts["unread"]) == (0, 5000)
    trees = [[segment.ref.id for segment in scene.vault.reader(point).tree.segments] for point in (first, second)]
    assert len(trees[0]) > 1
    assert trees[1] == trees[0]  # the tree's segments are those of the base,
    assert first.totals.stored > second.totals.stored == 0  # and not one of them is stored again
    assert len(list(scene.vault.reader(second).entries("files/"))) == 5001


def test_a_large_file_is_repaired_in_place(scene):
    data = bytearray(os.urandom(9 << 20))
    (scene.source / "large").write_bytes(data)
    scene.backup()
    scene.restore(scene.folder / "out")
    there = scene.at(scene.folder / "out") / "large"
    with there.open("r+b") as file:
        file.seek(5 << 20)
        file.write(b"damage")
        file.truncate(8 << 20)
    inode = there.stat().st_ino
    done = scene.restore(scene.folder / "out", delta=True)
    assert there.read_bytes() == data
    assert there.stat().st_ino == inode
    assert done.extracted.written <= (1 << 20) + (1 << 17)
    assert done.extracted.kept >= 7 << 20


def test_a_changed_block_of_a_large_file_costs_a_block(scene):
    data = bytearray(os.urandom(20 << 20))
    path = scene.source / "image"
    path.write_bytes(data)
    scene.backup()
    data[7 << 20] ^= 1
    path.write_bytes(data)
    second = scene.backup()
    assert second.totals.new == 65536
    scene.restore(scene.folder / "out")
    assert (scene.at(scene.folder / "out") / "image").read_bytes() == data


@pytest.mark.skipif(not ROOT, reason="only root gives files away")
def test_as_an_ordinary_account_what_cannot_be_set_is_told(scene):
    (scene.source / "theirs").write_bytes(b"x")
    os.chown(scene.source / "theirs", 0, 0)
    os.chmod(scene.source / "theirs", 0o4755)
    os.mknod(scene.source / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    scene.backup()
    for path in (scene.folder, *scene.folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o777)
    for path in (scene.folder, *scene.folder.parents):
        if not path.stat().st_mode & 0o001:
            path.chmod(path.stat().st_mode | 0o011)
    notes = as_nobody("restore", scene.folder)["notes"]
    assert sum("belong to this account" in note for note in notes) == 1
    assert any("device nodes" in note for note in notes)
    restored = scene.at(scene.folder / "out") / "theirs"
    assert stat.S_IMODE(restored.stat().st_mode) == 0o755  # no set-user-id for another user than the file's
    assert not (scene.at(scene.folder / "out") / "null").exists()
