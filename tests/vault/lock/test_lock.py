"""What is locked for how long, what a commit locks again, and which version counts: on a real MinIO."""

import datetime as dt

import pytest

from holdfast.model import SystemClock
from holdfast.storage import Lock, ObjectLocked, StorageDenied, versions_of
from holdfast.storage.local import LocalStorage
from holdfast.vault import prune
from holdfast.vault.check import Check
from holdfast.vault.copy import copy
from holdfast.vault.format import names
from holdfast.vault.lock import LOG_TERM, again, keep_logs, slack, term
from holdfast.vault.logs.compact import TARGET, compact
from holdfast.vault.points.retention import Keep
from holdfast.vault.records.copies import RecordCopies
from tests.vault.lock.conftest import MODES
from tests.vault_care.conftest import files

pytestmark = pytest.mark.minio
DAY = dt.timedelta(days=1)
NOW = dt.timedelta(seconds=-5)
"""A grace that is over at once: the store tells its time in whole seconds."""


@pytest.mark.parametrize("mode", MODES)
def test_every_object_is_locked_as_long_as_its_kind_demands(lock_bucket, mode):
    # Before the first object is put; the store runs on this machine, so its clock is ours.
    before = SystemClock().now()
    place = lock_bucket(mode, days=8)
    depot = place.depot
    point = depot.take(files(1))
    depot.log(100, b"log" * 1000)
    longest = 8 * DAY + slack(versions_of(depot.storages[0]).lock)
    expected = {
        "config": longest,
        "FORMAT.md": longest,
        "decoder.py": longest,
        "keys/": longest,
        "packs/": longest,
        "index/": longest,
        f"points/{point.id}": 8 * DAY,
        "logs/": LOG_TERM,
        "sessions/": None,
    }
    for info in list(depot.storages[0].list()):
        term = next(term for prefix, term in expected.items() if info.name.startswith(prefix))
        held = place.retention(info.name)
        if info.name.startswith(names.SHREDS):
            continue
        assert (held is None) == (term is None), info.name
        if term is not None:
            assert held["Mode"] == mode.upper()
            # By the store's time, not the host's; whole seconds. A commit may have extended what it needs besides.
            assert before + term - dt.timedelta(seconds=2) <= held["RetainUntilDate"] <= before + term + dt.timedelta(hours=2), info.name
    depot.require_whole()


def test_what_a_point_reuses_is_locked_anew_before_it_is_committed(lock_bucket):
    place = lock_bucket("compliance", days=2)
    depot = place.depot
    first = depot.take(files(1))
    packs = depot.names("packs/")
    before = {name: place.retention(name)["RetainUntilDate"] for name in [*packs, *depot.names("index/"), "config"]}
    # A day and a half later, as the store's time: the lock of the first point's packs would end before the second point's.
    layer = versions_of(depot.storages[0])
    true_time = layer.time
    layer.time = lambda: true_time() + 1.5 * DAY
    second = depot.take(files(1), base=first.id)
    until = place.retention(f"points/{second.id}")["RetainUntilDate"]
    for name, was in before.items():
        held = place.retention(name)["RetainUntilDate"]
        assert held >= until > was - slack(layer.lock), name
        assert held > was, name
    assert place.retention(f"points/{first.id}")["RetainUntilDate"] < until


def test_locks_that_are_long_enough_are_left(lock_bucket):
    place = lock_bucket("compliance", days=8)
    depot = place.depot
    first = depot.take(files(1))
    was = {name: place.retention(name)["RetainUntilDate"] for name in depot.names("packs/")}
    depot.take(files(1), base=first.id)
    assert {name: place.retention(name)["RetainUntilDate"] for name in was} == was


@pytest.mark.parametrize("mode", MODES)
def test_a_locked_object_is_not_removed_and_says_until_when(lock_bucket, mode):
    depot = lock_bucket(mode).depot
    point = depot.take(files(1))
    for name in (f"points/{point.id}", depot.names("packs/")[0], "config", depot.names("keys/slots/")[0]):
        with pytest.raises(ObjectLocked) as refused:
            depot.storages[0].delete(name)
        assert refused.value.details["until"] > dt.datetime.now(dt.UTC).isoformat()
    depot.require_whole()


def test_deleting_removes_versions_and_markers_for_good(lock_bucket):
    place = lock_bucket()
    storage = place.depot.storages[0]
    name = "sessions/" + "ab" * 16
    storage.put_if_absent(name, [b"first"])
    client = place.client()
    key = f"{place.prefix}/{name}"
    client.put_object(Bucket=place.bucket, Key=key, Body=b"second")
    client.delete_object(Bucket=place.bucket, Key=key)
    storage.delete(name)
    left = client.list_object_versions(Bucket=place.bucket, Prefix=key)
    client.close()
    assert not left.get("Versions")
    assert not left.get("DeleteMarkers")


