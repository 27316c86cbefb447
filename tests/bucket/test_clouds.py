"""Buckets of Google and containers of Azure: protected, restored, proved; and what goes from one provider to another."""

import json
import time
import urllib.request
from dataclasses import dataclass

import pytest

from holdfast.connect.objects import Described, Options, open_objects
from holdfast.connect.objects.errors import KeyImpossible
from holdfast.systems.bucket.clouds import rules
from tests.bucket.kit import Scene, new_bucket, noise, options_of, picture
from tests.bucket.test_round_trip import fill

BOTH = [
    "%41",
    "'\"<>&",
    "/lead",
    "a",
    "a b",
    "a%2Fb",
    "a+b",
    "a-b",
    "a..b",
    "a//b",
    "a/b",
    "a:b",
    "dir/",
    "é/ü/日本",
    "q?x=1&y#z+",
    "~",
    "😀",
]
ODD = {"gs": [*BOTH, "../up", "a/../b", "a/./c", "back\\slash", "tab\there", "x" * 1000], "az": [*BOTH, "x" * 900]}


@dataclass
class Cloud:
    """``kind`` gs or az; ``new`` makes an empty bucket and returns its address."""

    kind: str
    server: object
    options: Options

    def new(self, **more) -> str:
        made = self.server.bucket(**more) if self.kind == "gs" else self.server.container()
        return f"{self.kind}://{made}"


def cloud_of(kind: str, request) -> Cloud:
    if kind == "gs":
        server = request.getfixturevalue("google")
        return Cloud(kind, server, Options(endpoint=server.endpoint, patience=20))
    server = request.getfixturevalue("azurite")
    return Cloud(kind, server, Options(endpoint=server.address, credentials=server.credentials, patience=20))


@pytest.fixture(params=["gs", "az"])
def cloud(request):
    return cloud_of(request.param, request)


@pytest.fixture
def kept(cloud, tmp_path):
    one = Scene(tmp_path, cloud.new(), cloud.options)
    yield one
    one.close()


def dress(store, keys) -> None:
    for number, key in enumerate(keys):
        headers = {"content-type": f"text/x-{number}", "cache-control": "no-cache"}
        if number % 2:
            headers |= {"content-disposition": 'attachment; filename="x"', "content-encoding": "gzip", "content-language": "de"}
        described = Described(0, 0, "", headers=headers, metadata={"mine": f"v {number}"} if number % 3 else {})
        tags = {"team": "core", "a b": "c=d"} if number % 4 else {}
        store.put(key, b"" if key.endswith("/") else noise(number * 1000), described, store.fitting(described, tags).tags)


def test_everything_comes_back(kept, cloud):
    dress(kept.store, ODD[cloud.kind])
    kept.store.put("large", noise(9 << 20), Described(0, 0, "", headers={"content-type": "x/y"}, metadata={"is": "large"}))
    before = picture(kept.store)
    assert len(before) == len(ODD[cloud.kind]) + 1
    point = kept.backup()
    assert (point.facts["objects"], point.facts["incomplete"], point.findings) == (len(before), 0, [])
    target = cloud.new()
    done = kept.restore(target)
    assert (done.extracted.files, done.notes) == (len(before), ())
    assert picture(kept.open(target)) == before
    assert kept.verify(against=target).report.verdict == "passed"
    assert kept.verify().report.verdict == "passed"


def test_an_unchanged_bucket_is_listed_only(kept, cloud):
    dress(kept.store, ODD[cloud.kind])
    kept.backup()
    again = kept.backup()
    assert (again.method, again.facts["unread"], again.facts["requests"]["get"]) == ("incremental", len(ODD[cloud.kind]), 0)
    kept.store.put("a", b"new")
    kept.store.delete(["a b"])
    kept.store.put("zz", b"")
    third = kept.backup()
    assert (third.facts["unread"], third.facts["requests"]["get"]) == (len(ODD[cloud.kind]) - 2, 2)


