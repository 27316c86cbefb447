"""Scopes: closed to the vault's own key, apart from each other, and gone for good once erased."""

import datetime as dt
import json

import pytest

from holdfast.errors import HoldfastError
from holdfast.storage.memory import MemoryStorage
from holdfast.storage.wrappers.faults import Fault, Faulty, unreachable
from holdfast.vault import prune
from holdfast.vault.check import Check
from holdfast.vault.copy import copy
from holdfast.vault.errors import LastSlot, NotBelieved, RoleLacking, ScopeClosed, ScopeErased, ScopeExists, ScopeUnknown
from holdfast.vault.format import crypto, envelope
from holdfast.vault.keys import scopes as scopes_room
from holdfast.vault.packs import layout
from holdfast.vault.points.retention import Keep
from tests.vault.kit import CLOCK, SECRET, capture, restore

PII = "the pii's passphrase"
FILES = {"people": b"alice bob carol " * 9000, "shared": b"the same everywhere " * 9000}
PLAIN = {"orders": b"order " * 9000, "shared": b"the same everywhere " * 9000}
BY = {"host": "h", "user": "u"}


def with_scope(house, *, erase="after-lock", name="pii", key=PII):
    house.keys().scopes.add(name, key, label=name, now=CLOCK.now(), erase=erase)


def opened(house, *storages, secret=SECRET, cache="cache", key=PII):
    return house.open(secret, *storages, cache=cache, scopes={"pii": key} if key else {}, systems={"people-db": "pii"})


def fill(house, key=PII):
    vault = opened(house, key=key)
    plain = capture(vault, PLAIN, system="orders-db")
    people = capture(vault, FILES, system="people-db")
    with vault.logs("people-db").writer("main") as log:
        log.append(0, b"alice's log " * 10, {"who": "alice"})
    return plain, people


@pytest.mark.parametrize("erase", ["after-lock", "at-once"])
def test_a_scopes_systems_are_closed_to_the_vaults_key(house, erase):
    with_scope(house, erase=erase)
    plain, people = fill(house)
    both = opened(house)
    assert {point.id for point in both.points()} == {plain.id, people.id}
    assert restore(both.point(people.id)) == FILES
    assert b"".join(bytes(data) for _, data in both.logs("people-db").reader("main").stream(0)) == b"alice's log " * 10
    alone = opened(house, key=None)
    assert [point.id for point in alone.points()] == [plain.id]
    with pytest.raises(ScopeClosed):
        capture(alone, FILES, system="people-db")
    with pytest.raises(RoleLacking):
        list(alone.logs("people-db").reader("main").stream(0))
    # Not by any private key that the owner of the vault has, at any box of the scope.
    tag = both.keys.tag("pii")
    privates = list(alone.notary.privates().values())
    own = alone.notary.bundle.writer.box
    seen = 0
    for name, (data, _) in house.near.objects.items():
        boxes = []
        if name.startswith("packs/") and layout.parse_header(data).scope == tag:
            boxes = list(layout.parse_header(data).boxes.values())
        elif (
            data[:8] == envelope.MAGIC and (parsed := envelope.parse(name, data)).clear.get("scope") == tag and parsed.sealed[:1] == b"\x01"
        ):
            boxes = [parsed.sealed[2 + 88 * i + 8 : 2 + 88 * (i + 1)] for i in range(parsed.sealed[1])]
        for box in boxes:
            seen += 1
            for key in [*privates, own]:
                with pytest.raises(crypto.CannotOpen):
                    crypto.unbox(box, key)
    assert seen >= 4
    assert not any(b'"pii"' in data for name, (data, _) in house.near.objects.items() if name not in {"FORMAT.md", "decoder.py"})
    assert Check(opened(house), share=1).run().ok
    assert Check(opened(house, key=None), share=1).run().ok


def test_nothing_is_shared_with_a_scope(house):
    """Equal content has other ids and is stored again: deduplication does not tell that the scope holds it, nor die with it."""
    with_scope(house)
    plain, people = fill(house)
    again = capture(opened(house), FILES, opened(house).point(people.id), system="people-db")
    assert again.totals.new_chunks == 0  # within the scope it is reused
    packs = [set(_packs(house, point)) for point in (plain, people)]
    assert not packs[0] & packs[1]
    vault = opened(house)
    moved = capture(vault, FILES, vault.point(plain.id), system="people-db")
    assert moved.base is None  # a base of another scope is left out


def _packs(house, point):
    raw = envelope.parse("x", house.near.get(f"points/{point.id}")).packs
    return [raw[at : at + 48] for at in range(0, len(raw), 48)]


