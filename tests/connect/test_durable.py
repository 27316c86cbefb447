from pathlib import Path

import pytest

from holdfast.connect.durable import sync_file_system, sync_folder
from holdfast.systems.files.errors import NotWritten
from holdfast.systems.files.restore.writing import sync


def test_a_folder_and_its_file_system_are_synced(tmp_path):
    (tmp_path / "new").write_bytes(b"content")
    sync_folder(tmp_path)
    sync_file_system(tmp_path)
    sync_file_system(tmp_path / "new")


@pytest.mark.parametrize("call", [sync_folder, sync_file_system])
def test_what_cannot_be_made_durable_is_raised_with_its_name(tmp_path, call):
    with pytest.raises(FileNotFoundError) as raised:
        call(tmp_path / "gone")
    assert Path(raised.value.filename) == tmp_path / "gone"


def test_a_restore_of_folders_repositories_or_images_tells_it_in_words(tmp_path):
    with pytest.raises(NotWritten, match="could not be written"):
        sync(tmp_path / "gone")
