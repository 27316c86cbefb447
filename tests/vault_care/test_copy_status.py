"""A copy is a vault of its own; status counts what is there."""

import pytest

from holdfast.storage import StorageUnreachable
from holdfast.storage.memory import MemoryStorage
from holdfast.storage.wrappers.faults import Fault, Faulty
from holdfast.vault import Vault
from holdfast.vault.check import Check
from holdfast.vault.copy import copy
from holdfast.vault.errors import VaultMissing, VaultMixed
from holdfast.vault.status import status
from tests.vault_care.conftest import SECRET, Depot, files


@pytest.fixture
def filled(one):
    first = one.take(files(1, 2, 3000))
    one.take(files(1, 2, 3000) | files(2, 2, 3000), base=first.id)
    one.log(0, b"log" * 100)
    return one


def alone(depot, storage):
    return Vault.open([storage], SECRET, clock=depot.clock, cache=depot.cache / "copy")


def test_a_copy_is_complete_alone_and_equal(filled):
    target = MemoryStorage(name="copy")
    done = copy(filled.storages[0], target)
    assert done.refused == []
    assert done.objects == len(target.objects)
    source = {name: data for name, (data, _) in filled.storages[0].objects.items() if not name.startswith("sessions/")}
    assert {name: data for name, (data, _) in target.objects.items()} == source
    assert len(filled.require_whole(vault=alone(filled, target))) == 2
    assert Check(alone(filled, target), share=1).run().ok
    again = copy(filled.storages[0], target)
    assert (again.objects, again.bytes) == (0, 0)
    assert again.there > 0


def test_a_copy_that_was_cut_off_goes_on(filled):
    target = MemoryStorage(name="copy")
    for after in range(100):
        faulty = Faulty(target, Fault("put", after=after % 3))
        try:
            copy(filled.storages[0], faulty)
        except StorageUnreachable:
            assert "config" not in target.objects
        else:
            break
    assert after > 2
    filled.require_whole(vault=alone(filled, target))


def test_until_the_end_the_target_is_no_vault(filled):
    target = MemoryStorage(name="copy")
    with pytest.raises(StorageUnreachable), Faulty(target, Fault("put", prefix="logs/")) as faulty:
        copy(filled.storages[0], faulty)
    with pytest.raises(VaultMissing):
        alone(filled, target)


def test_damage_is_not_copied_and_what_needs_it_waits(filled):
    target = MemoryStorage(name="copy")
    pack = filled.names("packs/")[0]
    filled.damage(pack)
    done = copy(filled.storages[0], target)
    assert any(pack in sentence for sentence in done.refused)
    assert any("points/" in sentence and "packs that it needs" in sentence for sentence in done.refused)
    assert pack not in target.objects
    filled.damage(pack)
    assert copy(filled.storages[0], target).refused == []
    filled.require_whole(vault=alone(filled, target))


@pytest.mark.parametrize("prefix", ["points/", "logs/", "index/", "keys/writers/", "keys/slots/", "keys/epochs/"])
def test_a_damaged_small_object_is_not_copied(filled, prefix):
    name = filled.names(prefix)[0]
    filled.damage(name)
    target = MemoryStorage(name="copy")
    assert any(name in sentence for sentence in copy(filled.storages[0], target).refused)
    assert name not in target.objects


def test_another_vault_is_not_written_over(filled, tmp_path):
    other = Depot(tmp_path / "other", lambda clock: [MemoryStorage(clock, "other")])
    before = dict(other.storages[0].objects)
    with pytest.raises(VaultMixed):
        copy(filled.storages[0], other.storages[0])
    assert other.storages[0].objects == before
    with pytest.raises(VaultMissing):
        copy(MemoryStorage(), other.storages[0])


def test_status(filled):
    found = status(filled.open())
    assert [one.name for one in found.systems] == ["orders"]
    assert (found.systems[0].points, found.systems[0].log_increments) == (2, 1)
    assert found.systems[0].oldest < found.systems[0].newest
    assert found.locations[0].objects == len(filled.storages[0].objects)
    assert found.locations[0].bytes == sum(len(data) for data, _ in filled.storages[0].objects.values())
    document = found.to_json()
    assert document["systems"][0]["protected_bytes"] == sum(map(len, (files(1, 2, 3000) | files(2, 2, 3000)).values()))
    assert document["slots"] == 2
    assert document["deduplication"] > 1
