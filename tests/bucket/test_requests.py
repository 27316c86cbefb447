"""What a request costs, and who checks a body: the store, by the MD5 that the object's first store named it by."""

import hashlib
import threading
from dataclasses import replace

import pytest

from holdfast.connect.objects import Described
from holdfast.connect.objects.buffers import Buffers
from holdfast.connect.objects.transport import Transport
from holdfast.model import Silent, SystemClock
from holdfast.systems.bucket.recovery import BucketRecovery
from tests.bucket.kit import new_bucket, noise, picture
from tests.bucket.proxy import Faults
from tests.bucket.test_bad_days import MANY
from tests.bucket.test_round_trip import fill


def named(data: bytes) -> Described:
    return Described(len(data), 0, hashlib.md5(data).hexdigest())


def puts(faults: Faults) -> int:
    return sum(line.startswith("PUT ") for line in faults.seen)


@pytest.fixture
def payloads(monkeypatch):
    """How each body was signed for."""
    found = []
    ask = Transport.ask

    def watched(self, method, target, headers, body=None, into=None):
        if body is not None:
            found.append((headers["x-amz-content-sha256"], "content-md5" in headers))
        return ask(self, method, target, headers, body, into)

    monkeypatch.setattr(Transport, "ask", watched)
    return found


def test_a_body_with_a_known_md5_is_hashed_by_the_store_alone(scene, payloads):
    data = noise(300_000)
    assert scene.store.put("a", data, named(data)) == named(data).etag
    assert payloads == [("UNSIGNED-PAYLOAD", True)]
    assert scene.store.put("b", data) == named(data).etag
    assert payloads[1:] == [(hashlib.sha256(data).hexdigest(), False)]


@pytest.mark.parametrize("size", [1, 40_000, 3 << 20])
def test_a_body_that_is_damaged_on_its_way_is_never_stored(scene, minio, size):
    data = noise(size)
    with Faults(minio.endpoint, lambda number, _: "flip" if number == 0 else "pass") as faults:
        scene.options = replace(scene.options, endpoint=faults.address)
        scene.open(scene.url).put("a", data, named(data))
        assert puts(faults) == 2
    assert picture(scene.store)["a"][0] == data


def test_an_etag_that_is_no_md5_costs_one_request(scene, minio, payloads):
    """As those of objects that are encrypted by a key of the customer's."""
    data = noise(100_000)
    store = scene.open(scene.url)
    for key in "abc":
        store.put(key, data, Described(len(data), 0, "0" * 32))
    assert [signed == "UNSIGNED-PAYLOAD" for signed, _ in payloads] == [True, False, False, False]
    assert {value[0] for value in picture(scene.store).values()} == {data}


def test_parts_of_an_upload_are_checked_by_the_store(scene, minio):
    data = noise(6 << 20)
    with Faults(minio.endpoint, lambda _, first: "flip" if "partNumber=1" in first and puts(faults) == 1 else "pass") as faults:
        scene.options = replace(scene.options, endpoint=faults.address)
        store = scene.open(scene.url)
        upload = store.begin("a")
        store.complete("a", upload, [store.part("a", upload, 1, data)])
        assert puts(faults) == 2
    assert picture(scene.store)["a"][0] == data


def test_a_restore_lets_the_store_check_what_it_named_before(scene, minio, payloads):
    fill(scene.store, MANY)
    before = picture(scene.store)
    scene.backup()
    target = new_bucket(minio)
    payloads.clear()
    scene.restore(target)
    assert picture(scene.open(target)) == before
    assert {signed for signed, _ in payloads} == {"UNSIGNED-PAYLOAD"}


def test_memory_is_used_again_by_one_at_a_time():
    buffers = Buffers()
    first = buffers.take(200_000)
    assert len(first) == 200_000
    second = buffers.take(200_000)
    assert second.obj is not first.obj
    used = first.obj
    buffers.give(first)
    third = buffers.take(196_609)
    assert (third.obj is used, len(third)) == (True, 196_609)
    assert len(buffers.take(0)) == 0
    assert len(buffers.take(5 << 20)) == 5 << 20


def test_no_two_threads_get_the_same_memory():
    buffers, wrong = Buffers(), []

    def work(mark: int) -> None:
        for size in range(70_000, 400_000, 3000):
            view = buffers.take(size)
            view[:] = bytes([mark]) * size
            if bytes(view) != bytes([mark]) * size:
                wrong.append(size)
            buffers.give(view)

    threads = [threading.Thread(target=work, args=(mark,)) for mark in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_progress_counts_each_byte_once(scene):
    fill(scene.store, MANY)
    scene.store.put("large", noise(9 << 20))
    counted = []

    class Counting:
        def phase(self, name, total=None, unit="bytes"):
            pass

        def advance(self, amount):
            counted.append(amount)

        def note(self, text):
            pass

    with scene.vault.begin(system="raw", kind="bucket", progress=Counting()) as writer:
        point = scene.system().capture(writer, Counting())
    assert sum(counted) == point.facts["bytes"] > 9 << 20


class Recording(SystemClock):
    """Time does not pass while somebody sleeps."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return 100.0

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def test_a_restore_writes_no_faster_than_the_plan_says(scene, minio):
    for number in range(20):
        scene.store.put(f"o{number}", noise(256 << 10))
    scene.store.put("large", noise(16 << 20))
    scene.backup()
    clock = Recording()
    settings = replace(scene.settings, rate=float(1 << 20))
    recovery = BucketRecovery("raw", settings, clock=clock)
    recovery.restore(scene.history, scene.plan(new_bucket(minio)), Silent())
    # 21 MiB at 1 MiB/s, but for the burst at the beginning and the last request, which ends whenever it ends.
    assert 12 < max(clock.slept) < 21
