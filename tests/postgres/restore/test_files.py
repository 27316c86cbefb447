"""Files as a restore writes them."""

import ctypes
import errno
import os
from pathlib import Path

import pytest

from holdfast.model import Entry
from holdfast.systems.postgres.restore import files
from holdfast.systems.postgres.restore.files import FileTarget, reserve
from holdfast.systems.postgres.running.binaries import Account

SIZE = 4 << 20
OWN = Account("", os.geteuid(), os.getegid(), switch=False)


def test_the_room_of_a_new_file_is_taken_before_it_is_written(tmp_path):
    place = tmp_path / "16384"
    target = FileTarget(place, Entry("base/5/16384", "file", SIZE, mode=0o600), OWN, delta=False)
    assert place.stat().st_blocks * 512 >= SIZE
    target.write(1 << 20, memoryview(b"page" * 2048))
    target.close()
    written = bytearray(SIZE)
    written[1 << 20 : (1 << 20) + 8192] = b"page" * 2048
    assert place.read_bytes() == written


def test_what_lies_there_already_is_not_made_larger(tmp_path):
    place = tmp_path / "16384"
    place.write_bytes(b"short")
    target = FileTarget(place, Entry("base/5/16384", "file", SIZE, mode=0o600), OWN, delta=True)
    assert target.existing(0, memoryview(bytearray(SIZE))) == 5
    target.close()
    assert place.stat().st_size == SIZE


def test_without_room_it_is_said_at_once_and_without_reserving_it_goes_on(monkeypatch):
    with Path(os.devnull).open("wb") as nothing:
        reserve(nothing.fileno(), SIZE)
    monkeypatch.setattr(files, "_fallocate", lambda: _failing(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        reserve(-1, SIZE)
    monkeypatch.setattr(files, "_fallocate", lambda: _failing(errno.EOPNOTSUPP))
    reserve(-1, SIZE)
    monkeypatch.setattr(files, "_fallocate", lambda: None)
    reserve(-1, SIZE)


def _failing(number):
    def call(*_):
        ctypes.set_errno(number)
        return -1

    return call
