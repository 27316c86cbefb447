"""Appending to a branch and reading it back."""

import os
import re
from pathlib import Path

import pytest

from holdfast.storage import StorageFull, StorageUnreachable
from holdfast.storage.wrappers.faults import Fault, Faulty, full
from holdfast.vault.errors import NotBelieved, ObjectDamaged, RoleLacking
from holdfast.vault.logs import LogConflict, LogGap, names


def joined(stream):
    return b"".join(bytes(data) for _, data in stream)


def fill(writer, start, *sizes):
    pieces = []
    for size in sizes:
        pieces.append(os.urandom(size))
        writer.append(start, pieces[-1], {"at": start})
        start += size
    return b"".join(pieces)


def test_what_was_appended_comes_back(place):
    with place.logs().writer("main") as writer:
        assert writer.end is None
        body = fill(writer, 0x3000028, 100, 1, 70_000, 5)
        assert writer.end == 0x3000028 + len(body)
    reader = place.logs().reader("main")
    assert joined(reader.stream(0x3000028)) == body
    found = list(reader.increments())
    assert (found[0].start, found[0].end) == (0x3000028, 0x3000028 + 100)
    assert [reader.meta(one) for one in found] == [{"at": one.start} for one in found]
    assert b"".join(reader.read(one) for one in found) == body
    assert reader.coverage() == [(0x3000028, 0x3000028 + len(body))]
    assert joined(reader.stream(0x3000028 + 50, 0x3000028 + 150)) == body[50:150]


def test_meta_is_read_without_the_bytes_however_long_it_is(place):
    metas = [{"small": 1}, {"long": os.urandom(100_000).hex()}]
    with place.logs().writer("main") as writer:
        writer.append(0, bytes(1 << 20), metas[0])
        writer.append(1 << 20, os.urandom(1000), metas[1])
    reader = place.logs().reader("main")
    found = list(reader.increments())
    assert [reader.meta(one) for one in found] == metas
    assert not reader._kept
    path = Path(f"{place.folders[0]}/{found[0].name}")
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    Path(f"{place.folders[1]}/{found[0].name}").unlink()
    with pytest.raises((NotBelieved, ObjectDamaged)):
        place.logs().reader("main").meta(found[0])


def test_every_location_holds_all_of_it(place):
    with place.logs().writer("main") as writer:
        body = fill(writer, 0, 10, 20)
    for storage in place.open().locations.storages:
        assert len(list(storage.list("logs/"))) == 2
    Path(f"{place.folders[0]}/logs").rename(f"{place.folders[0]}/lost")
    assert joined(place.logs().reader("main").stream(0)) == body


def test_a_flipped_byte_is_read_from_the_other_location_or_told(place):
    with place.logs().writer("main") as writer:
        body = fill(writer, 0, 1000)
    name = next(place.open().locations.first.list("logs/")).name
    for number, folder in enumerate(place.folders):
        path = Path(f"{folder}/{name}")
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        if number == 0:
            assert joined(place.logs().reader("main").stream(0)) == body
    with pytest.raises((NotBelieved, ObjectDamaged)):
        joined(place.logs().reader("main").stream(0))


def test_an_increment_under_another_position_is_not_believed(place):
    with place.logs().writer("main") as writer:
        fill(writer, 0, 1000)
    name = next(place.open().locations.first.list("logs/")).name
    for folder in place.folders:
        Path(f"{folder}/{name}").rename(f"{folder}/{name[:-33]}{1000:016x}-{2000:016x}")
    with pytest.raises(NotBelieved):
        joined(place.logs().reader("main").stream(1000))


def test_branches_and_systems_are_apart_and_hidden(place):
    for system, branch in (("orders", "b"), ("orders", "a"), ("events", "a")):
        with place.logs(system).writer(branch) as writer:
            writer.append(0, f"{system}{branch}".encode(), {"table": "customers"})
    assert place.logs("orders").branches() == ["a", "b"]
    assert place.logs("events").branches() == ["a"]
    assert place.logs("other").branches() == []
    assert joined(place.logs("events").reader("a").stream(0)) == b"eventsa"
    for storage in place.open().locations.storages:
        for info in storage.list():
            assert not re.search(rb"orders|events|customers", info.name.encode() + storage.get(info.name))


def test_equal_bytes_again_are_fine_and_other_bytes_are_refused(place):
    with place.logs().writer("main") as writer:
        body = fill(writer, 1000, 300, 300, 300)
        writer.append(1000, body[:300], {})
        writer.append(1000, body, {})
        writer.append(1100, body[100:700], {})
        writer.append(1800, body[800:] + b"new", {})
        assert writer.end == 1903
        for start, offered in ((1000, b"x" * 300), (1250, b"y" * 100), (1899, b"zz")):
            with pytest.raises(LogConflict) as refused:
                writer.append(start, offered, {})
            assert refused.value.details["start"] <= start + 299
    assert joined(place.logs().reader("main").stream(1000)) == body + b"new"


