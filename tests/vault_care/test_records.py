"""The journal and the plan, copied into a location and read out of it on a machine that has nothing else."""

import datetime as dt

import pytest
import yaml

from holdfast.journal import Journal
from holdfast.model import SystemClock
from holdfast.plan import examine
from holdfast.plan.portable import relocated
from holdfast.vault.check import Check
from holdfast.vault.errors import ObjectDamaged
from holdfast.vault.keys.keyring import Keyring
from holdfast.vault.records.copies import RecordCopies, newest_plan
from tests.vault_care.conftest import CHEAP


def copies(depot, number=0):
    vault = depot.open()
    return RecordCopies(vault.locations.storages[number], vault.notary, depot.clock.now)


def test_entries_are_copied_once_sealed_and_believed(depot, tmp_path):
    journal = Journal(tmp_path / "journal", SystemClock())
    for n in range(3):
        journal.record("backup.end", system="orders-secret-name", n=n)
    first = journal.export("near", copies(depot))
    assert first == 4  # and the beginning of the chain
    assert journal.export("near", copies(depot)) == 0
    journal.record("more")
    assert journal.export("near", copies(depot)) == 1
    assert journal.export("far", copies(depot, 1)) == 5
    vault = depot.open()
    lines = [vault.notary.open(vault.notary.check(name, depot.storages[0].get(name), "journal")) for name in depot.names("journal/")]
    assert lines == [record.line for record in journal.entries()]
    assert not any(b"orders-secret-name" in data for data, _ in depot.storages[0].objects.values())
    assert Check(vault, share=1.0).run().ok


def test_the_same_entry_again_is_fine_and_another_one_under_its_name_is_refused(depot):
    one = copies(depot)
    one.put("journal/aa/0000000000000000", b"line\n")
    one.put("journal/aa/0000000000000000", b"line\n")
    with pytest.raises(ObjectDamaged):
        one.put("journal/aa/0000000000000000", b"other\n")


def test_a_plan_is_stored_when_it_is_new_also_when_it_is_an_old_one_again(depot):
    for text, stored in [("a", True), ("a", False), ("b", True), ("b", False), ("a", True)]:
        depot.clock.added += dt.timedelta(seconds=1)
        assert copies(depot).put_plan(text, f"sha256:{text}") is stored
    vault = depot.open()
    assert newest_plan(vault.locations.first, vault.notary) == ("a", [])
    depot.damage(depot.names("plan/")[-1])
    text, wrong = newest_plan(vault.locations.first, vault.notary)
    assert text == "b"
    assert len(wrong) == 1


def test_a_writers_key_copies_and_a_readers_reads(depot):
    vault = depot.open()
    keys = Keyring(vault.locations, vault.notary, CHEAP)
    keys.add("write only", role="writer", now=depot.clock.now())
    keys.add("read only", role="reader", now=depot.clock.now())
    writer = depot.open(secret="write only")
    assert RecordCopies(writer.locations.first, writer.notary, depot.clock.now).put_plan("p", "h")
    reader = depot.open(secret="read only")
    assert newest_plan(reader.locations.first, reader.notary) == ("p", [])


def test_a_plan_is_turned_to_the_one_location_that_is_there(tmp_path):
    merged = {
        "platform": "shop",
        "vars": {"x": 1},
        "vault": {
            "key": {"env": "SECRET"},
            "locations": [
                {"name": "near", "url": "file:///srv/near", "failure_domain": "a"},
                {"name": "far", "url": "s3://bucket/far", "failure_domain": "b", "credentials": {"profile": "p"}},
            ],
        },
        "tiers": {
            "t": {"rpo": {"near": "2d", "far": "3d"}, "locations": ["near", "far"], "min_copies": 2, "backup": "daily", "keep": {"last": 3}}
        },
        "systems": {"orders": {"kind": "postgres", "tier": "t", "dsn": {"env": "ORDERS_DSN"}, "locations": ["far"]}},
    }
    found = relocated(merged, "file:///mnt/rescued", "KEY")
    assert found["vault"] == {"key": {"env": "KEY"}, "locations": [{"name": "near", "failure_domain": "a", "url": "file:///mnt/rescued"}]}
    assert found["tiers"]["t"] == {"rpo": {"near": "2d"}, "locations": ["near"], "min_copies": 1, "backup": "daily", "keep": {"last": 3}}
    assert found["systems"]["orders"]["locations"] == ["near"]
    assert merged["vault"]["key"] == {"env": "SECRET"}
    far = relocated(merged, "s3://bucket/far/", "KEY", "http://here:9000")
    assert far["vault"]["locations"] == [{"name": "far", "failure_domain": "b", "url": "s3://bucket/far/", "endpoint": "http://here:9000"}]
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(found))
    plan, problems = examine(tmp_path / "plan.yaml")
    assert plan is not None, problems
