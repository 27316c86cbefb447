"""Google's and Azure's stores that throttle, reset, break off, lose answers; objects that change meanwhile; rights that lack."""

import threading
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from holdfast.connect.objects import ObjectChanged, Options, StoreThrottled, StoreUnreachable, open_objects
from tests.bucket.kit import Scene, noise, picture
from tests.bucket.proxy import Faults
from tests.bucket.test_bad_days import some
from tests.bucket.test_clouds import cloud_of, dress
from tests.connect.objects.test_azure import shared

MANY = [f"d{i % 5}/{i:04d}" for i in range(30)]


@pytest.fixture(params=["gs", "az"])
def cloud(request):
    return cloud_of(request.param, request)


@pytest.fixture
def scene(cloud, tmp_path):
    one = Scene(tmp_path, cloud.new(), cloud.options)
    dress(one.store, MANY)
    yield one
    one.close()


def behind(options: Options, faults: Faults, **more) -> Options:
    """The same store as seen through the faults."""
    return replace(options, endpoint=faults.address + urlsplit(options.endpoint).path, **more)


def but_for_pieces(decide):
    """The server for tests cannot be asked how much of a session it has: it ends it. See test_google for these faults."""
    return lambda number, first: "pass" if first.startswith("PUT /upload") else decide(number, first)


@pytest.mark.parametrize("kinds", [("503",), ("reset", "cut", "late")], ids="-".join)
def test_a_store_that_fails_now_and_then(scene, cloud, kinds):
    scene.store.put("large", noise(9 << 20))
    before = picture(scene.store)
    target = cloud.new()
    with Faults(cloud.options.endpoint, but_for_pieces(some(*kinds, share=0.2))) as faults:
        scene.options = behind(cloud.options, faults, patience=90, read_timeout=30)
        point = scene.backup()
        assert (point.facts["objects"], point.facts["incomplete"]) == (len(MANY) + 1, 0)
        scene.restore(target)
    scene.options = cloud.options
    assert picture(scene.open(target)) == before


@pytest.mark.parametrize(("what", "error"), [("503", StoreThrottled), ("reset", StoreUnreachable)])
def test_a_store_that_fails_for_good_ends_in_one_error_and_no_point(scene, cloud, what, error):
    with Faults(cloud.options.endpoint, lambda _, first: what if "0007" in first and first.startswith("GET") else "pass") as faults:
        scene.options = behind(cloud.options, faults, patience=2.0, read_timeout=30.0)
        with pytest.raises(error, match=r"failed at d2/0007 in"):
            scene.backup()
    assert scene.vault.points("raw") == []


def test_an_object_that_is_replaced_or_goes_while_it_is_read(scene, cloud):
    scene.store.put("large", noise(9 << 20))
    lock, done = threading.Lock(), set()
    deeds = {
        "large": lambda: scene.store.put("large", noise(8 << 20)),
        "0007": lambda: scene.store.put("d2/0007", b"other"),
        "0009": lambda: scene.store.delete(["d4/0009"]),
    }

    def decide(number: int, first: str) -> str:
        del number
        with lock:
            for name, deed in deeds.items():
                if first.startswith("GET") and name in first and name not in done:
                    done.add(name)
                    deed()
        return "pass"

    with Faults(cloud.options.endpoint, decide) as faults:
        scene.options = behind(cloud.options, faults)
        point = scene.backup()
    assert done == set(deeds)
    scene.options = cloud.options
    assert point.facts["incomplete"] == 0
    assert point.facts["vanished"]["keys"] == ["d4/0009"]
    target = cloud.new()
    scene.restore(target)
    assert picture(scene.open(target)) == picture(scene.store)


def test_what_may_be_listed_and_not_read_is_named(request, tmp_path):
    cloud = cloud_of("az", request)
    scene = Scene(tmp_path, cloud.new(), cloud.options)
    dress(scene.store, MANY[:3])
    only = {"account_name": cloud.server.account, "sas_token": shared(cloud.server, permissions="l")}
    scene.options = replace(cloud.options, credentials=only)
    [first, *_] = scene.system().probe()
    assert (first.state, "3 of 3 objects that were tried may not be read" in first.detail) == ("fail", True)
    point = scene.backup()
    assert point.facts["incomplete"] == 3
    said = str(point.findings)
    assert "d1/0001" in said
    assert "sig=" not in said
    scene.close()


def test_a_restore_replaces_nothing_that_somebody_puts_there_meanwhile(scene, cloud):
    store = scene.open(cloud.new())
    store.put("a", b"theirs")
    store.only_new = True
    with pytest.raises(ObjectChanged, match="a was put there by somebody else"):
        store.put("a", b"ours!!")
    upload = store.begin("a") if cloud.kind == "az" else None
    if upload is not None:
        etag = store.part("a", upload, 1, bytes(1 << 20), 0)
        with pytest.raises(ObjectChanged, match="a was put there by somebody else"):
            store.complete("a", upload, [etag])
    assert store.fetch("a") == b"theirs"


def test_a_target_that_fills_while_a_restore_begins(scene, cloud):
    """It was empty when the plan was made, and nothing of what came since is replaced."""
    scene.backup()
    target = cloud.new()
    straight = scene.open(target)
    lock, done = threading.Lock(), []

    def decide(number: int, first: str) -> str:
        del number
        with lock:
            if first.startswith(("POST", "PUT")) and not done:
                done.append(straight.put("d0/0000", b"theirs"))
        return "pass"

    with Faults(cloud.options.endpoint, decide) as faults:
        scene.options = behind(cloud.options, faults)
        with pytest.raises(ObjectChanged, match="d0/0000 was put there by somebody else meanwhile"):
            scene.restore(target)
    assert straight.fetch("d0/0000") == b"theirs"
    straight.close()


def test_a_lost_answer_of_what_was_put_as_new(cloud):
    """It went through: what is there is our own."""
    url = cloud.new()
    lost: set[str] = set()

    def decide(number: int, first: str) -> str:
        del number
        kind = "blocks" if "comp=blocklist" in first and first.startswith("PUT") else "whole"
        stores = kind == "blocks" or first.startswith("POST /upload") or (first.startswith("PUT") and "comp=" not in first)
        if not stores or kind in lost or "uploadType=resumable" in first:
            return "pass"
        lost.add(kind)
        return "late"

    with Faults(cloud.options.endpoint, decide) as faults:
        store = open_objects(url, behind(cloud.options, faults))
        store.only_new = True
        store.put("a", b"ours")
        if cloud.kind == "az":
            upload = store.begin("b")
            store.complete("b", upload, [store.part("b", upload, 1, bytes(1 << 20), 0)])
        lost.discard("whole")
        assert store.put_absent("c", b"new")
        lost.discard("whole")
        # Somebody else's, and a lost answer: not taken for ours.
        assert not store.put_absent("a", b"more")
        store.close()
    assert "whole" in lost
    straight = open_objects(url, cloud.options)
    assert straight.fetch("a") == b"ours"
    straight.close()
