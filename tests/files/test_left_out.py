"""What the plan leaves out of its backups is nothing extra to a restore that removes what the point does not hold."""

import pytest

from holdfast.systems.files.errors import TargetTaken
from tests.files.kit import Scene


def test_removing_what_is_extra_leaves_alone_what_the_plan_excludes(tmp_path):
    """No point can hold it, so nothing could bring it back."""
    scene = Scene(tmp_path, exclude=("*.log", "/spool/", "!keep.log"), exclude_caches=True)
    (scene.source / "sub").mkdir()
    (scene.source / "sub" / "held").write_bytes(b"held")
    scene.backup()
    out = scene.folder / "out"
    scene.restore(out)
    top = scene.at(out)
    stay = ["a.log", "sub/b.log", "spool/job", "spool/deep/job", "extra/c.log", "extra/in/d.log", "cache/CACHEDIR.TAG", "cache/x"]
    go = ["keep.log", "extra/plain", "extra/in/plain", "other/deep/plain", "sub/extra", "nested/spool/job"]
    for name in (*stay, *go):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        tag = b"Signature: 8a477f597d28d172789f06886806bc55"
        (top / name).write_bytes(tag if name.endswith("TAG") else b"of today")
    made = scene.plan(out, delta=True, remove_extra=True)
    assert "remove what the point does not hold; what the plan excludes stays" in made.steps
    done = scene.restore(out, delta=True, remove_extra=True)
    left = sorted(str(one.relative_to(top)) for one in top.rglob("*") if one.is_file())
    assert left == sorted([*stay, "sub/held"])
    assert any("stay, for what the plan excludes" in note for note in done.notes)
    # A part of it, below a path of its own: the patterns are still those of the plan's path.
    (top / "spool" / "more").write_bytes(b"of today")
    (top / "sub" / "more").write_bytes(b"of today")
    scene.restore(out, delta=True, remove_extra=True, paths=[f"{scene.source}/sub"])
    assert (top / "spool" / "more").exists()
    assert not (top / "sub" / "more").exists()
    assert (top / "sub" / "b.log").exists()
    scene.close()


def test_a_folder_that_holds_what_the_plan_excludes_makes_no_way(tmp_path):
    scene = Scene(tmp_path, exclude=("*.log",))
    (scene.source / "held").write_bytes(b"held")
    scene.backup()
    out = scene.folder / "out"
    scene.restore(out)
    top = scene.at(out)
    (top / "held").unlink()
    (top / "held" / "deep").mkdir(parents=True)
    (top / "held" / "deep" / "day.log").write_bytes(b"of today")
    with pytest.raises(TargetTaken, match="that the plan excludes"):
        scene.restore(out, delta=True, remove_extra=True)
    assert (top / "held" / "deep" / "day.log").read_bytes() == b"of today"
    (top / "held" / "deep" / "day.log").rename(top / "day.log")
    (top / "held" / "deep" / "plain").write_bytes(b"of today")
    scene.restore(out, delta=True, remove_extra=True)
    assert (top / "held").read_bytes() == b"held"
    assert (top / "day.log").exists()
    scene.close()
