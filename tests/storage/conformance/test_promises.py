"""What the contract promises, asked of every storage."""

import datetime as dt
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from holdfast.storage import ObjectExists, ObjectMissing
from holdfast.storage.names import BadName
from holdfast.storage.probe import require_fit


def names(found):
    return [info.name for info in found]


def test_put_then_get(storage):
    storage.put_if_absent("config", [b"one", bytearray(b"two"), memoryview(b"xthreex")[1:-1]])
    assert storage.get("config") == b"onetwothree"
    assert storage.head("config").size == 11


def test_parts_stay_as_they_were(storage):
    parts = [bytearray(b"ab"), b"", memoryview(b"cd")]
    storage.put_if_absent("a", parts)
    assert [bytes(part) for part in parts] == [b"ab", b"", b"cd"]


def test_no_parts_make_an_empty_object(storage):
    storage.put_if_absent("packs/00/empty", [])
    assert storage.get("packs/00/empty") == b""
    assert storage.head("packs/00/empty").size == 0


def test_the_second_put_is_refused_and_changes_nothing(storage):
    storage.put_if_absent("points/aa", [b"commit"])
    for body in (b"abort", b"commit"):
        with pytest.raises(ObjectExists) as refused:
            storage.put_if_absent("points/aa", [body])
        assert refused.value.name == "points/aa"
    assert storage.get("points/aa") == b"commit"


def test_of_many_at_once_exactly_one_wins(storage):
    barrier = threading.Barrier(8)

    def race(number):
        barrier.wait()
        try:
            storage.put_if_absent("points/raced", [b"%d" % number * 1000])
        except ObjectExists:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(race, range(8)) if number is not None]
    assert len(winners) == 1
    assert storage.get("points/raced") == b"%d" % winners[0] * 1000


def test_large_objects_in_many_parts(storage):
    body = os.urandom(5 << 20) * 4
    view = memoryview(body)
    storage.put_if_absent("packs/ab/large", [view[start : start + 10_007] for start in range(0, len(body), 10_007)])
    assert storage.get("packs/ab/large") == body


@pytest.mark.parametrize(
    ("start", "length"), [(0, 0), (0, 4), (3, 4), (6, 4), (9, 10), (10, 5), (40, 5), (0, None), (4, None), (10, None), (12, None)]
)
def test_ranges(storage, start, length):
    storage.put_if_absent("logs/x", [b"0123456789"])
    assert storage.get("logs/x", start, length) == b"0123456789"[start : None if length is None else start + length]


@pytest.mark.parametrize(("start", "length"), [(0, None), (0, 4), (3, 4), (3, None), (0, 0)])
def test_what_is_missing_is_told(storage, start, length):
    storage.put_if_absent("a/b", [b"x"])
    if (start, length) != (0, 0):
        with pytest.raises(ObjectMissing):
            storage.get("a/c", start, length)
    assert storage.head("a/c") is None
    assert storage.head("a") is None


def test_listing_is_complete_and_sorted(storage):
    made = [
        "config",
        "index/9",
        "index/a",
        "keys/slots/1",
        "logs/a-b/2",
        "logs/a/1",
        "logs/a.b/3",
        "logs/a/0-1",
        "logs/ab",
        "points/1",
        "points/1.2",
    ]
    for name in reversed(made):
        storage.put_if_absent(name, [name.encode()])
    assert names(storage.list()) == sorted(made)
    assert names(storage.list("logs/")) == [name for name in sorted(made) if name.startswith("logs/")]
    assert names(storage.list("logs/a")) == [name for name in sorted(made) if name.startswith("logs/a")]
    assert names(storage.list("logs/a/")) == ["logs/a/0-1", "logs/a/1"]
    assert names(storage.list("points/1.")) == ["points/1.2"]
    assert names(storage.list("nothing/")) == []
    for after in [*made, "", "k", "logs/a", "logs/a/", "zzz", "index/99"]:
        assert names(storage.list(after=after)) == [name for name in sorted(made) if name > after]
        assert names(storage.list("logs/", after)) == [name for name in sorted(made) if name.startswith("logs/") and name > after]
    assert next(storage.list("index/")).size == 7


def test_a_listing_longer_than_a_page(storage):
    made = [f"logs/s/b/{number:016x}-{number + 1:016x}" for number in range(1200)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: storage.put_if_absent(name, [b""]), made))
    assert names(storage.list("logs/")) == made
    assert names(storage.list("logs/", made[1100])) == made[1101:]


def test_folders(storage):
    for name in ("logs/b/x/1", "logs/a/1", "logs/a/2", "logs/file", "points/1", "config"):
        storage.put_if_absent(name, [b"x"])
    assert list(storage.folders("logs/")) == ["a", "b"]
    assert list(storage.folders("")) == ["logs", "points"]
    assert list(storage.folders("none/")) == []


def test_delete(storage):
    storage.put_if_absent("sessions/1", [b"x"])
    storage.put_if_absent("sessions/2", [b"x"])
    storage.delete("sessions/1")
    assert storage.head("sessions/1") is None
    assert names(storage.list("sessions/")) == ["sessions/2"]
    storage.delete("sessions/1")
    storage.delete("never/was")
    storage.put_if_absent("sessions/1", [b"new"])
    assert storage.get("sessions/1") == b"new"


def test_the_stores_time(storage):
    before = storage.now()
    assert before.tzinfo is not None
    assert abs(before - dt.datetime.now(dt.UTC)) < dt.timedelta(seconds=30)
    storage.put_if_absent("a", [b""])
    assert abs(storage.head("a").modified - before) < dt.timedelta(seconds=30)
    assert names(storage.list()) == ["a"]


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/./b", "a/", ".tmp/x", "a\\b", "ä", "a\nb"])
def test_names_that_could_leave_the_location_are_refused(storage, name):
    for call in (storage.get, storage.head, storage.delete, lambda name: storage.put_if_absent(name, [b"x"])):
        with pytest.raises(BadName):
            call(name)


def test_fit_for_a_vault(storage):
    require_fit(storage)
    assert names(storage.list()) == []
