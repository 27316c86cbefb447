"""A bucket whose objects are fetched by other processes: the point is the one that this process makes, entry by entry in its order."""

import json
import random

import pytest

from holdfast.systems.bucket.capture import sharing
from holdfast.systems.bucket.errors import SharedOdd, SharedUnseen
from tests.spark.shared import Desk

NAMES = ["a b", "c/1", "c/2", "c/%2F", "ä/ö", "z/empty", "z/last", "m/large"]


def fill(desk: Desk, seed: int = 1) -> None:
    luck = random.Random(seed)
    for name in [*NAMES, *(f"many/{number:03}" for number in range(60))]:
        place = desk.lake / name
        place.parent.mkdir(exist_ok=True, parents=True)
        place.write_bytes(b"" if name == "z/empty" else luck.randbytes(3 << 20 if name == "m/large" else luck.randrange(1, 5000)))


@pytest.fixture
def desk(tmp_path, monkeypatch):
    # Small stretches, so that there are many.
    monkeypatch.setattr(sharing, "MOST", 7)
    made = Desk(tmp_path, "bucket")
    fill(made)
    return made


def test_the_point_is_that_of_one_process_in_the_same_order(desk):
    shared = desk.locally()
    held = desk.tree(shared)
    alone = desk.alone()
    assert held == desk.tree(alone)
    assert [entry.path for entry, _ in held] == sorted((entry.path for entry, _ in held), key=str.encode)
    assert (shared.facts["objects"], shared.facts["bytes"]) == (alone.facts["objects"], alone.facts["bytes"])
    assert shared.facts["requests"]["get"] == alone.facts["requests"]["get"]
    assert (shared.totals.files, shared.totals.bytes) == (alone.totals.files, alone.totals.bytes)


def test_what_changed_between_what_did_not_is_put_into_its_place(desk):
    desk.locally()
    for number in (0, 1, 7, 30, 59):
        (desk.lake / f"many/{number:03}").write_bytes(b"changed")
    (desk.lake / "many/0005").write_bytes(b"new")
    (desk.lake / "c/1").unlink()
    asked = []

    def spy(text):
        asked.extend(key for run in json.loads(text)["shard"]["runs"] for key, *_ in run)
        return text

    second = desk.locally(spoil=spy)
    assert sorted(asked) == ["many/000", "many/0005", "many/001", "many/007", "many/030", "many/059"]
    assert second.method == "incremental"
    assert second.facts["unread"] == len(NAMES) - 1 + 60 - 5
    assert desk.tree(second) == desk.tree(desk.alone())


def test_little_is_fetched_by_the_driver_alone(desk):
    def never(text):
        raise AssertionError("nothing was to be shared")

    assert desk.locally(least=1 << 30, spoil=never).facts["objects"] == len(NAMES) + 60


def test_objects_that_only_this_machine_sees_are_told(desk):
    (desk.folder / "not-mounted").mkdir()

    def elsewhere(text):
        document = json.loads(text)
        return json.dumps({**document, "plan": document["plan"].replace(f"{desk.folder}/lake", f"{desk.folder}/not-mounted")})

    with pytest.raises(SharedUnseen, match="it is there"):
        desk.locally(spoil=elsewhere)
    assert not desk.points()


def test_an_object_that_is_gone_when_it_is_its_turn_is_counted(desk):
    def late(text):
        (desk.lake / "c/1").unlink(missing_ok=True)
        return text

    point = desk.locally(spoil=late)
    assert point.facts["vanished"] == {"count": 1, "keys": ["c/1"]}
    assert len(desk.tree(point)) == len(NAMES) - 1 + 60


def test_a_worker_that_hands_over_other_objects_is_not_believed(desk):
    def other(text):
        document = json.loads(text)
        document["shard"]["runs"][0][0][0] = "z/last"
        return json.dumps(document)

    with pytest.raises(SharedOdd):
        desk.locally(spoil=other)
    assert not desk.points()
