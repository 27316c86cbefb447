"""A location that is down: somebody hears of it within seconds, and who has others to turn to goes on soon."""

import gc
import socket
import threading
import time
import weakref

import pytest

from holdfast.model import SystemClock
from holdfast.storage import StorageUnreachable
from holdfast.storage import open as opening
from holdfast.storage.memory import MemoryStorage
from holdfast.storage.open import impatient, open_storage
from holdfast.storage.wrappers import deadline
from holdfast.storage.wrappers.base import Wrapper
from holdfast.storage.wrappers.breaker import Breaker
from holdfast.storage.wrappers.deadline import Deadline
from holdfast.storage.wrappers.faults import Fault, Faulty
from holdfast.storage.wrappers.retry import Retrying

ALWAYS = 10**6


class Down(MemoryStorage):
    """Fails at once while ``down``; each call takes a moment of ``clock``."""

    def __init__(self, clock):
        super().__init__(clock)
        self.clock = clock
        self.down = True
        self.asked = 0

    def head(self, name):
        self.clock.sleep(0.01)
        self.asked += 1
        if self.down:
            raise StorageUnreachable("There is nobody.")
        return super().head(name)


def test_one_that_never_answered_is_given_up_in_seconds_and_one_that_did_is_waited_for(brisk):
    inner = Down(brisk)
    storage = impatient(inner, brisk, retry=True)
    began = brisk.monotonic()
    with pytest.raises(StorageUnreachable):
        storage.head("a")
    assert inner.asked > 1, "a passing fault is waited out"
    assert brisk.monotonic() - began < opening.BRIEF + 1
    for _ in range(5):  # at once
        before = brisk.monotonic()
        with pytest.raises(StorageUnreachable):
            storage.head("a")
        assert brisk.monotonic() - before < 0.001
    brisk.sleep(opening.BRIEF + 2)
    asked = inner.asked
    with pytest.raises(StorageUnreachable):
        storage.head("a")
    assert inner.asked == asked + 1, "once given up it is tried once at a time"
    brisk.sleep(60)
    inner.down = False
    assert storage.head("a") is None
    inner.down = True
    began = brisk.monotonic()
    with pytest.raises(StorageUnreachable):
        storage.head("a")
    assert opening.LITTLE / 2 < brisk.monotonic() - began < opening.LITTLE + 1


def test_a_backup_of_a_minute_waits_for_a_location_that_is_down_for_a_few_seconds_in_all(brisk):
    inner = Down(brisk)
    storage = impatient(inner, brisk, retry=True)
    waited, began = 0.0, brisk.monotonic()
    while brisk.monotonic() - began < 60:
        before = brisk.monotonic()
        with pytest.raises(StorageUnreachable):
            storage.head("a")
        waited += brisk.monotonic() - before
        brisk.sleep(0.1)
    assert waited < opening.BRIEF + 2


def test_what_is_waited_for_is_told_once_in_each_silence(brisk):
    told = []
    storage = Retrying(Faulty(MemoryStorage(), Fault("head", times=60)), brisk, patience=600, longest=1, told=told.append)
    assert storage.head("a") is None
    assert len(told) == 1
    assert "It is tried again, for 59" in told[0]
    storage.inner.faults.append(Fault("head", times=60))
    assert storage.head("a") is None
    assert len(told) == 2
    storage.inner.faults.append(Fault("head", times=2))
    assert storage.head("a") is None
    assert len(told) == 2, "what passes at once is nobody's business"


class Stuck(Wrapper):
    """Calls hang until ``go``."""

    def __init__(self, inner):
        super().__init__(inner)
        self.go = threading.Event()

    def head(self, name):
        self.go.wait(60)
        return self.inner.head(name)

    def get(self, name, start=0, length=None):
        self.go.wait(60)
        return self.inner.get(name, start, length)


def test_one_that_hangs_is_told_of_and_given_up_earlier_when_it_never_answered():
    stuck, told = Stuck(MemoryStorage()), []
    stuck.inner.put_if_absent("a", [b"x"])
    storage = Deadline(stuck, seconds=50, brief=0.2, notice=0.05, told=told.append)
    with pytest.raises(StorageUnreachable, match="within 0 s"):
        storage.get("a")
    assert len(told) == 1
    assert "does not answer" in told[0]
    with pytest.raises(StorageUnreachable):
        storage.head("a")
    assert len(told) == 1
    stuck.go.set()
    storage._brief = 50.0
    assert storage.get("a") == b"x"
    assert len(told) == 1


def test_a_pause_is_as_long_as_it_took_to_hear_of_the_silence(brisk):
    class Slow(MemoryStorage):
        asked = 0

        def head(self, name):
            self.asked += 1
            brisk.sleep(40)
            raise StorageUnreachable(name)

    inner = Slow(brisk)
    storage = Breaker(inner, brisk, first=2, longest=5)
    began = brisk.monotonic()
    while brisk.monotonic() - began < 400:
        with pytest.raises(StorageUnreachable):
            storage.head("a")
        brisk.sleep(0.5)
    assert inner.asked <= 6


@pytest.mark.parametrize("listens", [False, True])
def test_a_store_at_an_address_where_nobody_answers(listens, monkeypatch):
    monkeypatch.setattr(Deadline.__init__, "__kwdefaults__", {**Deadline.__init__.__kwdefaults__, "brief": 1.0, "notice": 0.2})
    told = []
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if listens:
            server.listen(50)
        options = {
            "endpoint": f"http://127.0.0.1:{server.getsockname()[1]}",
            "credentials": {"access_key_id": "a", "secret_access_key": "b"},
        }
        storage = open_storage("s3://bucket/vault", options, one_of_several=True, told=told.append)
        clock = SystemClock()
        began = clock.monotonic()
        for call in (lambda: storage.get("config"), lambda: storage.head("config"), lambda: list(storage.list("points/")), storage.now):
            with pytest.raises(StorageUnreachable):
                call()
        assert clock.monotonic() - began < 60, "it used to be a minute for one call; a loaded machine has its time too"
    assert bool(told) >= listens


def test_what_nobody_asks_any_more_is_let_go(monkeypatch):
    """A service opens vaults for months: no thread and no location of an earlier one stays."""
    monkeypatch.setattr(deadline, "IDLE", 0.05)
    before = set(threading.enumerate())
    inner = MemoryStorage(SystemClock())
    storage = Deadline(inner)
    storage.put_if_absent("a", [b"1"])
    end = time.monotonic() + 60
    while [one for one in threading.enumerate() if one not in before and one.name == "holdfast-storage"]:
        assert time.monotonic() < end
        time.sleep(0.01)
    # It works on, by a new thread.
    assert storage.get("a") == b"1"
    gone = weakref.ref(inner)
    del storage, inner
    while gone() is not None:
        assert time.monotonic() < end
        gc.collect()
        time.sleep(0.01)
