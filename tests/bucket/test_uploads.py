"""Uploads in parts do not stay behind: a store keeps them, and charges for them, until somebody ends them."""

import boto3
import pytest

from holdfast.connect.objects import StoreUnreachable
from holdfast.systems.bucket.restore.uploads import Uploads
from tests.bucket.kit import new_bucket, noise, picture
from tests.bucket.test_bad_days import killed


def held(minio, url: str, key: str) -> int:
    """Uploads of a key that the store still keeps."""
    client = boto3.client(
        "s3",
        endpoint_url=minio.endpoint,
        aws_access_key_id=minio.access_key,
        aws_secret_access_key=minio.secret_key,
        region_name=minio.region,
    )
    return len(client.list_multipart_uploads(Bucket=url.removeprefix("s3://"), Prefix=key).get("Uploads", ()))


def probed(scene) -> list[str]:
    return [one.detail for one in scene.system().probe() if one.name == "uploads in parts"]


def test_those_of_a_killed_restore_are_told_and_given_up_by_the_next(scene, minio):
    scene.store.put("large", noise(20 << 20))
    before = picture(scene.store)
    scene.backup()
    target = new_bucket(minio)
    killed(scene, minio, "restore", target, lambda _, first: "partNumber=2" in first)
    [left] = Uploads(scene.settings.uploads).left()
    assert (left.address, left.key, held(minio, target, "large")) == (target, "large", 1)
    assert probed(scene) == [f"1 was left behind by a restore that did not end: of large in {target}"]
    done = scene.restore(target, delta=True)
    assert done.notes == (f"An upload in parts of large in {target}, which an earlier restore left behind, was given up.",)
    assert (held(minio, target, "large"), Uploads(scene.settings.uploads).left(), probed(scene)) == (0, [], [])
    assert picture(scene.open(target)) == before
    assert list(scene.settings.uploads.iterdir()) == []


def test_those_of_a_restore_that_runs_are_let_alone(scene, minio, tmp_path):
    ours, others = Uploads(tmp_path / "uploads"), Uploads(tmp_path / "uploads")
    with ours.watched(scene.url, scene.store) as store:
        first, second = store.begin("a"), store.begin("b")
        assert (others.left(), others.sweep(scene.open)) == ([], [])
        store.complete("a", first, [store.part("a", first, 1, noise(6 << 20))])
        assert list(store.list()) == list(scene.store.list()) != []
    assert [one.upload for one in others.left()] == [second]
    assert len(others.sweep(scene.open)) == 1
    assert (held(minio, scene.url, "b"), others.left()) == (0, [])


def test_a_store_that_cannot_be_asked_is_asked_the_next_time(scene, minio, tmp_path):
    uploads = Uploads(tmp_path / "uploads")
    with uploads.watched(scene.url, scene.store) as store:
        store.begin("new\nline")

    def dead(url: str):
        raise StoreUnreachable(f"{url} does not answer.")

    [told] = uploads.sweep(dead)
    assert "new\\nline" in told
    assert "is still there" in told
    assert len(uploads.left()) == 1
    assert len(uploads.sweep(scene.open)) == 1
    assert uploads.left() == []


@pytest.mark.parametrize("rest", ["", '{"address": "s3://x", "key": "torn", "upl'])
def test_a_line_that_was_being_written_is_none(tmp_path, rest):
    (tmp_path / "x.jsonl").write_text('{"address": "s3://x", "key": "a", "upload": "1"}\n' + rest)
    assert [one.key for one in Uploads(tmp_path).left()] == ["a"]


def test_without_large_objects_nothing_is_written(scene, minio):
    scene.store.put("small", b"x")
    scene.backup()
    scene.restore(new_bucket(minio))
    assert not scene.settings.uploads.exists()
