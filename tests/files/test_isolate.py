"""The folders of throw-away copies are removed whatever lies in them."""

import os
import subprocess
from pathlib import Path

import pytest

from holdfast.systems.shared.boxes import open_box, sweep


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


@pytest.fixture
def folder(tmp_path):
    """What a failing test leaves here, only rm removes."""
    yield tmp_path / "boxes"
    subprocess.run(["rm", "-rf", str(tmp_path / "boxes")], check=False)


def test_a_copy_deeper_than_any_path_is_removed(folder):
    with open_box(folder, "files") as box:
        (box / "beside").mkdir()
        (box / "beside" / "file").write_bytes(b"x")
        deep(box, 60)
    assert list(folder.iterdir()) == []


def test_a_lock_without_a_copy_is_swept(tmp_path):
    (tmp_path / "hf-files-01.lock").touch()
    assert sweep(tmp_path, "files") == [str(tmp_path / "hf-files-01")]
    assert list(tmp_path.iterdir()) == []
