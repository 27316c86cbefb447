"""A restored copy is proved by content, held against its point and against a source that stood still."""

import dataclasses
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.model import Silent
from holdfast.recovery import verify
from holdfast.systems.files import missed
from holdfast.validation import Check
from tests.files.kit import Later, Scene


def verified(scene: Scene, *checks: Check):
    return verify(scene.recovery(), lambda: scene.history, checks, progress=Silent(), clock=scene.clock, patience=0.0)


def filled(scene: Scene) -> None:
    (scene.source / "sub").mkdir()
    for number in range(30):
        (scene.source / "sub" / f"f{number}").write_bytes(os.urandom(500 * number))
    (scene.source / "large").write_bytes(os.urandom(3 << 20))
    (scene.source / "link").symlink_to("large")


def test_a_source_that_stood_still_is_compared_by_content(scene):
    filled(scene)
    scene.backup()
    seen = verified(scene)
    assert seen.report.verdict == "passed"
    assert seen.exact
    assert [one.name for one in seen.report.results] == ["names and attributes", "content as recorded", str(scene.source)]
    assert not list((scene.folder / "boxes").iterdir())


def test_a_source_that_moved_on_is_skipped_and_the_copy_proved_all_the_same(scene):
    filled(scene)
    scene.backup()
    (scene.source / "later").write_bytes(b"x")
    asked = f"test -f $HOLDFAST_CONNECTION{scene.source}/large && echo yes"
    seen = verified(scene, Check("still there", command=asked, expect="yes"))
    assert not seen.exact
    assert {one.name: one.state for one in seen.report.results} == {
        "names and attributes": "passed",
        "content as recorded": "passed",
        "still there": "passed",
        str(scene.source): "skipped",
    }


def test_a_socket_in_the_source_is_no_difference(scene, monkeypatch):
    filled(scene)
    monkeypatch.chdir(scene.source)  # a socket's address is short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("sub/socket")
        scene.backup()
        seen = verified(scene)
    assert (seen.report.verdict, seen.exact) == ("passed", True)


def test_whatever_differs_in_a_copy_is_found(scene):
    filled(scene)
    scene.backup()
    recovery = scene.recovery()
    with recovery.isolate(scene.history, {}, {}, Silent()) as view:
        top = scene.at(Path(view.connection))
        assert {one.state for one in view.structure()} == {"passed"}
        sound = view.digest()
        status = (top / "large").stat()
        with (top / "large").open("r+b") as file:
            file.seek(1 << 20)
            byte = file.read(1)
            file.seek(1 << 20)
            file.write(bytes([byte[0] ^ 1]))
        os.utime(top / "large", ns=(1, status.st_mtime_ns))
        found = {one.name: one for one in view.structure()}
        assert found["names and attributes"].state == "passed"
        assert found["content as recorded"].state == "failed"
        assert "large" in found["content as recorded"].detail
        assert view.digest() != sound
        with recovery.source() as source:
            differ = view.differences(source, str(scene.source))
        assert (differ["missing"], differ["extra"], differ["changed"]) == (0, 0, 1)
        (top / "sub" / "f3").chmod(0o4711)
        (top / "sub" / "f4").unlink()
        (top / "sub" / "extra").touch()
        detail = next(iter(view.structure())).detail
        for said in ("f3: mode", "f4 is missing", "extra is too many"):
            assert said in detail