def test_a_second_writer_goes_on_where_the_first_ended(place):
    with place.logs().writer("main") as writer:
        first = fill(writer, 0, 100, 100)
    with place.logs().writer("main") as writer:
        assert writer.end == 200
        writer.append(150, first[150:] + b"more", {})
    assert joined(place.logs().reader("main").stream(0)) == first + b"more"


def test_a_gap_is_told_exactly(place):
    with place.logs().writer("main") as writer:
        fill(writer, 0, 100)
        fill(writer, 250, 50)
        fill(writer, 400, 10)
    reader = place.logs().reader("main")
    assert reader.coverage() == [(0, 100), (250, 300), (400, 410)]
    assert reader.coverage(50) == [(50, 100), (250, 300), (400, 410)]
    assert reader.coverage(120) == [(250, 300), (400, 410)]
    for (start, end), (missing_from, missing_to) in {
        (0, 300): (100, 250),
        (90, 500): (100, 250),
        (120, 300): (120, 250),
        (250, 410): (300, 400),
        (400, 420): (410, 420),
        (500, 600): (500, 600),
    }.items():
        for ask in (
            lambda start=start, end=end: joined(reader.stream(start, end)),
            lambda start=start, end=end: reader.require(start, end),
        ):
            with pytest.raises(LogGap) as told:
                ask()
            assert (told.value.details["missing_from"], told.value.details["missing_to"]) == (missing_from, missing_to)
    with pytest.raises(LogGap):
        joined(reader.stream(0))
    assert len(joined(reader.stream(0, 100))) == 100
    reader.require(0, 100)
    reader.require(260, 300)


def test_what_is_offered_for_a_gap_fills_it(place):
    body = os.urandom(600)
    with place.logs().writer("main") as writer:
        writer.append(0, body[:100], {})
        writer.append(250, body[250:300], {})
        writer.append(0, body[:280], {})
        writer.append(500, body[500:], {})
        writer.append(290, body[290:510], {})
    assert joined(place.logs().reader("main").stream(0)) == body


def test_an_append_that_failed_in_one_location_is_repeated_or_levelled(place):
    failing = []

    def wrap(storage):
        if storage.url.endswith("two"):
            failing.append(Faulty(storage, Fault("put", act=full, prefix="logs/", after=1)))
            return failing[-1]
        return storage

    body = os.urandom(300)
    with place.logs(wrap=wrap).writer("main") as writer:
        writer.append(0, body[:100], {})
        with pytest.raises(StorageFull):
            writer.append(100, body[100:200], {})
        assert writer.end == 100
        failing[0].require_fired()
    with place.logs().writer("main") as writer:
        assert writer.end == 200
        writer.append(100, body[100:200], {})
        writer.append(200, body[200:], {})
    for storage in place.open().locations.storages:
        assert len(list(storage.list("logs/"))) == 3
    assert joined(place.logs().reader("main").stream(0)) == body


def test_a_lost_answer_is_no_conflict(place):
    def wrap(storage):
        return Faulty(storage, Fault("put", prefix="logs/", late=True))

    with place.logs(wrap=wrap).writer("main") as writer:
        with pytest.raises(StorageUnreachable):
            writer.append(0, b"once", {})
        writer.append(0, b"once", {})
        assert writer.end == 4
    assert joined(place.logs().reader("main").stream(0)) == b"once"


def test_data_longer_than_an_increment_is_split(place, monkeypatch):
    monkeypatch.setattr(names, "LONGEST", 1000)
    with place.logs().writer("main") as writer:
        body = fill(writer, 7, 3500)
    found = list(place.logs().reader("main").increments())
    assert [one.end - one.start for one in found] == [1000, 1000, 1000, 500]
    assert joined(place.logs().reader("main").stream(1500)) == body[1493:]


def test_a_writers_key_appends_but_does_not_read_anothers(place):
    with place.logs().writer("main") as writer:
        body = fill(writer, 0, 50)
    vault = place.open()
    bundle = vault.notary.bundle
    from holdfast.vault.keys import WriterKeys
    from holdfast.vault.keys.keyring import certify
    from holdfast.vault.keys.notary import Notary
    from holdfast.vault.logs import SystemLogs

    keys = WriterKeys.new(os.urandom)
    certify(vault.locations, vault.notary, keys, "", vault.now())
    limited = Notary(bundle.for_role("writer", keys), vault.locations.read)
    logs = SystemLogs(vault.locations, limited, vault.clock, "orders-db")
    with logs.writer("main") as writer:
        assert writer.end == 50
        writer.append(0, body, {})
        with pytest.raises(LogConflict):
            writer.append(0, b"x" * 50, {})
        with pytest.raises(LogConflict):
            writer.append(10, body[10:30], {})
        writer.append(50, b"own", {})
        writer.append(51, b"wn", {})
    with pytest.raises(RoleLacking):
        joined(logs.reader("main").stream(0))
    assert joined(place.logs().reader("main").stream(0)) == body + b"own"


def test_nothing_but_the_lease_is_written_when_idle(place):
    with place.logs().writer("main"):
        before = [info.name for info in place.open().locations.first.list()]
    assert not [name for name in before if name.startswith("logs/")]
