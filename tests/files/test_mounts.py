"""Nothing of another mount is ever removed, in a private mount namespace with real mounts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.systems.files.errors import MountInTheWay
from holdfast.systems.files.handles import Handle
from holdfast.systems.files.restore import removing
from holdfast.systems.files.restore.removing import mounts_below, remove_tree


def _may_mount() -> bool:
    if os.geteuid() != 0:
        return False
    tried = subprocess.run(["unshare", "-m", "sh", "-c", "mount -t tmpfs none /mnt"], capture_output=True, check=False)
    return tried.returncode == 0


mounting = pytest.mark.skipif(not _may_mount(), reason="needs root and a mount namespace of its own")

RESTORE = """
import json, os, sys
from pathlib import Path
from holdfast.errors import HoldfastError
from tests.files.kit import Scene
scene = Scene.__new__(Scene)
scene.reopen(Path(sys.argv[1]))
options = json.loads(sys.argv[2])
into = scene.folder / "out"
if options.pop("late", False):
    # Mounted after the plan was made.
    from holdfast.systems.files.restore import plan, removing
    plan.mounts_below = lambda place: []
    removing.mounts_below = lambda place: []
try:
    done = scene.restore(into, delta=True, **options)
    said = {"code": None, "notes": list(done.notes)}
except HoldfastError as error:
    said = {"code": error.code, "status": error.status, "message": error.message}
top = scene.at(into)
said["there"] = sorted(str(path.relative_to(top)) for path in top.rglob("*"))
print(json.dumps(said))
"""


def restored(scene, mount: str, **options):
    """What a delta restore says with ``mount`` done before it; and what there is afterwards, mounts included."""
    words = [sys.executable, "-c", RESTORE, str(scene.folder), json.dumps(options)]
    script = f'cd "{scene.at(scene.folder / "out")}" && {mount} && cd "{Path(__file__).parents[2]}" && exec "$@"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-e", "-c", script, "sh", *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


TMPFS = "mkdir {0} && mount -t tmpfs none {0} && mkdir {0}/sub && touch {0}/sub/precious"
BIND = "mkdir {0} && mkdir ../elsewhere && mkdir ../elsewhere/sub && touch ../elsewhere/sub/precious && mount --bind ../elsewhere {0}"


@pytest.fixture
def out(scene):
    (scene.source / "kept").mkdir()
    (scene.source / "kept" / "file").write_bytes(b"x")
    scene.backup()
    scene.restore(scene.folder / "out")
    return scene


@mounting
@pytest.mark.parametrize("mount", [TMPFS, BIND], ids=["tmpfs", "bind"])
@pytest.mark.parametrize("late", [False, True], ids=["planned", "late"])
@pytest.mark.parametrize("where", ["folder/extra", "kept/extra"])
def test_an_extra_mount_is_refused_and_keeps_what_it_holds(out, mount, where, late):
    making = f"mkdir -p folder && {mount.format(where)}"
    said = restored(out, making, remove_extra=True, late=late)
    assert (said["code"], said["status"]) == ("files-mount-in-the-way", 4)
    assert f"{out.at(out.folder / 'out')}/{where}" in said["message"]
    assert f"{where}/sub/precious" in said["there"]


@mounting
@pytest.mark.parametrize("late", [False, True], ids=["planned", "late"])
def test_what_lies_on_a_mount_over_a_folder_of_the_point_is_not_extra(out, late):
    said = restored(out, "mount -t tmpfs none kept && touch kept/precious", remove_extra=True, late=late)
    assert said["code"] == "files-mount-in-the-way"
    assert "kept/precious" in said["there"]


@mounting
@pytest.mark.parametrize("late", [False, True], ids=["planned", "late"])
@pytest.mark.parametrize("inner", ["", "/inner"])
def test_a_mount_makes_no_way_for_a_file_of_the_point(out, inner, late):
    place = out.at(out.folder / "out") / "kept" / "file"
    place.unlink()
    mount = TMPFS.format(f"kept/file{inner}")
    if inner:
        mount = f"mkdir kept/file && {mount}"
    said = restored(out, mount, remove_extra=True, late=late)
    assert said["code"] == "files-mount-in-the-way"
    assert f"kept/file{inner}/sub/precious" in said["there"]


@mounting
def test_a_restored_top_may_be_a_mount_itself(out):
    (out.at(out.folder / "out") / "extra").mkdir()
    script = "mount --bind . . && cd . && touch extra/file"
    said = restored(out, script, remove_extra=True)
    assert said["code"] is None
    assert said["there"] == ["kept", "kept/file"]


@mounting
def test_without_removal_mounts_are_no_matter(out):
    assert restored(out, TMPFS.format("extra"))["code"] is None


def test_names_of_the_mount_table_are_read_as_they_are(tmp_path, monkeypatch):
    table = tmp_path / "mountinfo"
    table.write_bytes(
        b"36 35 98:0 / /srv/a\\040b\\134c rw,noatime - ext4 /dev/root rw\n37 35 98:0 / /srv rw - ext4 /dev/root rw\n"
        b"38 35 98:0 / /srvother rw - ext4 /dev/root rw\n39 35 98:0 /x /srv/\\303\\244 rw - ext4 /dev/root rw\n"
    )

    class Here(type(Path())):
        def read_bytes(self):
            return Path(table).read_bytes() if str(self) == "/proc/self/mountinfo" else super().read_bytes()

    monkeypatch.setattr(removing, "Path", Here)
    assert mounts_below(Here("/srv")) == ["/srv/a b\\c", "/srv/ä"]


def test_a_tree_is_removed_without_following_links(tmp_path):
    (tmp_path / "tree" / "a" / "b").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").touch()
    (tmp_path / "tree" / "a" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "tree" / "a" / "file").touch()
    parent = Handle.open(str(tmp_path))
    remove_tree(parent, "tree", "tree")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside"]
    assert (tmp_path / "outside" / "file").exists()
    (tmp_path / "link").symlink_to("outside")
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        remove_tree(parent, "link", "link")
    assert MountInTheWay.status == 4


def test_extra_folders_beside_names_that_begin_alike_go_together(out):
    """In the order of a point ``a.txt`` comes between ``a`` and what is in it."""
    top = out.at(out.folder / "out")
    (top / "a" / "b").mkdir(parents=True)
    (top / "a" / "b" / "file").touch()
    (top / "a.txt").touch()
    done = out.restore(out.folder / "out", delta=True, remove_extra=True)
    assert sorted(path.name for path in top.iterdir()) == ["kept"]
    assert "2 entries that the point does not hold were removed." in done.notes
