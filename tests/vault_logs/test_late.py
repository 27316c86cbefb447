"""A follower goes on without a location that the tier's copies can spare, and what that one lacks is brought when it is back."""

import threading
import time
from typing import ClassVar

import pytest

from holdfast.storage import StorageUnreachable
from holdfast.storage.local import LocalStorage
from holdfast.storage.wrappers.base import Wrapper
from holdfast.vault.logs import late, names


class Away(Wrapper):
    """Does not answer while its address is in ``gone``."""

    gone: ClassVar[set[str]] = set()

    def _look(self):
        if self.url in self.gone:
            raise StorageUnreachable("nobody answers", hint="")

    def put_if_absent(self, name, parts):
        self._look()
        self.inner.put_if_absent(name, parts)

    def get(self, name, start=0, length=None):
        self._look()
        return self.inner.get(name, start, length)

    def list(self, prefix="", after=""):
        self._look()
        yield from self.inner.list(prefix, after)

    def delete(self, name):
        self._look()
        self.inner.delete(name)

    def now(self):
        self._look()
        return self.inner.now()


@pytest.fixture
def gone(monkeypatch):
    monkeypatch.setattr(Away, "gone", set())
    monkeypatch.setattr(late, "EVERY", 0.05)
    return Away.gone


def held(place, number):
    return {one.name: LocalStorage(place.folders[number]).get(one.name) for one in LocalStorage(place.folders[number]).list("logs/")}


def url(place, number):
    return LocalStorage(place.folders[number]).url


def wait_for(truth):
    until = time.monotonic() + 60
    while not truth():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("number", [0, 1], ids=["first", "second"])
def test_one_copy_is_enough_and_the_other_catches_up(place, gone, number):
    """Also the first, which holds the lease."""
    with place.logs(wrap=Away, copies=1, lease_seconds=1, memory=place.cache).writer("main") as writer:
        writer.append(0, b"a" * 100, {})
        gone.add(url(place, number))
        if number == 0:
            writer._lease._taken -= 1
        for position in range(100, 1000, 100):
            writer.append(position, b"b" * 100, {})
        assert list(writer.lacking) == [url(place, number)]
        assert "nobody answers" in writer.lacking[url(place, number)]
        assert len(held(place, number)) == 1
        assert len(held(place, 1 - number)) == 10
        gone.clear()
        wait_for(lambda: not writer.lacking)
        assert held(place, 0) == held(place, 1)
        writer.append(1000, b"c" * 100, {})
    assert held(place, 0) == held(place, 1)
    assert len(held(place, 0)) == 11


def test_nothing_that_is_appended_meanwhile_is_left_out(place, gone):
    """The location comes and goes while increments are appended."""
    done = threading.Event()

    def flap():
        while not done.wait(0.02):
            gone.symmetric_difference_update({url(place, 1)})
        gone.clear()

    thread = threading.Thread(target=flap)
    thread.start()
    with place.logs(wrap=Away, copies=1).writer("main") as writer:
        for number in range(200):
            writer.append(number * 10, b"%010d" % number, {})
            time.sleep(0.002)
        # A gap that is filled at last lies before everything that is missed.
        writer.append(10_000_000, b"x", {})
        writer.append(5_000_000, b"y", {})
        done.set()
        thread.join()
        wait_for(lambda: not writer.lacking)
    assert held(place, 0) == held(place, 1)
    assert len(held(place, 0)) == 202


def test_where_too_few_would_be_left_it_is_an_error(place, gone):
    with place.logs(wrap=Away, copies=2).writer("main") as writer:
        gone.add(url(place, 1))
        with pytest.raises(StorageUnreachable):
            writer.append(0, b"abc", {})
        gone.clear()
        writer.append(0, b"abc", {})
    with place.logs(wrap=Away, copies=1).writer("main") as writer:
        gone.update(url(place, number) for number in (0, 1))
        with pytest.raises(StorageUnreachable):
            writer.append(3, b"abc", {})
        gone.clear()


def test_a_writer_that_ended_meanwhile_leaves_the_rest_to_the_next(place, gone):
    with place.logs(wrap=Away, copies=1, memory=place.cache).writer("main") as writer:
        writer.append(0, b"abc", {})
        gone.add(url(place, 1))
        writer.append(3, b"def", {})
    with place.logs(wrap=Away, copies=1, memory=place.cache).writer("main") as writer:
        assert list(writer.lacking) == [url(place, 1)]
        writer.append(6, b"ghi", {})
        gone.clear()
        wait_for(lambda: not writer.lacking)
    assert held(place, 0) == held(place, 1)
    assert len(held(place, 0)) == 3


class Counting(Wrapper):
    listed = 0

    def list(self, prefix="", after=""):
        for one in self.inner.list(prefix, after):
            if prefix.startswith("logs/"):
                Counting.listed += 1
            yield one


def test_a_long_branch_is_opened_without_listing_all_of_it(place, monkeypatch):
    size = 1 << 20
    with place.logs(memory=place.cache).writer("main") as writer:
        for number in range(300):
            writer.append(number * size, b"x" * 8, {})
        writer.append(300 * size, b"the end", {})
    end = 300 * size + 7

    def opened():
        monkeypatch.setattr(Counting, "listed", 0)
        logs = place.logs(wrap=Counting, memory=place.cache)
        assert list(logs.branches()) == ["main"]
        ranges = logs.reader("main").remembered()
        with logs.writer("main") as writer:
            assert writer.end == end
        return Counting.listed, ranges

    opened()
    listed, ranges = opened()
    assert len(ranges) == 301
    near = names.LONGEST // size + 2
    assert listed < 5 * near
    # A location that was put back to an older state is seen, and brought level.
    newest = max(held(place, 1))
    middle = sorted(held(place, 1))[100]
    LocalStorage(place.folders[1]).delete(newest)
    LocalStorage(place.folders[1]).delete(middle)
    opened()
    assert held(place, 0) == held(place, 1)
    # Nothing of it is needed.
    for path in (place.cache / "logs").iterdir():
        path.write_text("no")
    assert opened()[1] == ranges
