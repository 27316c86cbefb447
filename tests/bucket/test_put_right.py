"""A restore over what is there: tags that no listing tells, keys that XML has no way to write, what a folder cannot hold."""

import pytest

from holdfast.connect.objects import Described
from holdfast.connect.objects.errors import KeyImpossible
from tests.bucket.kit import new_bucket, picture

NO_XML = ["ctl\x01x", "\x7f", "end\uffff", "new\nline\rx"]


def test_tags_that_were_changed_on_an_untouched_object_are_put_back(scene, minio):
    scene.store.put("a", b"content", Described(7, 0, ""), {"level": "gold"})
    scene.store.put("b", b"content", Described(7, 0, ""))
    before = picture(scene.store)
    scene.backup()
    client = minio.client()
    bucket = scene.url.removeprefix("s3://")
    client.put_object_tagging(Bucket=bucket, Key="a", Tagging={"TagSet": [{"Key": "level", "Value": "tin"}]})
    client.put_object_tagging(Bucket=bucket, Key="b", Tagging={"TagSet": [{"Key": "new", "Value": "x"}]})
    client.close()
    assert picture(scene.store) != before
    scene.restore(scene.url, delta=True)
    assert picture(scene.store) == before
    assert scene.verify(against=scene.url).report.verdict == "passed"


def test_keys_that_xml_cannot_say_are_removed_too(scene):
    scene.store.put("stays", b"1")
    scene.backup()
    for key in NO_XML:
        scene.store.put(key, b"2")
    done = scene.restore(scene.url, delta=True, remove_extra=True)
    assert [*picture(scene.store)] == ["stays"]
    assert f"{len(NO_XML)} objects that the point does not hold were removed." in done.notes
    scene.store.delete(["nothing\x01there"])


def test_what_would_be_a_folder_and_holds_something_is_refused_by_name(scene, minio, tmp_path):
    scene.store.put("folder/", b"content")
    scene.backup()
    with pytest.raises(KeyImpossible, match="'folder/' holds something"):
        scene.restore(f"file://{tmp_path}/into")
    copy = new_bucket(minio)
    scene.restore(copy)
    assert picture(scene.open(copy))["folder/"][0] == b"content"


def test_nothing_is_written_through_a_link(scene, tmp_path):
    outside, into = tmp_path / "outside", tmp_path / "into"
    (outside / "deep").mkdir(parents=True)
    into.mkdir()
    (into / "landing").symlink_to(outside)
    scene.store.put("landing/deep/a", b"content")
    scene.backup()
    with pytest.raises(KeyImpossible, match="is a link"):
        scene.restore(f"file://{into}", delta=True)
    assert list((outside / "deep").iterdir()) == []
    # What the folder itself is reached by is the caller's business.
    (tmp_path / "door").symlink_to(tmp_path / "room")
    (tmp_path / "room").mkdir()
    scene.restore(f"file://{tmp_path}/door", delta=True)
    assert (tmp_path / "room" / "landing" / "deep" / "a").read_bytes() == b"content"
