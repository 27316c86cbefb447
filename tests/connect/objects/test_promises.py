"""What ``Objects`` promises, asked of every store that has a server here."""

import gzip
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from holdfast.connect.objects import Described, ObjectChanged, ObjectGone, StoreDenied, open_objects
from holdfast.connect.objects.azure import store as azure_store
from holdfast.connect.objects.google import store as google_store

# None that is a folder of another: MinIO cannot hold these.
KEYS = [
    "%41",
    "'\"<>&",
    "a",
    "a b",
    "a+b",
    "a-b",
    "a..b",
    "c/b",
    "a:b",
    "a?x=1&y#z",
    "dir/",
    "x" * 200 + "/" + "y" * 200,
    "~",
    "é/ü/日本",
    "😀",
]


def content(store, key: str, size: int, **more) -> bytes:
    buffer = bytearray(size)
    store.read_into(key, memoryview(buffer), **more)
    return bytes(buffer)


def fill(store, keys=KEYS) -> dict[str, bytes]:
    made = {key: b"" if key.endswith("/") else key.encode() * 3 for key in keys}
    for key, data in made.items():
        store.put(key, data)
    return made


def test_odd_keys_are_listed_in_the_order_of_their_bytes_and_read(store):
    made = fill(store)
    listed = list(store.list())
    assert [one.key for one in listed] == sorted(made, key=lambda key: key.encode())
    now = time.time_ns()
    for one in listed:
        assert one.size == len(made[one.key])
        assert content(store, one.key, one.size, etag=one.etag) == made[one.key]
        assert abs(one.modified_ns - now) < 60_000_000_000
        assert not one.version
        assert not one.marker


def test_prefixes_end_anywhere_and_a_listing_begins_behind_a_key(store):
    fill(store, ["a-", "a/b", "a/c", "ab", "b-", "b/a"])
    assert [one.key for one in store.list("a")] == ["a-", "a/b", "a/c", "ab"]
    assert [one.key for one in store.list("a/")] == ["a/b", "a/c"]
    assert [one.key for one in store.list("c")] == []
    assert [one.key for one in store.list("", "a/b")] == ["a/c", "ab", "b-", "b/a"]
    assert [one.key for one in store.list("a", "a/bb")] == ["a/c", "ab"]
    assert [one.key for one in store.list("a/", "a/c")] == []


def test_a_listing_of_many_pages(store, monkeypatch):
    for module in (google_store, azure_store):
        monkeypatch.setattr(module, "_PAGE", "40")
    keys = [f"k/{number:05d}" for number in range(100)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.put(key, b""), keys))
    assert [one.key for one in store.list("k/")] == keys
    assert [one.key for one in store.list("k/", "k/00050")] == keys[51:]
    store.delete(keys[:60])
    assert [one.key for one in store.list()] == keys[60:]


def test_parts_of_an_object(store):
    data = os.urandom(3_000_000)
    etag = store.put("a", data)
    assert etag == next(store.list()).etag
    for start, size in ((0, 3_000_000), (0, 1), (1_000_000, 2_000_000), (2_999_999, 1)):
        assert content(store, "a", size, start=start, etag=etag) == data[start : start + size]


def test_what_is_gone_or_replaced_is_told(store):
    etag = store.put("a", b"one")
    with pytest.raises(ObjectGone, match="b is not there"):
        content(store, "b", 3)
    assert store.describe("b") is None
    with pytest.raises(ObjectChanged):
        content(store, "a", 4)
    listed = next(store.list())
    store.put("a", b"two")
    with pytest.raises(ObjectChanged):
        content(store, "a", 3, etag=listed.etag)
    with pytest.raises(ObjectChanged):
        content(store, "a", 2, start=1, etag=etag)
    assert content(store, "a", 3) == b"two"
    store.delete(["a", "never"])
    with pytest.raises((ObjectGone, ObjectChanged)):  # who then asks again hears that it is gone
        content(store, "a", 3, etag=listed.etag)
    with pytest.raises(ObjectGone):
        content(store, "a", 3)


