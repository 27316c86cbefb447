"""Many small increments become few large ones; the log stays the same at every step."""

import datetime as dt
import os

import pytest

from holdfast.storage.contract import StorageFull
from holdfast.storage.local import LocalStorage
from holdfast.storage.wrappers.faults import Fault, Faulty, full
from holdfast.vault import prune
from holdfast.vault.errors import ObjectDamaged
from holdfast.vault.logs import names
from holdfast.vault.logs.body import seal
from holdfast.vault.logs.compact import compact
from holdfast.vault.points.retention import Keep
from tests.vault_logs.conftest import Place

NOW = dt.timedelta(seconds=-1)


def merge(metas):
    return {"numbers": [number for meta in metas for number in meta.get("numbers", [])]}


def fill(place, sizes, start=0x1000):
    body = b""
    with place.logs().writer("main") as writer:
        for number, size in enumerate(sizes):
            data = os.urandom(size)
            writer.append(start + len(body), data, {"numbers": [number]})
            body += data
    return body


def run(place, **options):
    vault = place.open(options.pop("wrap", lambda storage: storage))
    return compact(
        vault.locations.storages, vault.notary, vault.clock, system="orders-db", branch="main", merge=merge, settled=NOW, **options
    )


def read(place, start=0x1000):
    return b"".join(bytes(data) for _, data in place.logs().reader("main").stream(start))


def test_what_is_small_is_joined_and_prune_takes_the_small_ones(place):
    body = fill(place, [100] * 20 + [5 << 20] + [200] * 10 + [1])
    done = run(place)
    assert (done.made, done.joined) == (2, 31)
    assert read(place) == body
    reader = place.logs().reader("main")
    found = list(reader.increments())
    assert [(one.end - one.start) for one in found] == [2000, 5 << 20, 2001]
    assert reader.meta(found[0])["numbers"] == list(range(20))
    assert run(place).made == 0
    vault = place.open()
    assert len(list(vault.locations.first.list("logs/"))) == 34
    plan = prune.make(vault, {"orders-db": Keep(last=1)}, zone=dt.UTC, grace=dt.timedelta(0))
    assert prune.run(vault, plan, most=1).logs == 31
    for storage in vault.locations.storages:
        assert len(list(storage.list("logs/"))) == 3
    assert read(place) == body
    assert read(place, 0x1000 + 1500) == body[1500:]


def test_the_follower_goes_on_behind_a_compacted_log(place):
    body = fill(place, [100] * 10)
    run(place)
    with place.logs().writer("main") as writer:
        writer.append(0x1000 + 950, body[950:] + b"more", {})
    assert read(place) == body + b"more"


def test_few_or_fresh_ones_are_left_alone(place):
    fill(place, [100] * 7)
    assert run(place).made == 0
    fill(place, [100] * 7, 0x1000 + 700)
    vault = place.open()
    done = compact(vault.locations.storages, vault.notary, vault.clock, system="orders-db", branch="main", merge=merge)
    assert done.made == 0
    assert run(place).made == 1


def test_nothing_is_joined_across_a_gap(place):
    first = fill(place, [100] * 8)
    second = fill(place, [100] * 8, 0x2000)
    assert run(place).made == 2
    assert place.logs().reader("main").coverage() == [(0x1000, 0x1000 + 800), (0x2000, 0x2000 + 800)]
    assert read(place, 0x2000) == second
    assert first


def test_a_compaction_that_died_between_two_locations_is_completed_with_its_own_bytes(place):
    content = fill(place, [100] * 8)

    def wrap(storage):
        return Faulty(storage, Fault("put", act=full, prefix="logs/")) if storage.url.endswith("two") else storage

    with pytest.raises(StorageFull):
        run(place, wrap=wrap)
    assert run(place).made == 1
    first, second = ({info.name: storage.get(info.name) for info in storage.list("logs/")} for storage in place.open().locations.storages)
    assert first == second
    assert len(first) == 9
    assert read(place) == content


def test_two_compactions_at_once_do_no_harm(place):
    content = fill(place, [100] * 8)

    def wrap(storage):
        """The other one comes first in the second location."""
        return Faulty(storage, Fault("put", act=lambda *_: run(place), prefix="logs/")) if storage.url.endswith("two") else storage

    assert run(place, wrap=wrap).made == 1
    assert read(place) == content
    assert run(place).made == 0