def test_damage_in_a_locked_pack_is_healed_by_a_new_version(lock_bucket, tmp_path):
    """The rotten version stays where it is; the sound one beside it is found by its hash."""
    place = lock_bucket()
    depot = place.depot
    point = depot.take(files(1))
    near = LocalStorage(str(tmp_path / "near"), create=True)
    copy(depot.storages[0], near)
    name = depot.names("packs/")[0]
    rotten = bytearray(near.get(name))
    rotten[len(rotten) // 2] ^= 1
    place.prefix += "-rotten"
    place.url += "-rotten"
    client = place.client()
    client.put_object(
        Bucket=place.bucket,
        Key=f"{place.prefix}/{name}",
        Body=bytes(rotten),
        ObjectLockMode="COMPLIANCE",
        ObjectLockRetainUntilDate=dt.datetime.now(dt.UTC) + DAY,
    )
    client.close()
    far = place.storage()
    copy(near, far)
    assert far.get(name) == rotten
    depot.storages = [far, near]
    assert not Check(depot.open(), share=1).run().ok
    Check(depot.open(), share=1, heal=True).run()
    depot.storages = [place.storage()]
    assert Check(depot.open(), share=1).run().ok
    assert depot.require_whole() == [point.id]


def at(depot, later):
    """The store's time as the locks see it, ``later`` than it is."""
    layer = versions_of(depot.storages[0])
    true_time = type(layer).time
    layer.time = lambda: true_time(layer) + later


def pruned(depot, **keep):
    vault = depot.open()
    plan = prune.make(vault, {"orders": Keep(**keep)}, zone=dt.UTC, grace=NOW)
    return plan, prune.run(vault, plan, most=1)


def test_a_prune_leaves_what_is_locked_and_says_until_when(lock_bucket):
    place = lock_bucket("compliance", days=8)
    depot = place.depot
    first = depot.take(files(1))
    second = depot.take(files(2))
    plan, done = pruned(depot, last=1)
    assert done.points == done.packs == 0
    until = place.retention(f"points/{first.id}")["RetainUntilDate"]
    assert [one.reasons for one in plan.decisions["orders"] if one.id == first.id] == [
        (f"locked until {until.astimezone(dt.UTC).isoformat(timespec='seconds')}",)
    ]
    # Nine days later the point's own lock has ended, that of its packs has not: they are told with their day, and stay.
    at(depot, 9 * DAY)
    plan = prune.make(depot.open(), {"orders": Keep(last=1)}, zone=dt.UTC, grace=NOW)
    assert plan.drop == (first.id,)
    assert not plan.packs
    assert plan.locked
    assert plan.to_json()["locked_until"] == plan.locked_until.isoformat()
    assert set(depot.require_whole()) == {first.id, second.id}


def test_a_forged_drop_hides_nothing_that_is_locked(lock_bucket):
    """Signed by the root itself: the host's key was an owner's."""
    depot = lock_bucket("compliance").depot
    point = depot.take(files(1))
    vault = depot.open()
    drop = names.dropped(point.id)
    vault.locations.put(drop, [vault.notary.make(drop, "drop", vault.now(), {"session": point.id})])
    assert depot.require_whole() == [point.id]
    pruned(depot, last=1)
    assert depot.require_whole() == [point.id]


def test_small_increments_are_held_until_compaction_holds_them_all(lock_bucket):
    """The point's own log is held with it; later increments for a long weekend; what compaction made for all days."""
    place = lock_bucket("compliance", days=30)
    depot = place.depot
    before = depot.storages[0].now() - dt.timedelta(seconds=2)  # told in whole seconds
    depot.take(files(1))
    vault = depot.open()
    with vault.logs("orders").writer("main") as writer:
        for number in range(10):
            writer.append(100 * number, bytes([number]) * 100, {})
    small = depot.names("logs/")
    held = {name: place.retention(name)["RetainUntilDate"] for name in small}
    assert all(before + LOG_TERM <= until <= before + LOG_TERM + DAY for until in held.values())
    made = compact(
        vault.locations.storages,
        vault.notary,
        depot.clock,
        system="orders",
        branch="main",
        merge=lambda metas: {},
        fewest=2,
        settled=NOW,
    )
    assert made.made == 1
    [large] = set(depot.names("logs/")) - set(small)
    assert place.retention(large)["RetainUntilDate"] >= before + 30 * DAY
    # Two days and a bit later nothing is left to hold one by one: the large one covers them.
    at(depot, LOG_TERM / 2 + dt.timedelta(hours=1))
    tag = vault.notary.tag("system", "orders")
    assert keep_logs(depot.storages, place.folder, tag) == 0


def test_increments_that_nobody_compacted_are_held_one_by_one(lock_bucket):
    place = lock_bucket("compliance", days=30)
    depot = place.depot
    before = depot.storages[0].now() - dt.timedelta(seconds=2)
    vault = depot.open()
    with vault.logs("orders").writer("main") as writer:
        for number in range(5):
            writer.append(100 * number, bytes([number]) * 100, {})
    tag = vault.notary.tag("system", "orders")
    assert keep_logs(depot.storages, place.folder, tag) == 0
    at(depot, LOG_TERM / 2 + dt.timedelta(hours=1))
    assert keep_logs(depot.storages, place.folder, tag) == 5
    assert all(place.retention(name)["RetainUntilDate"] >= before + 30 * DAY for name in depot.names("logs/"))
    assert keep_logs(depot.storages, place.folder, tag) == 0


@pytest.mark.parametrize(
    ("interval", "most_a_day", "most_standing"), [(12, 7_500, 40_000), (1, 90_000, 400_000), (0.25, 350_000, 1_500_000)]
)
def test_how_many_locked_objects_a_followed_log_makes(interval, most_a_day, most_standing):
    """Arithmetic of the policy, for one branch: a rate of increments, the lock of 30 days, compaction once an hour or at 32 MiB."""
    lock = Lock("compliance", 30)
    name = f"{names.LOGS}{'0' * 16}/{'0' * 16}/{0:016x}-{1:016x}"
    a_day = DAY / dt.timedelta(seconds=interval)
    short, long = term(name, lock) / DAY, lock.term / DAY
    large = 24 + (8 << 30) / TARGET  # 8 GiB of log a day
    standing = a_day * short + large * long
    naive = a_day * long
    assert a_day <= most_a_day
    assert standing <= most_standing
    assert naive / standing > 3 or interval > 1


def test_an_abort_is_not_locked_and_makes_room_for_the_point(lock_bucket):
    """A session that came too late in one location only: a copy brings its point, and the abort goes."""
    depot = lock_bucket("compliance").depot
    vault = depot.open()
    session = names.session_id(depot.clock.now(), b"0" * 10)
    name = names.point(session)
    storage = depot.storages[0]
    storage.put_if_absent(name, [vault.notary.make(name, "abort", vault.now(), {"session": session, "why": "lease"})])
    storage.delete(name)
    assert storage.head(name) is None


def test_a_follower_holds_what_nobody_compacts(lock_bucket):
    """Without a single backup: its first increment after six hours looks."""
    place = lock_bucket("compliance", days=30)
    depot = place.depot
    before = depot.storages[0].now() - dt.timedelta(seconds=2)
    depot.log(0, b"early" * 20)
    [early] = depot.names("logs/")
    vault = depot.open()
    at(depot, LOG_TERM / 2 + dt.timedelta(hours=1))
    with vault.logs("orders").writer("main") as writer:
        writer.append(100, b"later" * 20, {})
    assert place.retention(early)["RetainUntilDate"] >= before + 30 * DAY


def test_the_lock_of_a_removed_key_is_left_to_end(lock_bucket):
    """Commits lock again what opens the vault, and not a slot that was taken out of force."""
    depot = lock_bucket("compliance", days=2).depot
    keys = depot.open().keys
    going = keys.add("a second passphrase", label="going", now=depot.clock.now())
    keys.remove(going.id)
    place_of = names.slot(going.id)
    layer = versions_of(depot.storages[0])
    before = {name: layer.locked_until(name) for name in depot.names("keys/slots/")}
    assert before[place_of] is not None
    at(depot, 2 * DAY)
    depot.take(files(1))
    after = {name: layer.locked_until(name) for name in before}
    assert [name for name in before if after[name] == before[name]] == [place_of]


def test_a_check_locks_the_newest_copies_of_journal_and_plan_again(lock_bucket, monkeypatch):
    monkeypatch.setattr(again, "ENTRIES", 2)
    monkeypatch.setattr(again, "PLANS", 1)
    place = lock_bucket("compliance", days=4)
    depot = place.depot
    vault = depot.open()
    copies = RecordCopies(vault.locations.storages[0], vault.notary, depot.clock.now)
    entries = [f"journal/{'ab' * 8}/{number:016x}" for number in range(4)]
    for name in entries:
        copies.put(name, b"{}")
    for text in ("one", "two"):
        copies.put_plan(text, text)
        copies.put_runbooks({"a.md": text})
        depot.clock.added += dt.timedelta(seconds=1)
    plans = depot.names("plan/")
    records = [*entries, *plans]
    before = {name: place.retention(name)["RetainUntilDate"] for name in records}
    at(depot, 2 * DAY)
    assert Check(depot.open()).run().ok
    after = {name: place.retention(name)["RetainUntilDate"] for name in records}
    longer = [name for name in records if after[name] > before[name]]
    assert sorted(longer) == sorted(
        [*entries[2:], max(name for name in plans if "." not in name), max(name for name in plans if "." in name)]
    )
    assert all(after[name] >= before[name] + 2 * DAY - dt.timedelta(minutes=1) for name in longer)
    assert Check(depot.open()).run().ok
    assert {name: place.retention(name)["RetainUntilDate"] for name in records} == after


def test_who_may_not_lock_checks_all_the_same(lock_bucket):
    place = lock_bucket("compliance", days=4)
    depot = place.depot
    vault = depot.open()
    RecordCopies(vault.locations.storages[0], vault.notary, depot.clock.now).put(f"journal/{'ab' * 8}/{1:016x}", b"{}")
    layer = versions_of(depot.storages[0])

    def refuse(*_):
        raise StorageDenied("You may read here, no more.")

    layer.extend = refuse
    report = Check(depot.open()).run()
    assert report.ok
    assert [one.code for one in report.found] == ["lock-not-extended"]
