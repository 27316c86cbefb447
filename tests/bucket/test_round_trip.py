"""What a bucket holds comes back: every key, content, header, metadata, tag."""

import pytest

from holdfast.connect.objects import Described
from holdfast.connect.objects.errors import KeyImpossible
from holdfast.systems.bucket.errors import BucketEmptied, BucketUsage, NoBucketPoint, PrefixTaken
from holdfast.systems.bucket.restore.writing import LargeTarget
from tests.bucket.kit import new_bucket, noise, picture

ODD = [
    "a b",
    "a..b",
    "%41",
    "a%2Fb",
    "é/ü/日本",
    "new\nline",
    "tab\there",
    "q?x=1&y#z+",
    "a+b",
    "'\"<>&",
    "x" * 200 + "/" + "y" * 200 + "/" + "z" * 200,
    "ä" * 120 + "/" + "ö" * 120 + "/" + "ü" * 120 + "/" + "ß" * 120 + "/" + "é" * 30,
    "dir/",
    "*",
    "~a",
    "a:b",
    "back\\slash",
    "€\u0080\u009f",
    "a",
    "a-b",
    "a.c",
    "objects/x",
]


def fill(store, keys=ODD):
    for number, key in enumerate(keys):
        headers = {"content-type": f"text/x-{number}", "cache-control": "no-cache", "expires": "Wed, 21 Oct 2026 07:28:00 GMT"}
        if number % 2:
            headers["content-disposition"] = 'attachment; filename="x"'
            headers["content-encoding"] = "identity"
            headers["content-language"] = "de"
        described = Described(0, 0, "", headers=headers, metadata={"mine": f"v {number}", "umlaut": "grün"} if number % 3 else {})
        store.put(key, b"" if key.endswith("/") else noise(number * 1000), described, {"team": "core", "a b": "c=d"} if number % 4 else {})


def test_odd_keys_and_all_that_belongs_to_objects(scene, minio):
    fill(scene.store)
    scene.store.put("large", noise(9 << 20), Described(0, 0, "", metadata={"is": "large"}), {"large": "yes"})
    before = picture(scene.store)
    assert len(before) == len(ODD) + 1
    point = scene.backup()
    assert (point.facts["objects"], point.facts["incomplete"], point.findings) == (len(ODD) + 1, 0, [])
    target = new_bucket(minio)
    done = scene.restore(target)
    assert done.extracted.files == len(ODD) + 1
    assert picture(scene.open(target)) == before
    with pytest.raises(KeyImpossible, match="more than 1024 bytes"):
        scene.plan(f"{target}/some/where/deeper/than/it/can/be/with/a/long/key/in/it/which/is/a/thousand/bytes/long")


def test_an_unchanged_bucket_is_listed_only(scene):
    fill(scene.store)
    scene.backup()
    again = scene.backup()
    assert (again.method, again.facts["unread"], again.facts["requests"]["get"]) == ("incremental", len(ODD), 0)
    assert again.totals.stored < 20_000
    scene.store.put("a", b"new")
    scene.store.delete(["a b"])
    scene.store.put("zz", b"")
    third = scene.backup()
    assert (third.facts["unread"], third.facts["requests"]["get"], third.facts["objects"]) == (len(ODD) - 2, 2, len(ODD))
    first = scene.vault.points("raw")[0]
    names = {line.path for line in scene.vault.reader(third).lines()}
    assert names == {f"objects/{key}" for key in [*ODD, "zz"] if key != "a b"}
    assert scene.vault.reader(first).find("objects/a b") is not None


