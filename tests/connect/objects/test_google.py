"""Google's store: who asks, and what goes wrong in the middle of a large object. The other side is written from the published format."""

import hashlib
import json
import os
from base64 import urlsafe_b64decode
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from holdfast.connect.objects import Options, StoreDenied, StoreUnreachable, open_objects
from holdfast.connect.objects.google.items import Item, history
from holdfast.model import SystemClock
from tests.servers.google_service import account, google_service, new_key

PART = 1 << 20


@pytest.fixture
def other():
    with google_service() as server:
        yield server


@pytest.fixture(scope="module")
def key():
    return new_key()


def test_a_service_account_signs_for_a_token_that_is_used_until_it_ends(other, key):
    store = open_objects("gs://b", Options(endpoint=other.address, credentials={"service_account": account(other, key)}))
    assert list(store.list()) == []
    assert list(store.list()) == []
    store.close()
    [form] = other.bodies
    assertion = parse_qs(form.decode())["assertion"][0]
    text, _, signature = assertion.rpartition(".")
    key.public_key().verify(_decoded(signature), text.encode(), PKCS1v15(), SHA256())
    head, claims = (json.loads(_decoded(part)) for part in text.split("."))
    assert head == {"alg": "RS256", "typ": "JWT"}
    assert (claims["iss"], claims["aud"]) == ("holdfast@acme.example", f"{other.address}/token")
    assert claims["exp"] - claims["iat"] == 3600
    assert [headers["authorization"] for method, _, headers in other.asked if method == "GET"] == ["Bearer ya29.it"] * 2


def test_a_token_is_renewed_before_it_ends(other, key):
    class Moved(SystemClock):
        ahead = 0.0

        def monotonic(self):
            return super().monotonic() + self.ahead

    clock = Moved()
    store = open_objects("gs://b", Options(endpoint=other.address, credentials={"service_account": account(other, key)}), clock=clock)
    for ahead, asked in ((0, 1), (3000, 1), (3500, 2)):
        clock.ahead = ahead
        list(store.list())
        assert len(other.bodies) == asked
    store.close()


def test_a_token_that_cannot_be_renewed_is_used_until_it_ends(other, key):
    class Moved(SystemClock):
        ahead = 0.0

        def monotonic(self):
            return super().monotonic() + self.ahead

        def sleep(self, seconds):
            self.ahead += seconds

    clock = Moved()
    store = open_objects("gs://b", Options(endpoint=other.address, credentials={"service_account": account(other, key)}), clock=clock)
    list(store.list())
    other.refuse, clock.ahead = 503, 3400
    list(store.list())
    assert len(other.bodies) == 2
    clock.ahead = 3700
    with pytest.raises(StoreUnreachable, match=r"gave no token for holdfast@acme\.example: 503"):
        list(store.list())
    assert len(other.bodies) > 4
    other.refuse = 0
    list(store.list())
    store.close()


def test_the_keys_place_is_found_in_the_environment(other, key, tmp_path, monkeypatch):
    path = tmp_path / "key.json"
    path.write_text(account(other, key))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    store = open_objects("gs://b", Options(endpoint=other.address))
    list(store.list())
    store.close()
    assert len(other.bodies) == 1


def test_what_is_no_key_is_told_without_repeating_it(other, key, tmp_path, monkeypatch):
    for text in ("hunter2", json.dumps({"type": "service_account", "private_key": "hunter2"}), json.dumps({"type": "external_account"})):
        with pytest.raises(StoreDenied) as refused:
            open_objects("gs://b", Options(endpoint=other.address, credentials={"service_account": text}))
        assert "hunter2" not in f"{refused.value.message}{refused.value.hint}{refused.value.details}"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(StoreDenied, match=r"none\.json cannot be read"):
        open_objects("gs://b", Options(endpoint=other.address))
    other.refuse = 400
    store = open_objects("gs://b", Options(endpoint=other.address, credentials={"service_account": account(other, key)}))
    with pytest.raises(StoreDenied, match=r"gave no token for holdfast@acme\.example: 400 invalid_grant Invalid JWT Signature"):
        list(store.list())
    store.close()


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.mark.parametrize(
    "plan",
    [
        [],
        [0],  # nothing of the first piece arrived
        [None, PART],  # all of the second one did, and its answer was lost
        [None, 512 << 10, 256 << 10],  # some of it, twice
        [None, None, 3],  # the last one arrived and its answer was lost
        [None, None, 0],
    ],
)
def test_a_large_object_goes_on_where_it_broke_off(other, plan):
    parts = [os.urandom(PART), os.urandom(PART), b"end"]
    other.plan = list(plan)
    store = open_objects("gs://b", Options(endpoint=other.address, patience=20))
    upload = store.begin("a")
    for number in (2, 0, 1):
        store.part("a", upload, number + 1, parts[number], number * PART)
    assert store.complete("a", upload, []) == hashlib.md5(b"".join(parts)).hexdigest()
    assert other.whole == b"".join(parts)
    assert not other.plan
    store.close()


def test_a_piece_that_never_arrives_is_given_up(other):
    other.plan = [0] * 1000
    store = open_objects("gs://b", Options(endpoint=other.address, patience=0.3))
    upload = store.begin("a")
    store.part("a", upload, 1, bytes(PART), 0)
    with pytest.raises(StoreUnreachable, match="gs://b failed at a in"):
        store.part("a", upload, 2, bytes(PART), PART)
    store.abandon("a", upload)
    assert other.asked[-1][0] == "DELETE"
    store.close()


def test_an_upload_that_a_killed_process_began_is_given_up(other):
    store = open_objects("gs://b", Options(endpoint=other.address))
    upload = store.begin("a")
    store.close()
    after = open_objects("gs://b", Options(endpoint=other.address))
    after.abandon("a", upload)
    after.close()
    method, path, _ = other.asked[-1]
    assert (method, path) == ("DELETE", "/upload/storage/v1/b/b/o?uploadType=resumable&upload_id=x%2Fy")


def generation(key: str, number: int, made: int, ended: int | None = None, changes: int = 1) -> Item:
    ms = 1_000_000
    return Item(key, number, str(number), str(changes), made * ms, made * ms, None if ended is None else ended * ms, f"h{number}", "")


def test_generations_become_versions_and_markers():
    found = list(
        history(
            [
                generation("a", 1, 1000, 2000),
                generation("a", 2, 2001, 5000),  # overwritten: began when the other ended
                generation("a", 3, 9000),  # made anew, four seconds after it was deleted
                generation("b", 5, 2000, 3000, changes=3),
                generation("b", 4, 1000, 2000),  # told in any order
                generation("c", 6, 1000),
            ]
        )
    )
    assert [(one.key, one.version, one.latest, one.marker, one.modified_ns // 1_000_000) for one in found] == [
        ("a", "3", True, False, 9000),
        ("a", "2-deleted", False, True, 5000),
        ("a", "2", False, False, 2001),
        ("a", "1", False, False, 1000),
        ("b", "5-deleted", True, True, 3000),
        ("b", "5", False, False, 2000),
        ("b", "4", False, False, 1000),
        ("c", "6", True, False, 1000),
    ]
    assert [one.etag for one in found if one.key == "b"] == ["", "h5+3", "h4"]