def test_a_bucket_is_put_right_in_place(kept, cloud):
    dress(kept.store, ["in/a", "in/b", "in/c", "out"])
    kept.url += "/in"
    kept.backup()
    before = picture(kept.store)
    kept.store.put("in/a", b"overwritten")
    kept.store.delete(["in/b"])
    kept.store.put("in/d", b"too many")
    kept.store.put("out", b"not ours")
    plan = kept.plan(kept.url, delta=True, remove_extra=True)
    assert "keeps no versions" in plan.warnings[0]
    done = kept.restore(kept.url, delta=True, remove_extra=True)
    assert done.extracted.files == 2
    after = picture(kept.store)
    assert after.pop("out")[0] == b"not ours"
    before.pop("out")
    assert after == before


def test_what_the_other_provider_does_not_take_is_told(cloud, minio, tmp_path):
    scene = Scene(tmp_path, new_bucket(minio), options_of(minio))
    fill(scene.store, ["a", "b", "c", "d"])
    scene.store.put("e", b"e", Described(0, 0, "", metadata={"content-hash": "1"}), {"mail": "a@b"})
    before = picture(scene.store)
    scene.backup()
    target, scene.options = cloud.new(), cloud.options
    done = scene.restore(target)
    told = "\n".join(done.notes)
    assert f"{target} does not take expires: of 4 objects it stays in the point alone." in told
    assert ("does not take tag team: of 3 objects" in told) == (cloud.kind == "gs")
    assert ("does not take metadata content-hash: of 1 objects" in told) == (cloud.kind == "az")
    assert "does not take tag mail: of 1 objects" in told
    after = picture(scene.open(target))
    assert {key: value[0] for key, value in after.items()} == {key: value[0] for key, value in before.items()}
    headers = {key: {name: told for name, told in value[1].items() if name != "expires"} for key, value in before.items() if key != "e"}
    assert {key: value[1] for key, value in after.items() if key != "e"} == headers
    # What cannot be there is not missed.
    assert scene.verify(against=target).report.verdict == "passed"
    scene.close()


def test_a_key_that_the_target_cannot_take_is_refused_by_name(cloud, minio, tmp_path):
    key = "a\nb" if cloud.kind == "gs" else "dots.../b"
    scene = Scene(tmp_path, new_bucket(minio), options_of(minio))
    scene.store.put(key, b"x")
    scene.store.put("fine", b"x")
    scene.backup()
    target, scene.options = cloud.new(), cloud.options
    with pytest.raises(KeyImpossible, match="takes no key"):
        scene.restore(target)
    scene.restore(target + "/again", paths=["fine"])
    scene.close()


def test_any_moment_of_googles_generations(request, tmp_path):
    """Google has no delete markers: when a generation ended tells it."""
    from tests.bucket.test_versions import next_millisecond

    cloud = cloud_of("gs", request)
    scene = Scene(tmp_path, cloud.new(versions=True), cloud.options, versions="all")
    store, pictures, moments = scene.store, [], []
    gone = time.time_ns()
    for turn in range(4):
        while turn == 3 and time.time_ns() < gone + 300_000_000:
            pass  # what is put anew sooner counts as an overwriting
        store.put("always", noise(100 + turn))
        if turn == 1:
            store.put("comes", b"comes")
            store.put("large", noise(5 << 20))
        if turn == 2:
            store.delete(["comes", "always"])
            gone = time.time_ns()
        if turn == 3:
            store.put("large", noise(6 << 20))
        pictures.append(picture(store))
        moments.append(next_millisecond(store))
    point = scene.backup()
    assert (point.facts["objects"], point.facts["older"], point.facts["markers"]) == (2, 5, 2)
    for moment, wanted in zip(moments, pictures, strict=True):
        target = cloud.new()
        scene.restore(target, {"kind": "time", "time": moment})
        assert picture(scene.open(target)) == wanted
    again = scene.backup()
    assert (again.facts["unread"], again.facts["requests"]["get"]) == (9, 0)
    store.put("always", b"newest")
    third = scene.backup()
    assert (third.facts["unread"], third.facts["requests"]["get"]) == (9, 1)
    plan = scene.plan(scene.url, {"kind": "point", "point": point.id}, in_place=True)
    assert not plan.obstacles
    scene.close()


