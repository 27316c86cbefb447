"""The folders of throw-away copies are removed whatever lies in them."""

import os
from pathlib import Path

from holdfast.systems.files.isolate import open_box, remove, sweep


def deep(box: Path, levels: int) -> None:
    """Far below the longest path that the system takes, with folders that their owner may not enter."""
    folder = os.open(box, os.O_RDONLY)
    modes = []
    for _ in range(levels):
        os.mkdir("n" * 100, dir_fd=folder)
        inner = os.open("n" * 100, os.O_RDONLY, dir_fd=folder)
        modes.append(folder)
        folder = inner
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, 0o000, dir_fd=folder))
    os.symlink("/", "link", dir_fd=folder)
    for one in (folder, *reversed(modes)):
        os.fchmod(one, 0o700 if one == modes[0] else 0o500)
        os.close(one)


def test_a_copy_deeper_than_any_path_is_removed(tmp_path):
    with open_box(tmp_path) as box:
        (box / "beside").mkdir()
        (box / "beside" / "file").write_bytes(b"x")
        deep(box, 60)
    assert list(tmp_path.iterdir()) == []


def test_a_copy_with_more_levels_than_recursion_goes_is_removed(tmp_path):
    (tmp_path / "box").mkdir()
    folder = os.open(tmp_path / "box", os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=folder)
        inner = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)
    remove(tmp_path / "box")
    assert list(tmp_path.iterdir()) == []


def test_a_lock_without_a_copy_is_swept(tmp_path):
    (tmp_path / "hf-files-01.lock").touch()
    assert sweep(tmp_path) == [str(tmp_path / "hf-files-01")]
    assert list(tmp_path.iterdir()) == []