def test_slots_of_a_scope_come_and_go_like_the_vaults(house):
    with_scope(house)
    people = fill(house)[1]
    vault = opened(house)
    keys = house.keys(vault)
    made = keys.new_key("recovery", label="pii recovery", now=CLOCK.now(), scope="pii")
    host = keys.new_key("file", role="writer", label="people-db1", now=CLOCK.now(), scope="pii")
    assert keys.rotate("pii") == 2
    assert keys.rotate() == 2
    after = capture(opened(house), FILES, opened(house).point(people.id), system="people-db")
    recovered = opened(house, key=made.text, cache="r")
    assert restore(recovered.point(after.id)) == FILES
    writing = opened(house, key=host.text, cache="w")
    new = capture(writing, FILES, system="people-db")
    assert restore(opened(house).point(new.id)) == FILES
    tag = keys.tag("pii")
    assert not any(epoch.private for epoch in writing.notary.bundle.epochs[tag].values())
    first = next(slot for slot in keys.list() if slot.scope == tag and slot.kind == "passphrase")
    keys = house.keys(opened(house, key=made.text, cache="r"))
    keys.remove(first.id)  # the recovery key was opened with just now
    with pytest.raises(LastSlot, match="scope 'pii'") as caught:
        keys.remove("pii recovery")
    assert "erase-scope pii" in caught.value.hint
    closed = opened(house, cache="c")
    assert isinstance(closed.closed["pii"], ScopeClosed)


def test_a_wrong_key_a_missing_scope_and_a_second_one_of_that_name(house):
    with_scope(house)
    assert isinstance(opened(house, key="wrong").closed["pii"], ScopeClosed)
    assert isinstance(house.open(scopes={"nobody": PII}).closed["nobody"], ScopeUnknown)
    with pytest.raises(ScopeExists):
        with_scope(house)
    with pytest.raises(ScopeClosed):
        house.keys().add("more", label="x", now=CLOCK.now(), scope="pii")


@pytest.mark.parametrize("erase", ["after-lock", "at-once"])
def test_an_erased_scope_is_gone_everywhere_and_nobody_elses_history_with_it(house, erase):
    with_scope(house, erase=erase)
    with_scope(house, name="other", key="the other's")
    plain, people = fill(house)
    vault = house.open(scopes={"other": "the other's"}, systems={"other-db": "other"})
    other = capture(vault, {"a": b"other " * 900}, system="other-db")
    stolen = house.snapshot()
    keys = house.keys(house.open())
    plan = keys.scopes.plan("pii")
    assert (len(plan.points), plan.again) == (1, False)
    before = house.snapshot()
    assert keys.scopes.plan("pii").to_json()["points"] == 1
    assert house.snapshot() == before
    certificate = keys.scopes.erase(plan, BY)
    assert certificate["complete"] is True
    assert [one["state"] for one in certificate["locations"]] == ["erased", "erased"]
    assert set(certificate["slots"]) == set(plan.slots)
    assert certificate["by"] == BY
    tag = plan.tag
    for storage in house.storages:
        assert not [name for name in storage.objects if tag in name]
    gone = opened(house, cache="new")
    assert isinstance(gone.closed["pii"], ScopeErased)
    assert [point.id for point in gone.points()] == [plain.id]
    assert restore(gone.point(plain.id)) == PLAIN
    rest = house.open(scopes={"other": "the other's"}, cache="o")
    assert {point.id for point in rest.points()} == {plain.id, other.id}
    assert restore(rest.point(other.id)) == {"a": b"other " * 900}
    with pytest.raises(ScopeErased):
        capture(gone, FILES, system="people-db")
    with pytest.raises(ScopeErased):
        with_scope(house)
    assert people.id not in [point.id for point in opened(house).points()]  # nor out of this machine's cache
    # The certificate can be checked by whoever knows the vault's root, and not be changed.
    scopes_room.verify_certificate(json.loads(json.dumps(certificate)), house.vault.notary.vault, house.vault.notary.bundle.root_public)
    with pytest.raises(NotBelieved):
        scopes_room.verify_certificate({**certificate, "complete": False}, house.vault.notary.vault, house.vault.notary.bundle.root_public)
    # Put back by hand, by a copy, or by an old location: it opens nothing, and is not copied.
    for name, (data, at) in stolen.items():
        if tag in name:
            house.near.objects[name] = (data, at)
    assert isinstance(opened(house, cache="again").closed["pii"], ScopeErased)
    third = MemoryStorage(name="third")
    copy(house.near, third)
    assert not [name for name in third.objects if tag in name]
    house.keys().changes.complete()
    assert not [name for name in house.near.objects if tag in name]