def test_a_bucket_that_is_not_there(place):
    scheme = place.url.partition("://")[0]
    store = open_objects(f"{scheme}://holdfast-no-such-bucket", place.options)
    for ask in (lambda: list(store.list()), lambda: store.put("a", b"x"), lambda: store.part("a", store.begin("a"), 1, b"x")):
        with pytest.raises(StoreDenied, match="holdfast-no-such-bucket"):
            ask()


HEADERS = {
    "content-type": "text/x-mine; charset=utf-8",
    "content-encoding": "gzip",
    "content-language": "de",
    "content-disposition": 'attachment; filename="x"',
    "cache-control": "no-cache",
}


def test_what_belongs_to_an_object(store):
    """What says that it is gzip and is none comes back byte for byte."""
    described = Described(0, 0, "", headers=HEADERS, metadata={"mine": "v 1", "other": "x=y&z"})
    tags = {"team": "core", "a b": "c=d"} if store.fitting(described, {"a": "b"}).tags else {}
    store.put("a", b"data", described, tags)
    upload = store.begin("large", described, tags)
    store.complete("large", upload, [store.part("large", upload, 1, bytes(5 << 20), 0)])
    for key, size in (("a", 4), ("large", 5 << 20)):
        listed = next(store.list(key))
        buffer = bytearray(listed.size)
        for told in (store.describe(key), store.read_into(key, memoryview(buffer), etag=listed.etag)):
            assert (told.headers, told.metadata) == (HEADERS, described.metadata)
            assert (told.size, told.etag, told.modified_ns // 10**9) == (listed.size, listed.etag, listed.modified_ns // 10**9)
            assert bool(told.tag_count) == bool(tags)
        assert listed.size == size
        assert store.tags(key) == tags


def test_what_is_stored_packed_comes_as_it_is_stored(store):
    """Google unpacks it for who does not say that he takes it packed."""
    data = gzip.compress(b"x" * 1000)
    store.put("a", data, Described(0, 0, "", headers={"content-type": "text/plain", "content-encoding": "gzip"}))
    listed = next(store.list())
    assert listed.size == len(data)
    assert content(store, "a", len(data), etag=listed.etag) == data
    assert content(store, "a", 5, start=3, etag=listed.etag) == data[3:8]


def test_large_objects_in_parts_in_any_order(store):
    parts = [os.urandom(5 << 20), os.urandom(5 << 20), os.urandom(5 << 20), b"end"]
    upload = store.begin("large")
    etags = {}
    for number in (3, 1, 4, 2):
        etags[number] = store.part("large", upload, number, parts[number - 1], (number - 1) * (5 << 20))
    assert store.describe("large") is None
    etag = store.complete("large", upload, [etags[number] for number in sorted(etags)])
    listed = next(store.list())
    assert (listed.size, listed.etag) == (15 << 20 | 3, etag)
    assert content(store, "large", listed.size, etag=etag) == b"".join(parts)


def test_an_upload_that_is_given_up_leaves_nothing(store):
    store.put("a", b"before")
    upload = store.begin("a")
    store.part("a", upload, 1, bytes(5 << 20), 0)
    store.abandon("a", upload)
    assert [(one.key, one.size) for one in store.list()] == [("a", 6)]
    assert content(store, "a", 6) == b"before"


def test_of_two_that_put_a_new_object_one_wins(store):
    assert store.put_new("a/b", b"one")
    assert not store.put_new("a/b", b"two")
    assert not store.put_new("a/b", b"longer")
    assert content(store, "a/b", 3) == b"one"


def test_a_copy_inside_the_store(store):
    store.put("a b/é", b"data", Described(0, 0, "", metadata={"mine": "x"}))
    store.copy("a b/é", "new/ü")
    assert content(store, "new/ü", 4) == b"data"
    assert store.describe("new/ü").metadata == {"mine": "x"}
    with pytest.raises(ObjectGone):
        store.copy("none", "new")


def test_empty_objects(store):
    store.put("empty", b"")
    assert content(store, "empty", 0) == b""
    assert content(store, "empty", 0, etag=next(store.list()).etag) == b""
