"""Retry, throttle and planned faults, and the probe that refuses unfit stores."""

import threading
import time

import pytest

from holdfast.storage import ObjectExists, StorageFull, StorageUnfit, StorageUnreachable
from holdfast.storage.memory import MemoryStorage
from holdfast.storage.open import open_storage
from holdfast.storage.probe import require_fit
from holdfast.storage.wrappers.base import Wrapper
from holdfast.storage.wrappers.breaker import Breaker
from holdfast.storage.wrappers.deadline import Deadline
from holdfast.storage.wrappers.faults import Fault, Faulty, UnfiredFault, full
from holdfast.storage.wrappers.retry import Retrying
from holdfast.storage.wrappers.throttle import Rate, Throttled


@pytest.mark.parametrize("call", ["put", "get", "head", "list", "folders", "delete", "now"])
def test_passing_faults_are_waited_out(brisk, call):
    memory = MemoryStorage()
    memory.put_if_absent("a/b", [b"x"])
    with Faulty(memory, Fault(call, times=4)) as faulty:
        storage = Retrying(faulty, brisk)
        storage.put_if_absent("a/c", [b"y"])
        assert storage.get("a/c") == b"y"
        assert storage.head("a/b").size == 1
        assert [info.name for info in storage.list()] == ["a/b", "a/c"]
        assert list(storage.folders("")) == ["a"]
        storage.delete("a/b")
        storage.now()
    assert list(memory.objects) == ["a/c"]
    assert brisk.slept > 0


def test_patience_ends(brisk):
    faulty = Faulty(MemoryStorage(), Fault("get", times=10**6))
    with pytest.raises(StorageUnreachable):
        Retrying(faulty, brisk, patience=30).get("a")
    assert 5 < brisk.slept <= 30
    assert 5 < faulty.faults[0].fired < 40


def test_no_room_is_not_repeated(brisk):
    with Faulty(MemoryStorage(), Fault("put", act=full)) as faulty, pytest.raises(StorageFull):
        Retrying(faulty, brisk).put_if_absent("a", [b"x"])
    assert brisk.slept == 0


def test_an_answer_that_was_lost_is_success_only_for_equal_bytes(brisk):
    memory = MemoryStorage()
    with Faulty(memory, Fault("put", late=True)) as faulty:
        Retrying(faulty, brisk).put_if_absent("a", [b"m", b"ine"])
    assert memory.get("a") == b"mine"

    class Raced(Wrapper):
        """Somebody else takes the name while our first try fails."""

        tries = 0

        def put_if_absent(self, name, parts):
            self.tries += 1
            if self.tries == 1:
                self.inner.put_if_absent(name, [b"theirs"])
                raise StorageUnreachable("no answer")
            self.inner.put_if_absent(name, parts)

    with pytest.raises(ObjectExists):
        Retrying(Raced(MemoryStorage()), brisk).put_if_absent("a", [b"mine"])


def test_without_a_lost_answer_a_taken_name_is_taken(brisk):
    memory = MemoryStorage()
    memory.put_if_absent("a", [b"same"])
    with pytest.raises(ObjectExists):
        Retrying(memory, brisk).put_if_absent("a", [b"same"])


def test_a_listing_that_breaks_off_goes_on(brisk):
    class Breaking(Wrapper):
        breaks = 0

        def list(self, prefix="", after=""):
            for number, info in enumerate(self.inner.list(prefix, after)):
                if number == 3:
                    self.breaks += 1
                    raise StorageUnreachable("cut")
                yield info

    memory = MemoryStorage()
    for number in range(10):
        memory.put_if_absent(f"n/{number}", [b""])
    breaking = Breaking(memory)
    assert [info.name for info in Retrying(breaking, brisk).list("n/")] == [f"n/{number}" for number in range(10)]
    assert breaking.breaks == 3


def test_a_throttle_keeps_its_rate(brisk):
    storage = Throttled(MemoryStorage(), Rate(1000, brisk))
    began = brisk.monotonic()
    for number in range(10):
        storage.put_if_absent(str(number), [b"x" * 500])
    for number in range(10):
        storage.get(str(number))
    took = brisk.monotonic() - began
    assert 8 < took < 11
    with pytest.raises(ValueError, match="above zero"):
        Rate(0, brisk)