def test_azures_snapshots_are_versions(request, tmp_path):
    cloud = cloud_of("az", request)
    scene = Scene(tmp_path, cloud.new(), cloud.options, versions="all")
    store = scene.store
    store.put("a", b"one")
    caller = store._caller
    caller.ask("PUT", f"{caller.base}/a", {"comp": "snapshot"}, None, b"")
    store.put("a", b"second")
    store.put("b", b"b")
    point = scene.backup()
    assert (point.facts["objects"], point.facts["older"], point.facts["markers"]) == (2, 1, 0)
    assert scene.backup().facts["requests"]["get"] == 0
    found = {line.path: line.size for line in scene.vault.reader(point).lines()}
    assert sorted(found.values()) == [1, 3, 6]
    target = cloud.new()
    scene.restore(target)
    assert {key: value[0] for key, value in picture(scene.open(target)).items()} == {"a": b"second", "b": b"b"}
    # A blob with snapshots is not removed, for they would go with it.
    with pytest.raises(Exception, match="SnapshotsPresent"):
        store.delete(["a"])
    scene.close()


def test_check(kept, cloud):
    def found() -> dict[str, tuple[str, str]]:
        return {one.name: (one.state, one.detail) for one in kept.system().probe()}

    empty = found()
    assert empty[f"{kept.url}/"][0] == "warn"
    kept.store.put("a", b"x")
    now = found()
    assert now[f"{kept.url}/"] == ("ok", "may be listed and read (1 objects were tried)")
    assert now["versioning"][0] == "warn"
    assert "what is overwritten between two points is lost" in now["versioning"][1]
    kept.more["versions"] = "all"
    assert "and the plan asks for all versions" in found()["versioning"][1]
    if cloud.kind == "az":
        assert now["lifecycle"][0] == "warn"
    else:
        request = urllib.request.Request(
            f"{cloud.server.endpoint}/storage/v1/b/{kept.store.bucket}",
            json.dumps({"versioning": {"enabled": True}}).encode(),
            {"content-type": "application/json"},
            method="PATCH",
        )
        urllib.request.urlopen(request, timeout=30).close()
        assert found()["versioning"] == ("ok", "on; the points hold every version")
        assert kept.store.keeps_versions()


def test_rules_of_googles_lifecycle():
    told = [
        {"action": {"type": "Delete"}, "condition": {"age": 30}},
        {"action": {"type": "Delete"}, "condition": {"age": 30, "isLive": True, "matchesPrefix": ["in/", "tmp/"]}},
        {"action": {"type": "Delete"}, "condition": {"daysSinceNoncurrentTime": 7}},
        {"action": {"type": "Delete"}, "condition": {"isLive": False, "age": 3}},
        {"action": {"type": "Delete"}, "condition": {"createdBefore": "2026-01-01"}},
        {"action": {"type": "SetStorageClass", "storageClass": "ARCHIVE"}, "condition": {"age": 1}},
        {"action": {"type": "AbortIncompleteMultipartUpload"}, "condition": {"age": 1}},
    ]
    assert [tuple(vars_of(one)) for one in rules({"lifecycle": {"rule": told}})] == [
        ("1", "", "expire", 30),
        ("2", "in/", "expire", 30),
        ("2", "tmp/", "expire", 30),
        ("3", "", "remove", 7),
        ("4", "", "remove", 3),
        ("5", "", "expire", None),
    ]
    assert list(rules({})) == []


def vars_of(rule):
    return rule.id, rule.prefix, rule.acts, rule.days


def test_a_wrong_name_is_one_sentence(cloud, tmp_path):
    store = open_objects(f"{cloud.kind}://holdfast-no-such-bucket", cloud.options)
    scene = Scene(tmp_path, f"{cloud.kind}://holdfast-no-such-bucket", cloud.options)
    [first, *_] = scene.system().probe()
    assert first.state == "fail"
    assert "holdfast-no-such-bucket" in first.detail
    store.close()
    scene.close()
