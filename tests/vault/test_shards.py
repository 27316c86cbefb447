"""Shards: several sessions store, one commits; what was handed over is in the point like all else, and no prune takes it before."""

import datetime as dt
import json
import random
from pathlib import Path

import pytest

from holdfast.model import Entry
from holdfast.storage.memory import MemoryStorage
from holdfast.vault import Vault, prune
from holdfast.vault.capture.shard import Shard
from holdfast.vault.errors import PackMissing
from holdfast.vault.keys.keyring import Keyring
from holdfast.vault.points.retention import Keep
from tests.vault.kit import CHEAP, CLOCK, SECRET, add_all, create, finish, packs_of, reopen, restore

FILES = [
    {"one/small": b"x" * 10, "one/empty": b"", "one/large": random.Random(1).randbytes(3 << 20)},
    {"two/many": random.Random(2).randbytes(5 << 20), "two/same": b"x" * 10},
]


def shard(vault: Vault, files: dict[str, bytes]) -> Shard:
    """As it travels between processes."""
    with vault.begin(system="s", kind="files", shard=True, chunk_size=4096) as writer:
        add_all(writer, files)
        return Shard.from_json(json.loads(json.dumps(writer.hand_over().to_json())))


def test_a_point_of_shards_is_exact_and_only_the_driver_commits(tmp_path: Path) -> None:
    store = MemoryStorage()
    owner = create(tmp_path, store)
    Keyring(owner.locations, owner.notary, CHEAP).add("write only", role="writer", label="db1", now=CLOCK.now())
    driver = reopen(owner, tmp_path, secret="write only", cache="driver")
    with driver.begin(system="s", kind="files", chunk_size=4096) as writer:
        add_all(writer, {"own": b"driver's"})
        for number, files in enumerate(FILES):
            part = shard(reopen(owner, tmp_path, secret="write only", cache=f"executor{number}"), files)
            assert owner.points() == []
            writer.adopt(part)
        point = finish(writer)
    whole = {"own": b"driver's", **FILES[0], **FILES[1]}
    assert restore(reopen(owner, tmp_path, secret=SECRET, cache="new").reader(point)) == whole
    assert (point.totals.files, point.totals.bytes) == (len(whole), sum(map(len, whole.values())))
    assert point.totals.new >= 8 << 20
    # Each packs of its own, and all of them are the point's.
    assert point.packs == len(packs_of(store))


def sweep(vault: Vault) -> None:
    """Two prunes: the first lists what is unneeded, the second deletes what nobody wanted meanwhile."""
    for _ in range(2):
        prune.run(vault, prune.make(vault, {"s": Keep(last=9)}, zone=dt.UTC, grace=dt.timedelta(0)), most=1.0)


def test_what_was_handed_over_outlives_prunes_until_the_commit(tmp_path: Path) -> None:
    store = MemoryStorage()
    owner = create(tmp_path, store)
    with owner.begin(system="s", kind="files", chunk_size=4096) as writer:
        part = shard(owner, FILES[0])
        sweep(owner)
        writer.adopt(part)
        point = finish(writer)
    sweep(owner)
    assert restore(owner.reader(point)) == FILES[0]


def test_without_the_session_that_commits_a_prune_takes_it(tmp_path: Path) -> None:
    """What the test before would see if the session did not protect what was stored after it began."""
    store = MemoryStorage()
    owner = create(tmp_path, store)
    shard(owner, FILES[0])
    assert packs_of(store)
    sweep(owner)
    assert not packs_of(store)


def test_a_shard_whose_pack_is_gone_is_not_committed(tmp_path: Path) -> None:
    store = MemoryStorage()
    owner = create(tmp_path, store)
    with owner.begin(system="s", kind="files") as writer:
        part = shard(owner, FILES[0])
        store.delete(packs_of(store)[0])
        writer.adopt(part)
        with pytest.raises(PackMissing):
            finish(writer)
    assert owner.points() == []


def test_a_lost_shard_is_made_again_from_what_it_stored(tmp_path: Path) -> None:
    """A worker that died after its packs were stored: who repeats its shard stores nothing twice."""
    store = MemoryStorage()
    owner = create(tmp_path, store)
    with owner.begin(system="s", kind="files", chunk_size=4096) as writer:
        shard(owner, FILES[1])
        stored = len(packs_of(store))
        again = shard(owner, FILES[1])
        assert again.counts["new"] == 0
        assert len(packs_of(store)) <= stored + 1  # content lists
        writer.adopt(again)
        point = finish(writer)
    assert restore(owner.reader(point)) == FILES[1]


def test_an_ordinary_session_is_not_handed_over(tmp_path: Path) -> None:
    owner = create(tmp_path, MemoryStorage())
    with owner.begin(system="s", kind="files") as writer:
        writer.add(Entry("f", size=1), b"x")
        with pytest.raises(AssertionError):
            writer.hand_over()
