"""What only a local folder can do wrong."""

import contextlib
import errno
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from holdfast.storage import StorageDenied, StorageFull, StorageUnfit, StorageUnreachable
from holdfast.storage.local import LocalStorage
from holdfast.storage.open import UnknownScheme, open_storage
from holdfast.storage.posix import RealFileSystem


class Failing(RealFileSystem):
    """One call fails with an errno, from the ``after``-th on."""

    def __init__(self, call, number, after=0):
        self.call, self.number, self.left, self.fired = call, number, after, 0

    def __getattribute__(self, name):
        value = super().__getattribute__(name)
        if name == super().__getattribute__("__dict__").get("call"):

            def fail(*args):
                if self.left > 0:
                    self.left -= 1
                    return value(*args)
                self.fired += 1
                raise OSError(self.number, os.strerror(self.number), "source", None, "target" if name == "link" else None)

            return fail
        return value


def everything_below(root):
    return sorted(str(path) for path in root.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("call", "number", "raised"),
    [
        ("writev", errno.ENOSPC, StorageFull),
        ("fsync", errno.EDQUOT, StorageFull),
        ("mkdir", errno.ENOSPC, StorageFull),
        ("open", errno.EROFS, StorageDenied),
        ("writev", errno.EIO, StorageUnreachable),
        ("fsync", errno.EIO, StorageUnreachable),
        ("fsync", errno.EINVAL, StorageUnfit),
        ("link", errno.EPERM, StorageUnfit),
        ("link", errno.ENOTSUP, StorageUnfit),
    ],
)
def test_failures_say_what_and_leave_nothing(tmp_path, call, number, raised):
    good = LocalStorage(str(tmp_path), create=True)
    good.put_if_absent("packs/1", [b"x"])
    before = everything_below(tmp_path)
    files = Failing(call, number)
    storage = LocalStorage(str(tmp_path), files=files)
    with pytest.raises(raised) as caught:
        storage.put_if_absent("new/2", [b"y" * 100])
    assert files.fired
    assert everything_below(tmp_path) == before
    assert caught.value.hint
    assert str(tmp_path) in caught.value.message


def test_short_writes_are_finished(tmp_path):
    class Short(RealFileSystem):
        def writev(self, fd, parts):
            return os.write(fd, b"".join(parts)[:7])

    storage = LocalStorage(str(tmp_path), files=Short())
    storage.put_if_absent("a", [b"0123456789", b"", b"abcdefghij" * 3])
    assert storage.get("a") == b"0123456789" + b"abcdefghij" * 3


def test_a_missing_root_is_not_made_in_silence(tmp_path):
    with pytest.raises(StorageUnreachable):
        LocalStorage(str(tmp_path / "mount" / "vault"))
    assert not (tmp_path / "mount").exists()
    LocalStorage(str(tmp_path / "mount" / "vault"), create=True).put_if_absent("a", [b""])
    assert (tmp_path / "mount" / "vault" / "a").exists()


def test_a_root_that_vanishes_is_not_made_again(tmp_path):
    storage = LocalStorage(str(tmp_path / "v"), create=True)
    storage.put_if_absent("a", [b"x"])
    (tmp_path / "v").rename(tmp_path / "unmounted")
    (tmp_path / "v").mkdir()
    with pytest.raises(StorageUnreachable):
        storage.put_if_absent("b", [b"x"])
    assert everything_below(tmp_path / "v") == []


def test_stale_temporary_files_are_swept_and_fresh_ones_are_not(tmp_path):
    LocalStorage(str(tmp_path)).put_if_absent("a", [b"x"])
    old, young = tmp_path / ".tmp" / "1-dead", tmp_path / ".tmp" / "2-alive"
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    os.utime(old, (time.time() - 90_000,) * 2)
    storage = LocalStorage(str(tmp_path))
    assert [info.name for info in storage.list()] == ["a"]
    storage.put_if_absent("b", [b"x"])
    assert not old.exists()
    assert young.exists()


@contextlib.contextmanager
def ordinary_user(folder):
    """Root may write anywhere, so be somebody else meanwhile."""
    if os.geteuid() != 0:
        yield
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 65534, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_read_only_folder_reads_but_does_not_write():
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        LocalStorage(made).put_if_absent("a", [b"x"])
        with ordinary_user(root):
            for folder in (root, root / ".tmp"):
                folder.chmod(0o500)
            storage = LocalStorage(made)
            assert storage.get("a") == b"x"
            with pytest.raises(StorageDenied):
                storage.put_if_absent("b", [b"x"])
            for folder in (root, root / ".tmp"):
                folder.chmod(0o700)


KILLED = """
import os, signal, sys
from holdfast.storage.local import LocalStorage
from holdfast.storage.posix import RealFileSystem
left = int(sys.argv[2])
class Mortal(RealFileSystem):
    def __getattribute__(self, name):
        global left
        if not name.startswith("_"):
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
        return super().__getattribute__(name)
LocalStorage(sys.argv[1], files=Mortal()).put_if_absent("packs/aa/1", [b"x" * 100_000] * 3)
"""


def test_killed_at_every_call_of_a_put(tmp_path):
    for calls in range(100):
        root = tmp_path / str(calls)
        root.mkdir()
        ended = subprocess.run([sys.executable, "-c", KILLED, str(root), str(calls)], check=False).returncode
        storage = LocalStorage(str(root))
        found = storage.head("packs/aa/1")
        assert found is None or storage.get("packs/aa/1") == b"x" * 300_000
        if ended == 0:
            assert found is not None
            break
        assert ended == -9
        if found is None:
            storage.put_if_absent("packs/aa/1", [b"x" * 300_000])
    assert calls > 12


@pytest.mark.parametrize("url", ["ftp://x/y", "file://host/path", "relative/path", "s3://", "file:", ""])
def test_unknown_addresses(url):
    with pytest.raises(UnknownScheme):
        open_storage(url)


def test_addresses_of_folders(tmp_path):
    for url in (f"file://{tmp_path}/with%20space", f"{tmp_path}/with space"):
        assert open_storage(url, create=True).root == f"{tmp_path}/with space"