def test_a_fault_that_never_fires_is_told():
    with pytest.raises(UnfiredFault), Faulty(MemoryStorage(), Fault("delete")):
        pass
    memory = MemoryStorage()
    memory.put_if_absent("a", [b"x"])
    with pytest.raises(UnfiredFault), Faulty(memory, Fault("get", prefix="other")) as faulty:
        faulty.get("a")


def test_a_flipped_bit():
    memory = MemoryStorage()
    memory.put_if_absent("a", [b"\x00rest"])
    with Faulty(memory, Fault("get", flip=3)) as faulty:
        assert faulty.get("a") == b"\x08rest"
        assert faulty.get("a") == b"\x00rest"


class Overwrites(Wrapper):
    """A store that does not know conditional puts."""

    def put_if_absent(self, name, parts):
        self.inner.delete(name)
        self.inner.put_if_absent(name, parts)


class Forgets(Wrapper):
    """Eventually consistent: a new object is not listed yet."""

    def list(self, prefix="", after=""):
        return iter(())


class Keeps(Wrapper):
    """Deletes nothing."""

    def delete(self, name):
        pass


@pytest.mark.parametrize(("kind", "why"), [(Overwrites, "second object"), (Forgets, "list"), (Keeps, "deletion")])
def test_unfit_stores_are_refused(kind, why):
    with pytest.raises(StorageUnfit, match=why):
        require_fit(kind(MemoryStorage()))


class Stuck(Wrapper):
    """A call hangs until it is let go."""

    def __init__(self, inner):
        super().__init__(inner)
        self.stuck, self.go = True, threading.Event()

    def get(self, name, start=0, length=None):
        if self.stuck:
            self.go.wait(60)
        return self.inner.get(name, start, length)

    def put_if_absent(self, name, parts):
        if self.stuck:
            self.go.wait(60)
        self.inner.put_if_absent(name, parts)


def test_a_call_that_hangs_is_given_up_and_late_writes_see_the_bytes_of_their_time():
    memory = MemoryStorage()
    memory.put_if_absent("a", [b"x"])
    stuck = Stuck(memory)
    storage = Deadline(stuck, seconds=0.1)
    with pytest.raises(StorageUnreachable, match=r"did not get a within"):
        storage.get("a", 0, 1)
    buffer = bytearray(b"first")
    with pytest.raises(StorageUnreachable):
        storage.put_if_absent("b", [buffer])
    buffer[:] = b"other"
    stuck.go.set()
    stuck.stuck = False
    storage._seconds = storage._brief = 60.0
    # Other calls were served meanwhile, by other threads.
    assert storage.get("a") == b"x"
    for _ in range(1000):
        if memory.head("b"):
            break
        time.sleep(0.01)
    assert memory.get("b") == b"first"


def test_a_silent_location_is_left_alone_for_a_while(brisk):
    faulty = Faulty(MemoryStorage(), Fault("get", times=2))
    storage = Breaker(faulty, brisk, first=2, longest=5)
    for _ in range(5):
        with pytest.raises(StorageUnreachable):
            storage.get("a")
    assert faulty.faults[0].fired == 1
    brisk.sleep(2.1)
    with pytest.raises(StorageUnreachable):
        storage.get("a")
    assert faulty.faults[0].fired == 2
    brisk.sleep(2.1)
    with pytest.raises(StorageUnreachable):
        storage.head("a")  # twice as long now
    brisk.sleep(2.1)
    assert storage.head("a") is None
    assert list(storage.list()) == []
    # What is refused was answered: the next call is asked again at once.
    storage.put_if_absent("a", [b"x"])
    with pytest.raises(ObjectExists):
        storage.put_if_absent("a", [b"x"])
    assert storage.get("a") == b"x"


def test_a_disk_that_is_mounted_later_is_found_then(tmp_path, brisk):
    folder = tmp_path / "disk"
    storage = open_storage(f"file://{folder}", clock=brisk, one_of_several=True)
    with pytest.raises(StorageUnreachable, match="does not exist"):
        storage.head("a")
    folder.mkdir()
    brisk.sleep(30)
    assert storage.head("a") is None
    assert storage.url == f"file://{folder}"
