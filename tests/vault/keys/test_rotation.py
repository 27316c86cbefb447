"""Epochs: what is written after a rotation is closed to keys that were taken out of service before it, and open to all others."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.storage.memory import MemoryStorage
from holdfast.vault.check import Check
from holdfast.vault.errors import KeyringForked, KeyringRolledBack, RoleLacking, SlotOld, WrongKey
from holdfast.vault.format import crypto
from holdfast.vault.keys import slots
from holdfast.vault.keys.notary import Notary
from holdfast.vault.packs.layout import parse_header
from tests.vault.keys.kit import label
from tests.vault.kit import CLOCK, SECRET, capture, packs_of, restore

OLD, NEW = {"old": b"before" * 9000}, {"old": b"before" * 9000, "new": b"after" * 9000}


def between(house, act):
    """Has ``act`` done just before the next keyring is put; the list then holds what it gave."""
    real, began, done = house.near.put_if_absent, [], []

    def meddling(name, parts):
        if name.startswith("keys/ring/") and not began:
            began.append(True)
            done.append(act())
        real(name, parts)

    house.near.put_if_absent = meddling
    return done


def epochs_of(storage):
    return {parse_header(storage.objects[name][0]).epoch for name in packs_of(storage)}


def test_every_slot_follows_and_old_points_stay_readable(house):
    made = house.keys().new_key("file", role="reader", label="auditor", now=CLOCK.now())
    first = capture(house.open(), OLD)
    assert house.keys().rotate() == 2
    vault = house.open()
    second = capture(vault, NEW, vault.point(first.id))
    assert second.method == "incremental"  # chunks of the old epoch are reused: the identity key outlives it
    assert epochs_of(house.near) == {1, 2}
    for secret in (SECRET, house.recovery, made.text):
        for storages in ((house.near,), (house.far,)):
            opened = house.open(secret, *storages, cache=f"{secret[:4]}")
            assert [point.id for point in opened.points()] == [first.id, second.id]
            assert restore(opened.point(second.id)) == NEW
    assert Check(house.open(), share=1).run().ok


def test_a_slot_removed_before_a_rotation_opens_nothing_new(house):
    """Its holder kept everything: the slot's object, the bundle in it, and reads the locations."""
    keys = house.keys()
    keys.add("the leaver's", label="leaver", now=CLOCK.now())
    kept = house.open("the leaver's")
    old = capture(kept, OLD)
    keys.remove("leaver")
    keys.rotate()
    vault = house.open()
    new = capture(vault, NEW, vault.point(old.id))
    with pytest.raises(WrongKey):
        house.open("the leaver's")
    held = kept.notary.privates()
    for name, (data, _) in house.near.objects.items():
        if name.startswith("packs/") and parse_header(data).epoch == 2:
            assert not set(parse_header(data).boxes) & set(held) - {crypto.recipient(crypto.box_public(kept.notary.bundle.writer.box))}
    # An owner's bundle shares the owner's writer, to whom manifests are boxed; content it cannot read.
    notary = Notary(replace(kept.notary.bundle, writer=None, role="reader"), kept.locations.read)
    with pytest.raises(RoleLacking):
        notary.open(notary.check(f"points/{new.id}", house.near.get(f"points/{new.id}")))


def test_a_writer_with_the_old_keys_goes_on_writing_what_all_can_read(house):
    before = house.open()
    logs = before.logs("s").writer("main")
    logs.append(0, b"a" * 100, {})
    with before.begin(system="s", kind="files") as writer:
        house.keys().rotate()
        from tests.vault.kit import add_all, finish

        add_all(writer, OLD)
        point = finish(writer)
    logs.append(100, b"b" * 100, {})
    logs.close()
    assert epochs_of(house.near) == {1}
    vault = house.open()
    assert restore(vault.point(point.id)) == OLD
    assert b"".join(bytes(data) for _, data in vault.logs("s").reader("main").stream(0)) == b"a" * 100 + b"b" * 100


def test_a_process_that_writes_for_months_hears_of_a_new_epoch(house):
    vault = house.open()
    now = CLOCK.now()
    vault.notary.make("sessions/x", "session", now)
    house.keys().rotate()
    vault.notary.make("sessions/y", "session", now + dt.timedelta(minutes=9))
    assert vault.notary.bundle.epoch()[0] == 1
    vault.notary.make("sessions/z", "session", now + dt.timedelta(minutes=11))
    assert vault.notary.bundle.epoch()[0] == 2
    assert vault.notary.bundle.epoch()[1].private is not None


def test_two_rotations_at_once_both_count(house):
    """The second one finds the first one's keyring in its place, and starts anew."""
    one, two = house.keys(), house.keys()
    done = between(house, two.rotate)
    assert one.rotate() > done[0]
    for secret in (SECRET, house.recovery):
        bundle = house.open(secret, cache="new").notary.bundle
        assert {number: epoch.private is not None for number, epoch in bundle.epochs["vault"].items()}[bundle.epoch()[0]]