def test_a_large_one_that_comes_back_wrong_is_told(place):
    fill(place, [100] * 8)

    def wrap(storage):
        return Faulty(storage, Fault("get", prefix="logs/", after=8 if storage.url.endswith("one") else 0, flip=1))

    with pytest.raises(ObjectDamaged):
        run(place, wrap=wrap)


def test_a_damaged_or_forged_large_one_takes_no_small_ones_with_it(place):
    fill(place, [100] * 8)
    run(place)
    vault = place.open()
    large = max((info for info in vault.locations.first.list("logs/")), key=lambda info: info.size).name
    for storage in vault.locations.storages[1:]:
        data = bytearray(storage.get(large))
        data[-1] ^= 1
        storage.delete(large)
        storage.put_if_absent(large, [data])
    for storage in vault.locations.storages:
        storage.put_if_absent(f"{large[:-33]}{0:016x}-{1 << 63:016x}", [b"junk"])
    plan = prune.make(vault, {"orders-db": Keep(last=1)}, zone=dt.UTC, grace=dt.timedelta(0))
    prune.run(vault, plan, most=1)
    # Where it is sound it stands for the small ones, and nowhere else.
    assert [len(list(storage.list("logs/"))) for storage in vault.locations.storages] == [2, *[10] * (len(vault.locations.storages) - 1)]
    assert len(read(place)) == 800


def pruned(place, grace=dt.timedelta(0), wrap=lambda storage: storage):
    vault = place.open(wrap)
    return prune.run(vault, prune.make(vault, {"orders-db": Keep(last=1)}, zone=dt.UTC, grace=grace), most=1)


def test_a_longer_one_that_says_something_else_takes_nothing_with_it(place):
    """Signed and sound: by a writer's key in wrong hands."""
    body = fill(place, [100] * 8)
    vault = place.open()
    tags = vault.notary.tag("system", "orders-db"), vault.notary.tag("branch", "main")
    name = names.increment(*tags, 0x1000, 0x1000 + 800)
    forged = seal(vault.notary, name, system="orders-db", branch="main", data=bytes(800), meta={}, at=vault.now())
    for storage in vault.locations.storages:
        storage.put_if_absent(name, [forged])
    assert pruned(place).logs == 0
    for storage in vault.locations.storages:
        storage.delete(name)
    assert read(place) == body


def test_who_began_to_read_before_finds_what_it_listed_for_a_day(place):
    body = fill(place, [100] * 8)
    reading = place.logs().reader("main").stream(0x1000, ahead=0)
    got = bytes(next(reading)[1])
    assert run(place).made == 1
    assert pruned(place, grace=dt.timedelta(days=1)).logs == 0
    assert got + b"".join(bytes(data) for _, data in reading) == body


def test_what_a_backup_shipped_for_itself_alone_is_not_joined(place):
    with place.logs().writer("main") as writer:
        for number in range(8):
            writer.append(100 * number, os.urandom(100), {"island": True} if number == 7 else {})
    assert run(place).made == 0


@pytest.mark.parametrize("late", [False, True])
def test_dying_at_any_change_of_compaction_and_prune_loses_nothing(tmp_path, late):
    for after in range(100):
        place = Place(tmp_path / f"{after}")
        body = fill(place, [100] * 8 + [50])
        left = [after]

        def die(call, name, left=left):
            if call in {"put", "delete"}:
                left[0] -= 1
                if left[0] < 0:
                    raise KeyboardInterrupt

        def wrap(storage, die=die):
            return Faulty(storage, Fault("*", act=die, times=10**9, late=late))

        try:
            run(place, wrap=wrap)
            pruned(place, wrap=wrap)
        except KeyboardInterrupt:
            over = False
        else:
            over = True
        assert read(place) == body
        run(place)
        pruned(place)
        assert read(place) == body
        for folder in place.folders:
            assert len(list(LocalStorage(folder).list("logs/"))) == 1
        if over:
            assert after > 18
            return
    raise AssertionError("it never came to its end")
