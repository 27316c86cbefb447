import os
from pathlib import Path

import pytest

from holdfast.connect.durable import sync_file_system, sync_folder
from holdfast.systems.files.errors import NotWritten
from holdfast.systems.files.restore.writing import sync


def test_no_descriptor_stays_open(tmp_path):
    def descriptors():
        return set(os.listdir("/proc/self/fd"))

    before = descriptors()
    for _ in range(3):
        sync_folder(tmp_path)
        sync_file_system(tmp_path)
    assert descriptors() == before


@pytest.mark.parametrize("call", [sync_folder, sync_file_system])
def test_what_cannot_be_made_durable_is_raised_with_its_name(tmp_path, call):
    with pytest.raises(FileNotFoundError) as raised:
        call(tmp_path / "gone")
    assert Path(raised.value.filename) == tmp_path / "gone"


def test_a_restore_of_folders_repositories_or_images_tells_it_in_words(tmp_path):
    with pytest.raises(NotWritten, match="could not be written"):
        sync(tmp_path / "gone")
