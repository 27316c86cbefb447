"""Changed bytes: each flip in a small vault is detected or harmless, a sound copy elsewhere heals a read, and parsers survive rubbish."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import Damaged, HoldfastError
from holdfast.storage.memory import MemoryStorage
from holdfast.vault import Vault
from holdfast.vault.errors import NotBelieved, ObjectDamaged, PackMissing
from holdfast.vault.format import config, content, envelope
from holdfast.vault.index import objects
from holdfast.vault.keys import slots
from holdfast.vault.keys.notary import Notary
from holdfast.vault.locations import Locations
from holdfast.vault.packs import layout
from tests.vault.kit import CLOCK, SECRET, capture, create, packs_of, restore

FILES = {"a": b"hello" * 40, "b/c": bytes(range(256)) * 3, "zeros": bytes(100)}


def copy_of(store: MemoryStorage) -> MemoryStorage:
    other = MemoryStorage()
    other.objects = dict(store.objects)
    return other


def read_all(vault: Vault, point: str, folder: Path) -> dict[str, bytes]:
    """With keys already unlocked, everything else anew."""
    locations = Locations(vault.locations.storages)
    fresh = Vault(locations, Notary(vault.notary.bundle, locations.read), CLOCK, folder)
    found = next((known for known in fresh.points() if known.id == point), None)
    if found is None:
        assert fresh.damaged, "the point vanished without a word"
        raise fresh.damaged[0]
    return restore(fresh.reader(found))


@pytest.fixture
def small(tmp_path: Path) -> tuple[Vault, MemoryStorage, str]:
    store = MemoryStorage()
    vault = create(tmp_path, store)
    return vault, store, capture(vault, FILES).id


@pytest.mark.parametrize("kind", ["points/", "packs/", "keys/writers/"])
def test_every_flipped_byte_is_detected_or_harmless(small, kind: str, tmp_path: Path) -> None:
    vault, store, point = small
    found = harmless = 0
    for name in [name for name in store.objects if name.startswith(kind)]:
        data, at = store.objects[name]
        for i in range(len(data)):
            store.objects[name] = (data[:i] + bytes([data[i] ^ (1 << i % 8)]) + data[i + 1 :], at)
            try:
                assert read_all(vault, point, tmp_path / f"{kind[:4]}{found}") == FILES, f"byte {i} of {name} changed what came back"
                harmless += 1
            except Damaged:
                found += 1
        store.objects[name] = (data, at)
    assert found > 200
    if kind != "packs/":  # a pack's trailer and footer are not read by a restore; 'vault check' reads them
        assert not harmless


def test_every_flipped_byte_of_config_and_slots_is_detected(small) -> None:
    vault, store, _ = small
    for name in [name for name in store.objects if name == "config" or name.startswith("keys/slots/")]:
        data, _ = store.objects[name]
        for i in range(len(data)):
            changed = data[:i] + bytes([data[i] ^ (1 << i % 7)]) + data[i + 1 :]
            with pytest.raises(HoldfastError):
                vault.notary.check(name, changed, "config") if name == "config" else slots.parse(name.rpartition("/")[2], changed)


def test_a_config_whose_vault_is_no_identity_is_damaged(tmp_path: Path) -> None:
    """A flip may leave the text readable; another location's copy serves."""
    near, far = MemoryStorage(), MemoryStorage()
    vault = create(tmp_path, near, far)
    data, at = near.objects["config"]
    name = vault.notary.bundle.vault.hex().encode()
    assert data.count(name) == 1
    changed = data.replace(name, b"g" + name[1:])
    with pytest.raises(ObjectDamaged, match="names no vault"):
        config.parse(changed)
    near.objects["config"] = (changed, at)
    with pytest.raises(Damaged):
        Vault.open([near], SECRET, clock=CLOCK, cache=tmp_path / "one")
    Vault.open([near, far], SECRET, clock=CLOCK, cache=tmp_path / "both").close()


def test_a_truncated_or_missing_object_is_detected(small, tmp_path: Path) -> None:
    vault, store, point = small
    for name in [name for name in store.objects if name.startswith(("points/", "packs/"))]:
        data, at = store.objects[name]
        for length in (0, 7, len(data) // 2):
            store.objects[name] = (data[:length], at)
            with pytest.raises(Damaged):
                read_all(vault, point, tmp_path / "x")
        store.objects[name] = (data, at)
    for name in packs_of(store):
        data = store.objects.pop(name)
        with pytest.raises(PackMissing):
            read_all(vault, point, tmp_path / "x")
        store.objects[name] = data


def test_a_sound_copy_in_another_location_is_used(tmp_path: Path) -> None:
    near, far = MemoryStorage(), MemoryStorage()
    vault = create(tmp_path, near, far)
    point = capture(vault, FILES)
    for name in list(near.objects):
        data, at = near.objects[name]
        if name.startswith(("points/", "index/")):
            near.objects[name] = (data[:60] + b"?" + data[61:], at)
        elif name.startswith("packs/"):
            middle = len(data) // 2 - 60
            near.objects[name] = (data[:middle] + bytes(120) + data[middle + 120 :], at)
    assert read_all(vault, point.id, tmp_path / "c1") == FILES
    for name in packs_of(near):
        del near.objects[name]
    assert read_all(vault, point.id, tmp_path / "c2") == FILES


def test_an_object_under_another_name_or_from_another_vault_is_not_believed(small, tmp_path: Path) -> None:
    vault, store, point = small
    data = store.objects[f"points/{point}"][0]
    other = point[:-1] + ("0" if point[-1] != "0" else "1")
    with pytest.raises(NotBelieved):
        vault.notary.check(f"points/{other}", data)
    stranger = create(tmp_path / "other")
    foreign = capture(stranger, {"x": b"y"})
    with pytest.raises(NotBelieved):
        vault.notary.check(f"points/{foreign.id}", stranger.locations.get(f"points/{foreign.id}"))
    with pytest.raises(NotBelieved):
        vault.notary.check(f"points/{point}", data, "abort")


def test_a_missing_pack_is_stored_again_by_the_next_backup(small, tmp_path: Path) -> None:
    vault, store, point = small
    base = vault.point(point)
    data = [name for name in packs_of(store) if layout.parse_header(store.objects[name][0]).kind == "data"]
    for name in data:
        del store.objects[name]
    again = capture(vault, FILES, base)
    assert again.totals.new > 0
    assert read_all(vault, again.id, tmp_path / "z") == FILES


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=60))
def test_parsers_survive_rubbish(body: bytes, tail: bytes) -> None:
    for magic in (b"", envelope.MAGIC, layout.MAGIC, b"\x10\0\0\0"):
        data = magic + body + tail
        for parse in (
            lambda d: envelope.parse("points/x", d),
            lambda d: slots.parse("00", d),
            content.decode,
            lambda d: objects.decode("i", d),
        ):
            with contextlib.suppress(ObjectDamaged):
                parse(data)
        for parse in (layout.parse_header, layout.decode_trailer, lambda d: layout.open_frame(bytes(32), bytes(16), bytes(16), d)):
            with contextlib.suppress(ValueError):
                parse(data)


def test_the_right_secret_still_opens_a_vault_with_one_damaged_slot(small, tmp_path: Path) -> None:
    vault, store, _ = small
    names = [name for name in store.objects if name.startswith("keys/slots/")]
    recovery = next(name for name in names if b'"recovery"' in store.objects[name][0])
    store.objects[recovery] = (b"{}", CLOCK.now())
    assert Vault.open([store], SECRET, clock=CLOCK, cache=tmp_path).id == vault.id