def test_a_location_that_did_not_answer_is_told_in_the_certificate_and_erased_later(house):
    with_scope(house)
    people = fill(house)[1]
    fault = Fault("*", act=unreachable, times=10**9)
    cut = house.open(SECRET, house.near, Faulty(house.far, fault))
    keys = house.keys(cut)
    certificate = keys.scopes.erase(keys.scopes.plan("pii"), BY)
    assert fault.fired
    assert certificate["complete"] is False
    assert [one["state"] for one in certificate["locations"]] == ["erased", "not-reached"]
    assert any("NOT erased there yet" in sentence for sentence in certificate["does_not_cover"])
    assert restore(opened(house, house.far, cache="far").point(people.id)) == FILES  # as it says
    keys = house.keys()
    plan = keys.scopes.plan("pii")
    assert plan.again
    second = keys.scopes.erase(plan, BY)
    assert second["complete"] is True
    assert second["erased_at"] == certificate["erased_at"]
    assert isinstance(opened(house, house.far, cache="far2").closed["pii"], HoldfastError)


def test_with_a_shred_gone_slots_that_stayed_open_nothing(house):
    """What an object lock does to an erasure: the slots lie there still, with their keys known."""
    with_scope(house, erase="at-once")
    fill(house)
    keys = house.keys()
    tag = keys.tag("pii")
    ring = keys.changes.current()
    (slot_id,) = ring.in_scope(tag)
    data = house.near.get(f"keys/scopes/{tag}/{slot_id}")
    from holdfast.vault.keys import opening, slots

    shred = opening.shred_of(house.open().locations, house.open().notary.bundle, tag)
    slot = slots.parse(slot_id, data)
    assert slots.unlock(slot, PII, shred).identity[tag]
    assert slots.unlock(slot, PII, b"") is None
    assert slots.unlock(slot, PII, bytes(32)) is None


def test_two_that_make_one_scope_at_once_make_one(house):
    one, two = house.keys(), house.keys()
    real, began = house.near.put_if_absent, []

    def meddling(name, parts):
        if name.startswith("keys/ring/") and not began:
            began.append(True)
            two.scopes.add("pii", PII, now=CLOCK.now(), erase="at-once")
        real(name, parts)

    house.near.put_if_absent = meddling
    with pytest.raises(ScopeExists):
        one.scopes.add("pii", "another's key", now=CLOCK.now(), erase="at-once")
    people = fill(house)[1]
    assert restore(opened(house).point(people.id)) == FILES


def test_a_system_that_moves_into_a_scope_keeps_its_history_under_the_old_key(house):
    first = capture(house.open(), FILES, system="people-db")
    with house.open().logs("people-db").writer("main") as log:
        log.append(0, b"before " * 10, {})
    with_scope(house)
    vault = opened(house)
    with vault.logs("people-db").writer("main") as log:
        log.append(70, b"behind " * 10, {})
    second = capture(vault, FILES, vault.point(first.id), system="people-db")
    assert second.base is None
    assert (
        b"".join(bytes(data) for _, data in opened(house).logs("people-db").reader("main").stream(0)) == b"before " * 10 + b"behind " * 10
    )
    keys = house.keys()
    keys.scopes.erase(keys.scopes.plan("pii"), BY)
    assert restore(house.open(cache="n").point(first.id)) == FILES


def pruned(vault, **policies):
    made = prune.make(vault, policies, zone=dt.UTC, grace=dt.timedelta(0))
    return made, prune.run(vault, made, most=1)


def test_a_prune_without_the_scopes_key_leaves_it_alone_and_after_an_erasure_takes_it_away(house):
    with_scope(house)
    plain, people = fill(house)
    alone = opened(house, key=None)
    made, _ = pruned(alone, **{"orders-db": Keep(last=1), "people-db": Keep(last=1)})
    assert not made.drop
    assert restore(opened(house).point(people.id)) == FILES
    keys = house.keys()
    keys.scopes.erase(keys.scopes.plan("pii"), BY)
    made, _ = pruned(house.open(), **{"orders-db": Keep(last=1)})
    assert made.drop == (people.id,)
    assert set(_packs(house, plain)) == {bytes.fromhex(name[9:41] + name[42:]) for name in house.names("packs/")}
    assert restore(house.open().point(plain.id)) == PLAIN
