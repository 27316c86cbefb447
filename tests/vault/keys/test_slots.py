"""Slots: made, labelled, proved, removed without touching a pack; and nobody is left outside."""

import json

import pytest

from holdfast.errors import Damaged
from holdfast.vault.errors import KeyringPartly, LastSlot, ObjectDamaged, SlotRemoved, SlotUnproved, WrongKey
from holdfast.vault.keys import slots
from tests.vault.keys.kit import label
from tests.vault.kit import CLOCK, SECRET, capture, packs_of, restore


def test_changes_of_keys_touch_no_pack(house):
    point = capture(house.open(), {"a": b"x" * 100_000})
    before = {name: house.near.objects[name] for name in packs_of(house.near)}
    keys = house.keys()
    keys.add("another passphrase", label="second", now=CLOCK.now())
    keys.rotate()
    house.keys(house.open("another passphrase")).remove(label(house.open(), "").id)
    assert {name: house.near.objects[name] for name in packs_of(house.near)} == before
    vault = house.open("another passphrase")
    assert restore(vault.point(point.id)) == {"a": b"x" * 100_000}
    with pytest.raises(WrongKey):
        house.open(SECRET)


def test_labels_are_changed_and_hidden(house):
    keys = house.keys()
    made = keys.new_key("file", label="alice's laptop", role="reader", now=CLOCK.now())
    assert keys.label("alice's laptop", "bob's laptop").id == made.slot
    assert label(house.open(), "bob's laptop").id == made.slot
    assert not any(b"alice's" in data or b"bob's l" in data for data, _ in house.near.objects.values())


def test_a_slot_that_was_never_seen_to_open_keeps_nobody(house):
    """At three in the morning the only key that is left must be one that somebody has opened with."""
    keys = house.keys()
    first = next(slot for slot in keys.list() if slot.kind == "passphrase")
    with pytest.raises(SlotUnproved, match="was ever seen to open") as caught:
        keys.remove(first.id)
    assert "holdfast vault key prove" in caught.value.hint
    assert house.open().id == house.vault.id
    assert keys.prove(house.recovery).kind == "recovery"
    keys.remove(first.id)
    assert house.open(house.recovery).role == "owner"
    with pytest.raises(LastSlot):
        house.keys(house.open(house.recovery)).remove("recovery")


def test_opening_for_a_key_change_counts_as_proof(house):
    house.keys().add("second passphrase", label="second", now=CLOCK.now())
    second = house.keys(house.open("second passphrase"))
    assert {state.slot.label: state.proved is not None for state in second.states()} == {"": True, "recovery": False, "second": True}
    second.remove(label(house.open(), "").id)  # it goes, since this very key was seen to open


def test_proving_looks_at_every_location(house):
    name = next(name for name in house.names("keys/slots/") if json.loads(house.far.objects[name][0])["kind"] == "recovery")
    house.far.objects[name] = (house.far.objects[name][0][:-9] + b"somewhat}", CLOCK.now())
    with pytest.raises(Damaged):
        house.keys().prove(house.recovery)
    del house.far.objects[name]
    with pytest.raises(ObjectDamaged, match="missing"):
        house.keys().prove(house.recovery)
    house.keys().changes.complete()
    assert house.keys().prove(house.recovery).kind == "recovery"
    with pytest.raises(WrongKey):
        house.keys().prove("not a key")


def test_the_last_owners_slot_of_a_location_is_kept_though_others_hold_more(house):
    house.keys().prove(house.recovery)
    for name in house.names("keys/slots/", 1):
        if json.loads(house.far.objects[name][0])["kind"] == "recovery":
            del house.far.objects[name]
    first = next(slot for slot in house.open().slots() if slot.kind == "passphrase")
    with pytest.raises(LastSlot, match="far"):
        house.keys(house.open(house.recovery)).remove(first.id)


def test_a_removal_that_a_location_did_not_hear_of_is_told_and_completed(house):
    from holdfast.storage.wrappers.faults import Fault, Faulty, unreachable

    house.keys().prove(house.recovery)
    fault = Fault("*", act=unreachable, times=10**9)
    vault = house.open(house.recovery)
    first = next(slot for slot in vault.slots() if slot.kind == "passphrase")
    cut = house.open(house.recovery, house.near, Faulty(house.far, fault), cache="other")
    with pytest.raises(KeyringPartly) as caught:
        house.keys(cut).remove(first.id)
    assert (caught.value.status, caught.value.details["left"]) == (3, ["memory:far"])
    assert fault.fired
    with pytest.raises(SlotRemoved, match="which was removed at"):
        house.open(SECRET)  # both locations are known: the one that heard of it counts
    assert house.open(SECRET, house.far, cache="third").role == "owner"  # as was told
    house.keys(house.open(house.recovery)).changes.complete()
    with pytest.raises(WrongKey):
        house.open(SECRET, house.far, cache="third")


def test_a_slot_in_force_must_be_the_one_that_was_listed(house):
    """Another sound slot under the same name, made with the attacker's own passphrase, is not tried."""
    name = next(name for name in house.names("keys/slots/") if json.loads(house.near.objects[name][0])["kind"] == "passphrase")
    bundle = house.vault.notary.bundle
    forged = slots.make(bundle, "attacker", slot_id=name[-16:], now=CLOCK.now(), random=house.vault.notary.random, cost=house.keys()._cost)
    for storage in house.storages:
        storage.objects[name] = (forged, CLOCK.now())
    with pytest.raises(ObjectDamaged):
        house.open("attacker")


def test_a_planted_slot_opens_nothing_and_is_given_no_later_key(house):
    bundle = house.vault.notary.bundle
    planted = slots.make(bundle, "attacker", slot_id="a" * 16, now=CLOCK.now(), random=house.vault.notary.random, cost=house.keys()._cost)
    for storage in house.storages:
        storage.put_if_absent("keys/slots/" + "a" * 16, [planted])
    with pytest.raises(SlotRemoved, match="does not list"):
        house.open("attacker")
    number = house.keys().rotate()
    from holdfast.vault.format import crypto, envelope

    holders = envelope.recipients(envelope.parse("x", house.near.objects[f"keys/epochs/vault/{number:04x}"][0]))
    assert crypto.recipient(slots.parse("a" * 16, planted).public) not in holders
    assert len(holders) == 2


def test_the_slot_that_opened_last_time_is_tried_first(house, monkeypatch):
    keys = house.keys()
    for number in range(4):
        keys.add(f"passphrase {number}", now=CLOCK.now())
    tried = []
    real = slots.unlock
    monkeypatch.setattr(slots, "unlock", lambda slot, *rest: tried.append(slot.id) or real(slot, *rest))
    house.open("passphrase 3")
    assert len(tried) > 1
    tried.clear()
    house.open("passphrase 3")
    assert len(tried) == 1