def test_a_slot_added_while_another_process_rotates_gets_the_new_epoch(house):
    one, two = house.keys(), house.keys()
    done = between(house, two.rotate)
    one.add("late", label="late", now=CLOCK.now())
    bundle = house.open("late", cache="new").notary.bundle
    assert bundle.epoch()[0] == done[0]
    assert bundle.epoch()[1].private is not None


def test_a_slot_removed_while_another_process_rotates_is_not_given_the_new_epoch(house):
    house.keys().add("going", label="going", now=CLOCK.now())
    kept = dict(house.near.objects)
    one, two = house.keys(), house.keys()
    done = between(house, lambda: two.remove("going").id)
    number = one.rotate()
    from holdfast.vault.format import envelope

    gone = slots.parse(done[0], kept[f"keys/slots/{done[0]}"][0])
    holders = envelope.recipients(envelope.parse("x", house.near.objects[f"keys/epochs/vault/{number:04x}"][0]))
    assert crypto.recipient(gone.public) not in holders


def test_slots_of_before_there_were_epochs_are_told_before_a_rotation(tmp_path):
    """The golden vault: its slots cannot be given a later epoch, and say so; new ones can."""
    from holdfast.vault import Vault
    from holdfast.vault.keys.keyring import Keyring
    from tests.golden import content
    from tests.vault.kit import CHEAP

    folder = Path(__file__).parents[2] / "golden" / "format-1"
    store = MemoryStorage()
    for path in folder.rglob("*"):
        if path.is_file():
            store.put_if_absent(path.relative_to(folder).as_posix(), [path.read_bytes()])

    def opened(secret):
        vault = Vault.open([store], secret, clock=CLOCK, cache=tmp_path)
        return Keyring(vault.locations, vault.notary, CHEAP, opened_by=vault.opened_by)

    keys = opened(content.PASSPHRASE)
    with pytest.raises(SlotOld):
        keys.rotate()
    keys.add("its successor", label="new", now=CLOCK.now())
    keys = opened("its successor")
    for slot in keys.list():
        if slot.label != "new":
            keys.remove(slot.id)
    assert keys.rotate() == 2
    vault = Vault.open([store], "its successor", clock=CLOCK, cache=tmp_path)
    assert len(vault.points()) == 2
    assert vault.notary.bundle.epoch()[1].private is not None


def test_an_older_keyring_put_back_is_noticed_by_who_saw_the_newer_one(house):
    house.keys().add("going", label="going", now=CLOCK.now())
    before = [house.snapshot(0), house.snapshot(1)]
    house.keys().remove("going")
    house.keys().rotate()
    for storage, objects in zip(house.storages, before, strict=True):
        storage.objects = dict(objects)
    vault = house.open()
    assert vault.points() == []  # reading goes on
    with pytest.raises(KeyringRolledBack, match="seen generation"):
        capture(vault, OLD)
    with pytest.raises(KeyringRolledBack):
        house.keys().rotate()
    with pytest.raises(KeyringRolledBack):
        vault.renew_keys()
    # Set back on purpose: an owner says so, and only then is it written again.
    keys = house.keys()
    generation = keys.accept()
    capture(house.open(), OLD)
    assert generation > 4


def test_an_older_keyring_in_one_location_is_outvoted_by_the_other(house):
    house.keys().add("going", label="going", now=CLOCK.now())
    before = house.snapshot(0)
    house.keys().remove("going")
    house.near.objects = dict(before)
    with pytest.raises(WrongKey):  # SlotRemoved: the slot's object is back, its place in the keyring is not
        house.open("going", cache="a machine that never saw it")
    with pytest.raises(WrongKey):
        house.open("going", house.far, cache="another")
    assert house.keys().changes.complete().generation == house.keys().changes.current().generation
    assert not any(name.endswith(next(iter(house.keys().changes.current().removed))) for name in house.near.objects)


def test_rubbish_in_the_keyrings_place_stops_nobody(house):
    """An attacker with a location's credentials, and no key of the vault."""
    other = type(house)(house.folder / "other")
    ring = house.names("keys/ring/")[-1]
    forged = other.near.objects[other.names("keys/ring/")[-1]][0]
    for storage in house.storages:
        storage.put_if_absent(f"keys/ring/{int(ring[-16:], 16) + 1:016x}", [b"rubbish"])
        storage.put_if_absent("keys/ring/" + "f" * 16, [forged])
    vault = house.open()
    assert vault.notary.distrust is None
    assert house.keys().rotate() == 2
    assert house.open().notary.bundle.epoch()[0] == 2


def test_keyrings_that_grew_apart_are_told(house):
    house.keys(house.open(SECRET, house.near, cache="a")).new_key("file", label="x", now=CLOCK.now())
    house.keys(house.open(SECRET, house.far, cache="b")).new_key("file", label="y", now=CLOCK.now())
    with pytest.raises(KeyringForked):
        house.open(cache="c")


def test_the_recovery_keys_slot_follows_too(house):
    for _ in range(3):
        house.keys().rotate()
    vault = house.open(house.recovery, house.far, cache="r")
    assert sorted(vault.notary.bundle.epochs["vault"]) == [1, 2, 3, 4]
    assert all(epoch.private for epoch in vault.notary.bundle.epochs["vault"].values())
    assert label(vault, "recovery").kind == "recovery"
