"""Keys in a location that locks objects (a real MinIO): what goes out of force stays there, opens nothing, and the certificate says so."""

import pytest

from holdfast.storage.memory import MemoryStorage
from holdfast.vault import Vault
from holdfast.vault.copy import copy
from holdfast.vault.errors import ScopeErased, SlotRemoved
from holdfast.vault.keys import slots
from tests.vault.keys.killed import PII, keyring
from tests.vault.kit import CLOCK, capture, restore
from tests.vault.lock.conftest import lock_bucket  # noqa: F401 - a fixture
from tests.vault_care.conftest import SECRET

pytestmark = pytest.mark.minio
OTHER = "the other scope's key"
FILES = {"a": b"a" * 70_000}


@pytest.fixture
def place(lock_bucket):  # noqa: F811
    return lock_bucket("compliance")


def opened(place, folder, secret=SECRET):
    scopes = {"pii": PII, "other": OTHER}
    return Vault.open(
        place.depot.storages, secret, clock=CLOCK, cache=folder / "cache", scopes=scopes, systems={"people": "pii", "letters": "other"}
    )


def test_an_erasure_tells_until_when_a_lock_keeps_the_slots(place, tmp_path):
    keys = keyring(opened(place, tmp_path))
    keys.scopes.add("pii", PII, now=CLOCK.now())
    keys.scopes.add("other", OTHER, now=CLOCK.now(), erase="at-once")
    vault = opened(place, tmp_path)
    people = capture(vault, FILES, system="people")
    letters = capture(vault, FILES, system="letters")
    plain = capture(vault, FILES, system="plain")
    assert restore(opened(place, tmp_path).point(letters.id)) == FILES
    keys = keyring(opened(place, tmp_path))
    tags = {name: keys.tag(name) for name in ("pii", "other")}
    told = {}
    for name in tags:
        plan = keys.scopes.plan(name)
        assert plan.locked
        told[name] = keys.scopes.erase(plan, {"host": "h", "user": "u"})
    (locked,), (erased,) = told["pii"]["locations"], told["other"]["locations"]
    assert (told["pii"]["complete"], locked["state"]) == (False, "locked")
    assert locked["until"] > told["pii"]["certified_at"]
    assert any(locked["until"] in sentence for sentence in told["pii"]["does_not_cover"])
    assert (told["other"]["complete"], erased["state"]) == (True, "erased")
    storage = place.depot.storages[0]
    # What lies there still: with the key known, a slot of the one opens outside of Holdfast, of the other it does not.
    for name, expected in (("pii", True), ("other", False)):
        (slot_id,) = told[name]["slots"]
        data = storage.get(f"keys/scopes/{tags[name]}/{slot_id}")
        assert (slots.unlock(slots.parse(slot_id, data), PII if name == "pii" else OTHER) is not None) == expected
    assert storage.head(f"keys/shreds/{tags['other']}") is None
    again = opened(place, tmp_path / "fresh")
    assert {name: type(error) for name, error in again.closed.items()} == {"pii": ScopeErased, "other": ScopeErased}
    assert [point.id for point in again.points()] == [plain.id]
    assert people.id not in {point.id for point in again.points()}
    other = MemoryStorage(name="copy")
    copy(storage, other)
    assert not [name for name in other.objects if "keys/scopes/" in name or "keys/shreds/" in name]


def test_a_removed_slot_under_a_lock_opens_nothing_and_is_told(place, tmp_path):
    keys = keyring(opened(place, tmp_path))
    keys.add("the leaver's", label="leaver", now=CLOCK.now())
    keys = keyring(opened(place, tmp_path))
    removed = keys.remove("leaver")
    assert len(keys.changes.locked) == 1
    assert place.depot.storages[0].head(f"keys/slots/{removed.id}") is not None
    with pytest.raises(SlotRemoved, match="was removed at"):
        opened(place, tmp_path / "fresh", "the leaver's")
    assert keyring(opened(place, tmp_path)).rotate() == 2
    other = MemoryStorage(name="copy")
    copy(place.depot.storages[0], other)
    assert f"keys/slots/{removed.id}" not in other.objects
