"""An incremental is as exact as a full capture, whatever was done to the tree between two of them."""

import os
import shutil
import stat
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from holdfast.model import Silent
from tests.files.kit import Later, Scene, differences, picture

NAMES = ["a", "b", "c", "a/x", "a/y", "b/x", "c/x", "a.x", "a-x"]
name = st.sampled_from(NAMES)
size = st.sampled_from([0, 1, 5, 4096, 5000, 1_100_000])
edit = st.one_of(
    st.tuples(st.just("write"), name, size, st.integers(0, 255)),
    st.tuples(st.just("same size, time put back"), name, st.integers(0, 255)),
    st.tuples(st.just("append"), name),
    st.tuples(st.just("rename"), name, name),
    st.tuples(st.just("remove"), name),
    st.tuples(st.just("folder"), name),
    st.tuples(st.just("link"), name, name),
    st.tuples(st.just("symlink"), name),
    st.tuples(st.just("mode"), name, st.integers(0o400, 0o777)),
    st.tuples(st.just("attribute"), name, st.binary(max_size=5)),
    st.tuples(st.just("touch"), name, st.integers(0, 10**18)),
    st.tuples(st.just("mmap-like write in place"), name, st.integers(0, 255)),
)


def change(top: Path, what: tuple) -> None:
    """One edit, as far as it is possible on what is there."""
    kind, path = what[0], top / what[1]
    there = os.path.lexists(path)
    regular = there and stat.S_ISREG(path.lstat().st_mode)
    if not path.parent.is_dir() or path.parent.is_symlink():
        return
    if kind == "write" and (regular or not there):
        path.write_bytes(bytes([what[3]]) * what[2])
    elif kind == "same size, time put back" and regular:
        before = path.stat()
        path.write_bytes(bytes([what[2]]) * before.st_size)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif kind == "append" and regular:
        with path.open("ab") as file:
            file.write(b"more")
    elif kind == "rename" and there and not (top / what[2]).is_relative_to(path):
        target = top / what[2]
        if target.parent.is_dir() and not target.parent.is_symlink() and not path.is_relative_to(target):
            remove(target)
            path.rename(target)
    elif kind == "remove":
        remove(path)
    elif kind == "folder" and not there:
        path.mkdir()
    elif kind == "link" and regular and (top / what[2]).parent.is_dir() and not os.path.lexists(top / what[2]):
        os.link(path, top / what[2])
    elif kind == "symlink" and not there:
        path.symlink_to("a")
    elif kind == "mode" and regular:
        path.chmod(what[2])
    elif kind == "attribute" and regular:
        os.setxattr(path, "user.test", what[2])
    elif kind == "touch" and there:
        os.utime(path, ns=(1, what[2]), follow_symlinks=False)
    elif kind == "mmap-like write in place" and regular and path.stat().st_size:
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2)
            file.write(bytes([what[2]]))


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


@settings(
    max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate], stateful_step_count=10
)
@given(st.lists(st.tuples(st.lists(edit, min_size=1, max_size=12), st.booleans()), min_size=2, max_size=4))
@example([([("write", "c", 5000, 4)], True), ([("remove", "c"), ("folder", "c"), ("folder", "c/x")], False)])
@example([([("folder", "c"), ("write", "c/x", 5, 1)], False), ([("remove", "c"), ("symlink", "c")], True)])
def test_any_edits_between_captures(rounds):
    """Each point is compared with the tree as it was. In half of the rounds the capture's clock stands before the edits, so that
    what was written lies in its racy stretch; in the others the edits are long ago for it.
    """
    folder = Path(tempfile.mkdtemp(prefix="hf-edits-"))
    try:
        scene = Scene(folder)
        (scene.source / "keep").write_bytes(b"kept")
        pictures = []
        for edits, racy in rounds:
            for one in edits:
                change(scene.source, one)
            scene.clock = Later(-10.0 if racy else 3.0)
            point = scene.backup()
            assert not point.findings
            pictures.append((point, picture(scene.source)))
        for number, (point, before) in enumerate(pictures):
            scene.restore(folder / f"out{number}", point)
            assert not differences(before, picture(scene.at(folder / f"out{number}")))
        # The newest over the oldest, and the other way round: what a delta leaves is the point, once what is extra goes.
        for number, (point, _) in enumerate(reversed(pictures)):
            scene.restore(folder / f"out{number}", point, delta=True, remove_extra=True)
            assert not differences(pictures[-1 - number][1], picture(scene.at(folder / f"out{number}")))
        scene.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_time_put_back_hides_nothing(scene):
    path = scene.source / "quiet"
    path.write_bytes(b"before")
    scene.backup()
    status = path.stat()
    path.write_bytes(b"behind")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    scene.backup()
    scene.restore(scene.folder / "out")
    assert (scene.at(scene.folder / "out") / "quiet").read_bytes() == b"behind"


def test_a_file_written_in_the_tick_of_its_capture_is_read_again(scene):
    """Its next change could leave the same time stamp: git calls that racy."""
    path = scene.source / "busy"
    path.write_bytes(b"one")
    scene.clock = Later(-10.0)  # as if the capture had begun just then, however long this machine took
    first = scene.backup()
    [line] = [line for line in scene.vault.reader(first).lines() if line.is_file]
    assert "c" not in line.extra
    # As if the second write had come within the tick: same size, same inode, and the entry cannot tell.
    assert scene.backup().totals.read == 3
    scene.clock = Later(3.0)
    scene.backup()
    assert scene.backup().totals.read == 0


def test_unchanged_files_are_not_opened(scene, monkeypatch):
    from holdfast.systems.files.capture import reading

    (scene.source / "small").write_bytes(b"x")
    (scene.source / "large").write_bytes(b"x" * (2 << 20))
    scene.backup()

    def refuse(*_):
        raise AssertionError("opened")

    monkeypatch.setattr(reading, "open_file", refuse)
    monkeypatch.setattr(reading, "read_files", refuse)
    assert scene.backup().facts["unread"] == 2


def test_what_a_finding_names_is_read_anew_and_the_rest_is_not(scene, monkeypatch):
    from holdfast.protection.backup import choose_base

    (scene.source / "sound").write_bytes(b"x" * 1000)
    (scene.source / "moving").write_bytes(b"y" * 2000)
    moving(monkeypatch, scene.source / "moving", times=100)
    point = scene.backup()
    assert [one.code for one in point.findings] == ["files-changed-while-read"]
    monkeypatch.undo()
    assert choose_base(scene.vault, scene.system(), Silent()).point.id == point.id
    second = scene.backup()
    assert not second.findings
    assert second.facts["unread"] == 1


def moving(monkeypatch, path: Path, times: int) -> None:
    """From now on ``path`` is written to after each of its first ``times`` reads; reading goes the way of Python, which can be watched."""
    from holdfast.systems.files.capture import reading

    left = [times]
    inode = path.stat().st_ino
    read = os.preadv

    def preadv(fd, buffers, offset, *more):
        got = read(fd, buffers, offset, *more)
        if left[0] and os.fstat(fd).st_ino == inode:
            left[0] -= 1
            status = path.stat()
            with path.open("r+b") as file:
                file.write(bytes([left[0] % 256]))
            os.utime(path, ns=(1, status.st_mtime_ns + 1))
        return got

    monkeypatch.setattr(os, "preadv", preadv)
    monkeypatch.setattr(reading, "read_files", reading.read_files_python)
