"""Whatever bytes lie where keys should be: a slot, a keyring, an epoch, a list of a revoked writer. Found wrong in words, or harmless."""

import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from holdfast.errors import Damaged, HoldfastError
from holdfast.vault.errors import ObjectDamaged, WrongKey
from holdfast.vault.format import crypto, envelope, names
from holdfast.vault.format.text import to_json
from holdfast.vault.keys import ring as ring_room
from holdfast.vault.keys import slots
from holdfast.vault.keys.bundle import Bundle
from holdfast.vault.keys.ring import Listed, Ring, RingMemory
from tests.vault.kit import CHEAP, CLOCK, SECRET, capture, restore

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
BUNDLE = Bundle.new(crypto.SYSTEM_RANDOM)
SLOT = slots.make(BUNDLE, SECRET, slot_id="0" * 16, now=CLOCK.now(), random=crypto.SYSTEM_RANDOM, cost=CHEAP)


def rechecked(document):
    """As an attacker would write it: the check value is no secret."""
    document.pop("check", None)
    try:
        return to_json(document | {"check": slots._check(document)})
    except (TypeError, ValueError):
        return to_json(document)


@given(st.binary(max_size=400))
@example(b"")
@example(b"{}")
@example(b"[" * 5000)
def test_any_bytes_are_no_slot(data):
    with pytest.raises(ObjectDamaged):
        slots.parse("0" * 16, data)


@QUICK
@given(st.integers(0, len(SLOT) - 1), st.integers(0, 7))
def test_any_flipped_bit_of_a_slot_is_found(at, bit):
    data = bytearray(SLOT)
    data[at] ^= 1 << bit
    with pytest.raises(ObjectDamaged):
        slots.parse("0" * 16, bytes(data))


@QUICK
@given(st.sampled_from(sorted(json.loads(SLOT))), JSON)
def test_any_field_of_a_slot_written_anew_opens_nothing_and_raises_only_what_is_told(field, value):
    document = json.loads(SLOT)
    document[field] = value
    try:
        slot = slots.parse("0" * 16, rechecked(document))
        opened = slots.unlock(slot, SECRET)
    except Damaged:
        return
    # What is not bound to the key (its label, its time) may be another; the keys inside may not.
    assert opened is None or opened.to_json() | {"slot_private": 0} == BUNDLE.to_json() | {"slot_private": 0}


@QUICK
@given(st.dictionaries(st.sampled_from(["name", "salt", "memory_kib", "passes", "lanes", "provider", "wrapped", "key"]), JSON))
def test_any_parameters_of_a_slots_key_are_refused_or_do_not_open(kdf):
    document = json.loads(SLOT)
    document["kdf"] = kdf
    try:
        assert slots.unlock(slots.parse("0" * 16, rechecked(document)), SECRET) is None
    except Damaged:
        return


LISTED = st.builds(
    Listed,
    scope=st.sampled_from(["vault", "a" * 16]),
    kind=st.sampled_from(["passphrase", "recovery", "file", "kms"]),
    role=st.sampled_from(["owner", "reader", "writer"]),
    sum=st.text("0123456789abcdef", min_size=64, max_size=64),
    public=st.none() | st.binary(min_size=32, max_size=32),
    proved=st.none() | st.just(CLOCK.now()),
    writer=st.none() | st.just("b" * 16),
)
IDS = st.text("0123456789abcdef", min_size=16, max_size=16)
RINGS = st.builds(
    Ring,
    generation=st.integers(1, 1 << 40),
    previous=st.just(""),
    slots=st.dictionaries(IDS, LISTED, max_size=4),
    removed=st.dictionaries(IDS, st.just("2026-01-01T00:00:00.000000+00:00"), max_size=3),
    epochs=st.just({"vault": 3}),
    scopes=st.dictionaries(IDS, st.sampled_from(["after-lock", "at-once"]), max_size=2),
    erased=st.dictionaries(IDS, st.just("2026-01-01T00:00:00.000000+00:00"), max_size=2),
    revoked=st.dictionaries(IDS, st.just("2026-01-01T00:00:00.000000+00:00"), max_size=2),
)


def signed(ring, **changed):
    clear = {**ring.fields(), **changed, "kind": "ring", "vault": BUNDLE.vault.hex(), "writer": "root", "at": "x"}
    return envelope.build(names.ring(ring.generation), clear, vault=BUNDLE.vault, sign_private=BUNDLE.root_private)


@QUICK
@given(RINGS)
def test_a_keyring_comes_back_as_it_was_written(ring):
    data = signed(ring)
    back = ring_room.parse(names.ring(ring.generation), data, BUNDLE.vault, BUNDLE.root_public)
    assert back == Ring(**{name: getattr(ring, name) for name in Ring.__dataclass_fields__ if name != "digest"}, digest=back.digest)


@QUICK
@given(RINGS, st.sampled_from(["generation", "slots", "removed", "epochs", "scopes", "erased", "revoked", "previous"]), JSON)
def test_a_signed_keyring_of_any_content_raises_only_what_is_told(ring, field, value):
    try:
        ring_room.parse(names.ring(ring.generation), signed(ring, **{field: value}), BUNDLE.vault, BUNDLE.root_public)
    except Damaged:
        return


@QUICK
@given(data=st.binary(max_size=300))
def test_any_bytes_in_the_memory_of_keyrings_are_no_memory(data, tmp_path):
    (tmp_path / "keyring.json").write_bytes(data)
    generation, digest = RingMemory(tmp_path).known()
    assert isinstance(generation, int)
    assert isinstance(digest, str)


def test_a_wrong_key_a_damaged_slot_and_a_damaged_pack_are_told_apart(house):
    """Each with its own word, its own status and its own way out."""
    files = {"a": b"a" * 70_000}
    point = capture(house.open(), files)
    with pytest.raises(WrongKey) as wrong:
        house.open("not the key")
    assert (wrong.value.code, wrong.value.status) == ("vault-wrong-key", 2)
    whole = [house.snapshot(0), house.snapshot(1)]

    def damage(prefix):
        for storage, objects in zip(house.storages, whole, strict=True):
            storage.objects = dict(objects)
            for name in [name for name in objects if name.startswith(prefix)]:
                data, at = objects[name]
                storage.objects[name] = (data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :], at)

    codes = {}
    for part, prefix in {"slot": "keys/slots/", "keyring": "keys/ring/", "pack": "packs/", "point": "points/", "config": "config"}.items():
        damage(prefix)
        try:
            vault = house.open(cache=f"damaged {part}")
            if part == "keyring":
                assert vault.notary.distrust is not None
                capture(vault, files)
            restore(vault.point(point.id))
        except HoldfastError as error:
            codes[part] = (error.code, error.status)
    assert codes == {
        "slot": ("vault-object-damaged", 5),
        "keyring": ("vault-keyring-rolled-back", 5),
        "pack": ("vault-pack-damaged", 5),
        "point": ("vault-not-believed", 5),
        "config": ("vault-object-damaged", 5),
    }