def deep(top: Path, name: str, levels: int = 300) -> None:
    """A file of some content so far below ``top`` that no path can name it."""
    here = os.open(top, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d" * 20, dir_fd=here)
        inner = os.open("d" * 20, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    file = os.open(name, os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=here)
    os.write(file, b"content")
    os.close(file)
    os.close(here)


def test_what_no_path_can_name_is_verified(scene):
    filled(scene)
    deep(scene.source, "bottom")
    scene.backup()
    seen = verified(scene)
    assert {one.name: one.state for one in seen.report.results} == dict.fromkeys(
        ["names and attributes", "content as recorded", str(scene.source)], "passed"
    )
    with scene.recovery().isolate(scene.history, {}, {}, Silent()) as view:
        change = f"cd {scene.at(Path(view.connection))}; for i in $(seq 300); do cd -P {'d' * 20}; done; printf Content > bottom"
        subprocess.run(["sh", "-c", change], check=True)
        found = {one.name: one for one in view.structure()}
        assert found["content as recorded"].state == "failed"
        assert "1 file differs" in found["content as recorded"].detail
    subprocess.run(["rm", "-rf", scene.source], check=True)


def test_what_stands_in_the_place_of_a_file_is_no_match(scene):
    """Nothing, a FIFO that nobody writes to, a folder, a link to the right content: each is told, and none is waited for."""
    for name in ("gone", "fifo", "folder", "link", "sound", "zeros"):
        (scene.source / name).write_bytes(bytes(5000) if name == "zeros" else name.encode() * 1000)
    scene.backup()
    with scene.recovery().isolate(scene.history, {}, {}, Silent()) as view:
        top = scene.at(Path(view.connection))
        for name in ("gone", "fifo", "folder", "link", "zeros"):
            (top / name).rename(scene.folder / name)
        os.mkfifo(top / "fifo")
        (top / "folder").mkdir()
        (top / "link").symlink_to(scene.folder / "link")
        found = {one.name: one for one in view.structure()}["content as recorded"]
        assert found.state == "failed"
        assert found.detail.startswith("5 files differ")
        assert "sound" not in found.detail.replace(str(top), "")


KILLED = """
import os, sys
from pathlib import Path
from holdfast.model import Silent
from tests.files.kit import Scene
scene = Scene.__new__(Scene)
scene.reopen(Path(sys.argv[1]))
opened = scene.recovery().isolate(scene.history, {}, {}, Silent())
opened.__enter__()
os.kill(os.getpid(), 9)
"""


def test_what_a_killed_verification_left_is_swept(scene):
    filled(scene)
    scene.backup()
    recovery = scene.recovery()
    # A process of its own: a fork of this one, which may have threads, could wait for ever for a lock that one of them holds.
    killed = subprocess.run([sys.executable, "-c", KILLED, str(scene.folder)], cwd=Path(__file__).parents[2], timeout=120, check=False)
    assert killed.returncode == -9
    assert [path.name[:9] for path in (scene.folder / "boxes").iterdir()] == ["hf-files-"] * 2
    assert len(recovery.sweep()) == 1
    assert not list((scene.folder / "boxes").iterdir())


class _Faulty:
    """A walk that passes over what ``names`` says, as a faulty capture would."""

    def __init__(self, monkeypatch, *names: str) -> None:
        from holdfast.systems.files.capture.run import Walk

        class Passing(Walk):
            def run(self):
                return (one for one in super().run() if not any(f"/{name}" in one.path for name in names))

        monkeypatch.setattr("holdfast.systems.files.capture.run.Walk", Passing)


def left_out(scene: Scene) -> dict[str, str]:
    seen = verified(scene)
    return {one.name: f"{one.state}: {one.detail}" for one in seen.report.results if one.name == "left out of the point"}


def test_what_a_capture_missed_is_no_source_that_moved_on(scene, monkeypatch):
    scene.clock = Later(3600)  # everything is older than the point by more than clocks may differ
    filled(scene)
    with monkeypatch.context() as faulty:
        _Faulty(faulty, "sub/f7", "link")
        scene.backup()
    said = left_out(scene)["left out of the point"]
    assert said.startswith(f"failed: {scene.source}/link, {scene.source}/sub/f7 lie in the source since before")
    # The source moved on as well: the folder changed, and a file in it that did not still vouches for it.
    (scene.source / "sub" / "later").write_bytes(b"x")
    os.utime(scene.source / "sub" / "later")
    assert f"{scene.source}/sub/f7" in left_out(scene)["left out of the point"]
    scene.backup()
    assert left_out(scene) == {}


def test_a_missed_folder_is_named_with_what_lies_in_it(scene, monkeypatch):
    scene.clock = Later(3600)
    filled(scene)
    (scene.source / "deep" / "er").mkdir(parents=True)
    (scene.source / "deep" / "er" / "file").write_bytes(b"x")
    with monkeypatch.context() as faulty:
        _Faulty(faulty, "deep")
        scene.backup()
    top = f"{scene.source}/deep"
    assert f"{top}, {top}/er, {top}/er/file lie in" in left_out(scene)["left out of the point"]


def test_what_came_after_the_point_is_never_told_as_missed(scene, tmp_path):
    """New, renamed, linked, moved in with the folder around it, or put back with its old time: all of it moved on."""
    filled(scene)
    for name in ("outside/tree/in", "linked", "renamed"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (scene.source / "old name").write_bytes(b"x")
    scene.clock = Later(0)
    scene.backup()
    scene.clock = Later(3600)
    began = scene.vault.points("app")[-1].start["time"]
    (scene.source / "new").write_bytes(b"x")
    os.utime(scene.source / "new", ns=(1, 1))
    (tmp_path / "outside" / "tree").rename(scene.source / "tree")
    os.link(tmp_path / "linked", scene.source / "linked")
    (tmp_path / "renamed").rename(scene.source / "sub" / "renamed")
    (scene.source / "old name").rename(scene.source / "new name")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(missed, "MARGIN", 0.0)
        assert left_out(scene) == {}, began
        # What the plan says now is not what the point was taken by.
        scene.settings = dataclasses.replace(scene.settings, exclude=("f1",))
        scene.backup()
        scene.settings = dataclasses.replace(scene.settings, exclude=())
        assert left_out(scene) == {}
