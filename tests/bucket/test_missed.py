"""What a capture of a bucket left out is told from what came later, where the store's own times can tell."""

import datetime as dt

import pytest

from holdfast.model import Silent, SystemClock
from holdfast.systems.bucket.proof import missed
from holdfast.systems.bucket.system import BucketSystem
from tests.bucket.kit import NAME, Scene, new_bucket, options_of


class Later(SystemClock):
    """So that everything is older than a point by more than clocks may differ."""

    def now(self) -> dt.datetime:
        return super().now() + dt.timedelta(hours=1)


def backup(scene: Scene, monkeypatch: pytest.MonkeyPatch, passing: str = "", clock: SystemClock | None = None) -> None:
    """A full one; ``passing``: keys that a faulty capture passes over."""
    from holdfast.systems.bucket.capture import run
    from holdfast.systems.bucket.listing import lines_of

    with monkeypatch.context() as faulty, scene.vault.begin(system=NAME, kind="bucket", base=None) as writer:
        if passing:
            faulty.setattr(run, "lines_of", lambda *a, **k: (one for one in lines_of(*a, **k) if not one.key.startswith(passing)))
        BucketSystem(NAME, scene.settings, clock=clock or Later()).capture(writer, Silent())


def said(scene: Scene) -> list[str]:
    results = scene.verify().report.results
    return [f"{one.state}: {one.detail}" for one in results if one.name == "left out of the point"]


def filled(scene: Scene) -> None:
    for number in range(12):
        scene.store.put(f"data/{number:02}", b"x" * number)
        scene.store.put(f"more/{number:02}", b"x" * number)


def test_what_a_capture_missed_is_no_bucket_that_moved_on(scene, monkeypatch):
    filled(scene)
    backup(scene, monkeypatch, "data/")
    [found] = said(scene)
    assert found.startswith("failed: data/00, data/01, data/02, data/03, data/04 and 7 more lie in the source since before")
    backup(scene, monkeypatch)
    assert said(scene) == []
    scene.store.delete(["more/07"])
    assert said(scene) == []


def test_what_came_later_is_not_told_as_missed(scene, monkeypatch):
    filled(scene)
    backup(scene, monkeypatch, clock=SystemClock())
    monkeypatch.setattr(missed, "MARGIN", 0)
    scene.store.put("data/00", b"overwritten")
    scene.store.put("later", b"later")
    # Stores tell whole seconds, some of them: what came in the second of the point's begin is as old as it.
    assert said(scene) == []


def test_every_version_is_judged_and_a_versioned_bucket_of_which_only_the_newest_are_kept_is_not(tmp_path, minio, monkeypatch):
    scene = Scene(tmp_path, new_bucket(minio, versions=True), options_of(minio, patience=20), versions="all")
    filled(scene)
    scene.store.put("data/00", b"again")
    scene.store.delete(["more/00"])
    backup(scene, monkeypatch, "more/00")
    [found] = said(scene)
    assert found.startswith("failed: more/00, more/00 lie in the source")
    backup(scene, monkeypatch)
    assert said(scene) == []
    scene.more["versions"] = "current"
    backup(scene, monkeypatch, "data/")
    # What was deleted then and is undeleted now would look the same.
    assert said(scene) == []
    scene.close()