def test_prefixes_and_a_folder_in_the_address(scene, minio):
    fill(scene.store, ["in/a/1", "in/a/2", "in/b", "in/c/1", "out", "inside"])
    scene.url += "/in"
    scene.more["prefixes"] = ("a/", "c", "a/1")
    point = scene.backup()
    assert [line.path for line in scene.vault.reader(point).lines()] == ["objects/in/a/1", "objects/in/a/2", "objects/in/c/1"]
    target = new_bucket(minio)
    scene.restore(target)
    assert list(picture(scene.open(target))) == ["a/1", "a/2", "c/1"]
    scene.restore(f"{target}/only", paths=["in/a/"])
    assert list(picture(scene.open(target), "only/")) == ["a/1", "a/2"]
    scene.restore(f"{target}/one", paths=["objects/in/a/2"])
    assert list(picture(scene.open(target), "one/")) == ["a/2"]
    with pytest.raises(BucketUsage, match="holds no object nothing"):
        scene.plan(target, paths=["nothing"])


def test_what_the_point_does_not_speak_of_is_let_alone(scene):
    fill(scene.store, ["in/a/1", "in/a/2", "in/b", "in/c/1", "out"])
    scene.url += "/in"
    scene.more["prefixes"] = ("a/", "c")
    scene.backup()
    before = picture(scene.store)
    fill(scene.store, ["in/a/3", "in/b2", "in/a/1", "out2"])
    beside = {key: value for key, value in picture(scene.store).items() if key in ("in/b2", "out2")}
    scene.restore(scene.url, delta=True, remove_extra=True)
    assert picture(scene.store) == before | beside


def test_a_folder_is_protected_and_restored_to(scene, tmp_path):
    fill(scene.store, ["a/b", "c", "d/e/f", "leer/"])
    scene.store.put("large", noise(9 << 20))
    before = picture(scene.store)
    scene.backup()
    out = tmp_path / "out"
    done = scene.restore(f"file://{out}")
    assert "keeps no content types" in done.notes[0]
    assert {key: (out / key).read_bytes() for key in before if not key.endswith("/")} == {
        key: value[0] for key, value in before.items() if not key.endswith("/")
    }
    assert (out / "leer").is_dir()
    assert not [path for path in out.rglob("*") if "partial" in path.name]


def test_a_target_that_holds_something_is_refused(scene, minio):
    fill(scene.store, ["a", "b"])
    scene.backup()
    target = new_bucket(minio)
    scene.open(target).put("there/x", b"x")
    plan = scene.plan(f"{target}/there")
    assert plan.obstacles[0].code == "bucket-target-taken"
    with pytest.raises(PrefixTaken, match="holds objects already, 'there/x'"):
        scene.restore(f"{target}/there")
    scene.restore(f"{target}/the")
    assert set(picture(scene.open(target))) == {"there/x", "the/a", "the/b"}


def test_nothing_is_taken_for_an_emptied_bucket(scene):
    with pytest.raises(NoBucketPoint):
        scene.plan("s3://nowhere")
    fill(scene.store, ["a"])
    scene.backup()
    scene.store.delete(["a"])
    with pytest.raises(BucketEmptied, match="held 1 objects"):
        scene.backup()
    assert scene.backup(full=True).facts["objects"] == 0


def test_empty_and_large_objects(scene, minio):
    scene.store.put("empty", b"")
    scene.store.put("zeros", bytes(20 << 20))
    half = noise(1 << 20)
    scene.store.put("half", half + bytes(9 << 20) + half)
    before = picture(scene.store)
    scene.backup()
    target = new_bucket(minio)
    scene.restore(target)
    assert picture(scene.open(target)) == before
    assert scene.verify(against=target).report.verdict == "passed"


def test_a_large_object_with_holes_of_zeros_is_not_held(scene, monkeypatch):
    """Each part goes when its bytes came, zeros among them: an object may be larger than memory."""
    scene.store.put("holes", b"".join(noise(1 << 16) + bytes(7 << 20) for _ in range(6)))
    scene.backup()
    most = 0
    write = LargeTarget.write

    def watched(self, offset, data):
        nonlocal most
        write(self, offset, data)
        most = max(most, len(self._parts))

    monkeypatch.setattr(LargeTarget, "write", watched)
    scene.restore(scene.url + "/copy")
    assert most <= 3
    assert picture(scene.store)["copy/holes"] == picture(scene.store)["holes"]
