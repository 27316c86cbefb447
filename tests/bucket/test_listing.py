"""However many keys a bucket has, the listing is never held in memory; keys that no server here takes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.connect.objects import Options
from holdfast.systems.bucket.errors import BucketNonsense, ListingUnordered
from tests.bucket.kit import Scene
from tests.bucket.simulated import T0, AnyKey, Simulated

LIMIT = 300 << 20


def measured(folder: Path, count: int) -> list[dict]:
    found = []
    for which in ("first", "again"):
        command = [sys.executable, "-m", "tests.bucket.measured", str(folder), str(count), which]
        done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=5000, check=False)
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout))
    return found


def judge(told: list[dict], count: int) -> None:
    first, second = told
    assert (first["objects"], first["unread"], first["reads"]) == (count, 0, count)
    assert (second["objects"], second["unread"], second["reads"]) == (count, count - -(-count // 1000), -(-count // 1000))
    assert max(first["most"], second["most"]) < LIMIT, told


def test_a_hundred_thousand_keys(tmp_path):
    judge(measured(tmp_path, 100_000), 100_000)


@pytest.mark.soak
@pytest.mark.parametrize("count", [1_000_000, 10_000_000])
def test_millions_of_keys(tmp_path, count):
    told = measured(tmp_path, count)
    judge(told, count)
    print(told)


@pytest.fixture
def any_key(tmp_path):
    one = Scene(tmp_path, "s3://any", Options(credentials={"access_key_id": "x", "secret_access_key": "y"}))
    store = AnyKey()
    one.open = lambda url: {"s3://any": store}.get(url) or copies.setdefault(url, AnyKey())
    copies: dict[str, AnyKey] = {}
    one.store = store
    yield one
    one.close()


HARD = [
    "..",
    ".",
    "a/../b",
    "../../etc/passwd",
    "a//b",
    "//",
    "/",
    "/lead",
    "trail/",
    "trail//",
    " ",
    "a\x01b",
    "a\x7f",
    "nul\x00byte",
    "ÿ",
    "\uffff",
    "\U0001f600",
    "k" * 1024,
    "%2e%2e/x",
    "a\\..\\b",
    "\r\n",
]


def test_keys_that_libraries_refuse(any_key):
    for key in HARD:
        any_key.store.put(key, key.encode())
    point = any_key.backup()
    assert point.facts["objects"] == len(HARD)
    again = any_key.backup()
    assert again.facts["unread"] == len(HARD)
    any_key.restore("s3://elsewhere")
    copy = any_key.open("s3://elsewhere")
    assert {key: data for key, (data, _) in copy.held.items()} == {key: key.encode() for key in HARD}
    assert any_key.verify().report.verdict == "passed"


def test_keys_that_lead_out_of_a_folder_are_refused_there(any_key, tmp_path):
    from holdfast.connect.objects import open_objects
    from holdfast.connect.objects.errors import KeyImpossible

    outside = tmp_path / "outside"
    any_key.store.put("../outside", b"x")
    any_key.backup()
    into = tmp_path / "into"
    into.mkdir()
    any_key.open = open_objects
    with pytest.raises(KeyImpossible):
        any_key.restore(f"file://{into}")
    assert not outside.exists()


def test_a_store_that_lists_in_no_order_is_refused(any_key):
    class Unordered(Simulated):
        def list(self, prefix="", after=""):
            yield from reversed(list(super().list(prefix, after)))

    store = Unordered(3)
    any_key.open = lambda _: store
    with pytest.raises(ListingUnordered):
        any_key.backup()


def test_a_line_that_is_no_object_is_not_restored(any_key):
    from holdfast.model import Entry

    with any_key.vault.begin(system="raw", kind="bucket", base=None) as writer:
        writer.add(Entry("elsewhere/x", mtime_ns=T0), b"x")
        writer.commit(kind="bucket", start={}, stop={}, facts={"objects": 1, "bytes": 1, "url": "s3://any", "versions": "current"})
    with pytest.raises(BucketNonsense):
        any_key.restore("s3://elsewhere")
