"""Every damage is found, says what it hurts, and is healed where another location can."""

import datetime as dt
import random

import pytest

from holdfast.storage.wrappers.faults import Fault, Faulty
from holdfast.vault.check import Check
from holdfast.vault.check.verify import Verifier
from holdfast.vault.format import names
from holdfast.vault.format.names import parse_pack
from holdfast.vault.keys.keyring import Keyring
from tests.vault_care.conftest import CHEAP, Depot, files


def look(depot, secret=None, **options):
    vault = depot.open(secret=secret) if secret else depot.open()
    return Check(vault, **options).run()


def wrong(report, severity="damage"):
    return [one for one in report.found if one.severity == severity]


@pytest.fixture
def filled(depot):
    depot.first = depot.take(files(1, 2, 3000))
    depot.second = depot.take(files(2, 2, 3000), system="events")
    depot.log(0x1000, b"x" * 500)
    depot.log(0x1000 + 500, b"y" * 500)
    return depot


def test_a_sound_vault_is_found_sound(filled):
    report = look(filled, share=1)
    assert report.ok
    assert report.found == []
    assert report.deep
    assert report.read > 0
    assert set(report.objects) == {"memory:near", "memory:far"}


PREFIXES = ["config", "keys/slots/", "keys/writers/", "keys/epochs/", "index/", "points/", "packs/", "logs/", "sessions/0"]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_flipped_bit_in_any_kind_of_object_is_found_and_healed(filled, prefix):
    name = filled.names(prefix)[-1]
    sound = filled.storages[1].get(name)
    filled.damage(name)
    report = look(filled, share=1)
    assert [one.object for one in wrong(report)] == [name]
    assert not report.ok
    assert report.damaged
    assert report.to_json()["found"][0]["object"] == name
    healed = look(filled, share=1, heal=True)
    assert healed.ok
    assert [one.healed for one in wrong(healed)] == [True]
    assert filled.storages[0].get(name) == sound
    after = look(filled, share=1)
    assert [one.code for one in after.found] == ["put-aside"]
    assert after.found[0].object.startswith(f"aside/{name}.")
    assert after.ok


def test_every_flipped_byte_is_seen(one):
    """Each byte of each object of a small vault, one bit of it."""
    one.take({"a": b"small", "b": bytes(range(256))})
    one.log(0, b"log bytes")
    verifier = Verifier(one.open().notary)
    bits = random.Random(1)
    looked = 0
    for name, (data, _) in one.storages[0].objects.items():
        if name in {"FORMAT.md", "decoder.py"}:
            continue
        assert verifier.problem(name, data) is None
        for at in range(len(data)):
            flipped = bytearray(data)
            flipped[at] ^= 1 << bits.randrange(8)
            assert verifier.problem(name, bytes(flipped)) is not None, (name, at)
            looked += 1
        for cut in (0, 1, 8, len(data) // 2, len(data) - 1):
            assert verifier.problem(name, data[:cut]) is not None
        assert verifier.problem(name, data + b"\0") is not None
    assert looked > 4000


def test_a_damaged_pack_names_points_systems_and_files(filled):
    for name in filled.names("packs/"):
        if parse_pack(name) in pack_of(filled, filled.second.id, "data"):
            for number in (0, 1):
                filled.damage(name, number)
    report = look(filled, share=1, heal=True)
    found = wrong(report)
    assert len(found) == 2
    for one in found:
        assert not one.healed
        assert one.hurts == {filled.second.id: "events"}
        assert "base/2-0 é" in one.files[filled.second.id]
        assert not any(path.startswith("base/1") for path in one.files[filled.second.id])
    assert report.damaged


def pack_of(depot, point, kind):
    """(id, digest) of a point's packs of a kind."""
    from holdfast.vault.packs.layout import parse_header

    vault = depot.open()
    envelope = vault.notary.check(f"points/{point}", depot.storages[0].get(f"points/{point}"))
    packs = [(envelope.packs[at : at + 16], envelope.packs[at + 16 : at + 48]) for at in range(0, len(envelope.packs), 48)]
    names = {parse_pack(name): name for name in depot.names("packs/")}
    return [pack for pack in packs if parse_header(depot.storages[0].get(names[pack])).kind == kind]


def test_a_damaged_tree_puts_every_file_in_doubt(filled):
    for name in filled.names("packs/"):
        if parse_pack(name) in pack_of(filled, filled.first.id, "tree"):
            for number in (0, 1):
                filled.damage(name, number)
    found = wrong(look(filled, share=1))
    assert all(one.files == {filled.first.id: ["*"]} for one in found)
    assert len(found) == 2


def test_missing_and_cut_packs_are_found_without_reading(filled):
    first, second, *_ = filled.names("packs/")
    filled.storages[0].delete(first)
    data = filled.storages[0].get(second)
    filled.storages[0].delete(second)
    filled.storages[0].put_if_absent(second, [data[:-1]])
    report = look(filled)
    assert {one.object: one.code for one in wrong(report)} == {first: "missing", second: "damaged"}
    assert report.read == 0
    assert look(filled, heal=True).ok
    assert [one.code for one in look(filled, share=1).found] == ["put-aside"]


def test_a_lost_key_or_config_is_missed(filled):
    for prefix in ("config", "keys/slots/", "keys/writers/"):
        filled.storages[0].delete(filled.names(prefix)[0])
    assert len(wrong(look(filled))) == 3
    assert look(filled, heal=True).ok
    filled.open().close()
    assert look(filled, share=1).found == []


def test_a_forged_point_is_not_believed(filled):
    body = filled.storages[0].get(f"points/{filled.first.id}")
    filled.storages[0].put_if_absent("points/" + "0" * 32, [body])
    found = wrong(look(filled))
    assert [one.object for one in found] == ["points/" + "0" * 32]


def test_a_point_that_one_location_lacks_is_told_and_no_damage(filled):
    filled.storages[1].delete(f"points/{filled.first.id}")
    report = look(filled)
    assert report.ok
    assert [one.code for one in report.found] == ["not-everywhere"]


def test_logs_missing_in_one_location_are_healed_and_gaps_are_told(filled):
    first, second = filled.names("logs/")
    filled.log(0x1000 + 1000, b"z" * 500)
    filled.storages[0].delete(first)
    assert [one.object for one in wrong(look(filled))] == [first]
    assert look(filled, heal=True).ok
    for storage in filled.storages:
        storage.delete(second)
    report = look(filled, heal=True)
    assert [one.detail for one in wrong(report, "gap")] == [f"The log is missing from {0x1000 + 500:#x} to {0x1000 + 1000:#x}."]
    assert not report.ok
    assert not report.damaged


def test_nothing_followed_between_the_islands_of_backups_is_no_fault(filled):
    for number in (1, 2, 3):
        filled.log(0x10000 * number, b"w" * 500, system="events", island=True)
    report = look(filled, share=1)
    assert report.ok
    assert [one.code for one in wrong(report, "notice")] == ["log-not-followed"] * 2
    assert "Between recovery points nothing was followed: from 0x101f4 to 0x20000." in report.found[0].detail


def test_a_gap_behind_what_was_followed_is_one_and_inside_a_point_it_is_damage(filled):
    filled.log(0x20000, b"w" * 500, island=True)
    report = look(filled)
    assert [one.detail for one in wrong(report, "gap")] == ["The log is missing from 0x13e8 to 0x20000."]
    filled.log(0x30000, b"w" * 500)
    point = filled.take(files(3, 2, 3000), start="0/20010", stop="0/30010")
    (found,) = wrong(look(filled))
    assert found.code == "log-gap"
    assert found.hurts == {point.id: "orders"}


def test_strangers_files_are_noticed(filled):
    filled.storages[0].put_if_absent("notes.txt", [b"hello"])
    filled.storages[0].put_if_absent("packs/00/readme", [b"hello"])
    filled.damage("decoder.py")
    report = look(filled)
    assert report.ok
    assert {one.code for one in report.found} == {"unknown-object", "description-differs"}
    assert len(report.found) == 3


def test_a_share_is_read(filled):
    chosen = []

    def choose(infos, count):
        chosen.append((len(infos), count))
        return infos[:count]

    look(filled, share=0.5, choose=choose)
    assert chosen == [(6, 3), (6, 3)]


def test_a_writers_key_checks_what_it_can(filled):
    vault = filled.open()
    Keyring(vault.locations, vault.notary, CHEAP).add("write only", role="writer", label="db1", now=filled.clock.now())
    report = look(filled, secret="write only", share=1)
    assert report.ok
    assert not report.deep
    name = filled.names("packs/")[0]
    filled.damage(name)
    assert [one.object for one in wrong(look(filled, secret="write only", share=1))] == [name]


def test_one_location_by_name(tmp_path):
    from holdfast.storage.local import LocalStorage

    depot = Depot(tmp_path / "cache", lambda clock: [LocalStorage(str(tmp_path / name), create=True) for name in "ab"])
    depot.take(files(1, 1, 100))
    depot.damage(depot.names("packs/")[0], 1)
    assert look(depot, share=1, only=depot.storages[0].url).ok
    assert not look(depot, share=1, only=depot.storages[1].url).ok
    with pytest.raises(ValueError, match="no location"):
        look(depot, only="file:///elsewhere")


@pytest.mark.parametrize("days", [0, 9])
def test_what_a_copy_staged_long_ago_excuses_no_point_that_is_gone(depot, days):
    """A point that was listed and is gone when it is read may be under way; not where nobody went on with it for a week."""
    point = depot.take(files(1))
    name, far = names.point(point.id), depot.storages[1]
    far.put_if_absent(names.coming(point.id), [far.get(name)])
    depot.clock.added += dt.timedelta(days=days)
    gone = Fault("get", act=lambda _, asked: asked == name and far.delete(name), prefix=name, times=9)
    report = Check(depot.open(lambda storage: Faulty(storage, gone) if storage is far else storage)).run()
    assert name not in far.objects
    assert [one.object for one in report.wrong] == ([name] if days else [])
    (staged,) = [one for one in report.found if one.code == "unfinished-copy"]
    assert ("9 days ago" in staged.detail) is (days == 9)


def test_what_was_staged_of_a_point_that_no_location_holds_is_told_with_what_to_do(depot):
    point = depot.take(files(1))
    name = names.point(point.id)
    depot.storages[1].put_if_absent(names.coming(point.id), [depot.storages[1].get(name)])
    for storage in depot.storages:
        storage.delete(name)
    depot.clock.added += dt.timedelta(days=9)
    (staged,) = [one for one in look(depot).found if one.code == "unfinished-copy"]
    assert "delete this object by hand" in staged.detail
