"""What a loaded plan answers: sums, selection, identity, differences, windows, limits."""

import datetime as dt
import re

import pytest

from holdfast.plan import KindNotThereYet, UnknownLocation, UnknownSystem
from holdfast.plan.assess import NOT_MEASURED, Measured, assess
from holdfast.plan.diff import changes, weakenings
from holdfast.plan.values.windows import parse_freeze, parse_window
from tests.plan.writing import SMALL, changed, loaded, write

EVENTS = SMALL + "  events: {kind: kafka, tier: ordinary, bootstrap: 'k:9092', labels: {team: core}}\n"


def test_a_systems_own_keys_override_its_tiers_each_as_a_whole(tmp_path):
    text = changed("    labels: {team: core}", "    rpo: 10s\n    keep: {yearly: 2}\n    locations: offsite\n    min_copies: 1")
    system = loaded(tmp_path, text).effective("orders-db")
    assert {place: value.total_seconds() for place, value in system.rpo.items()} == {"offsite": 10}
    assert system.keep.model_dump(exclude_none=True) == {"yearly": 2}
    assert [place.name for place in system.locations] == ["offsite"]
    assert (system.rto, system.min_copies) == (dt.timedelta(minutes=15), 1)


def test_locations_are_written_in_the_vaults_order(tmp_path):
    text = changed("    locations: [onsite, offsite]", "    locations: [offsite, onsite]")
    assert [place.name for place in loaded(tmp_path, text).effective("orders-db").locations] == ["onsite", "offsite"]


def test_a_system_without_a_tier_stands_for_itself(tmp_path):
    text = SMALL + "  own: {kind: postgres, dsn: {env: X}, rpo: 1d, backup: daily, keep: {last: 2}}\n"
    system = loaded(tmp_path, text).effective("own")
    assert system.tier is None
    assert set(system.rpo) == {"onsite", "offsite"}


def test_a_kind_that_is_not_there_yet_says_so_when_used(tmp_path):
    plan = loaded(tmp_path, EVENTS)
    assert not plan.effective("events").available
    plan.effective("orders-db").require_available()
    with pytest.raises(KindNotThereYet) as caught:
        plan.effective("events").require_available()
    assert "kafka, which is not there yet" in caught.value.message


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ([], ["orders-db", "audit-db", "events"]),
        (["audit-db", "orders-db"], ["orders-db", "audit-db"]),
        (["*-db"], ["orders-db", "audit-db"]),
        (["label:team=core"], ["orders-db", "events"]),
        (["label:team=co*", "audit-db"], ["orders-db", "audit-db", "events"]),
        (["label:region"], ["audit-db"]),
        (["kind:kafka"], ["events"]),
        (["tier:ordinary"], ["audit-db", "events"]),
    ],
)
def test_selection(tmp_path, patterns, expected):
    assert list(loaded(tmp_path, EVENTS).select(patterns)) == expected


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("order-db", "Did you mean 'orders-db'?"),
        ("zzz*", "Known here: audit-db, events, orders-db"),
        ("label:team=cor", "Did you mean 'team=core'?"),
        ("kind:kafk", "Did you mean 'kafka'?"),
        ("tier:critcal", "Did you mean 'critical'?"),
    ],
)
def test_selecting_nothing_suggests(tmp_path, pattern, hint):
    with pytest.raises(UnknownSystem) as caught:
        loaded(tmp_path, EVENTS).select([pattern])
    assert (caught.value.hint, caught.value.status) == (hint, 2)


def test_names_that_are_not_there(tmp_path):
    plan = loaded(tmp_path)
    with pytest.raises(UnknownSystem):
        plan.effective("orders")
    with pytest.raises(UnknownLocation) as caught:
        plan.location("onsit")
    assert "'onsite'" in caught.value.hint


def test_the_hash_is_of_the_meaning(tmp_path):
    first = loaded(tmp_path / "a")
    assert re.fullmatch("sha256:[0-9a-f]{64}", first.hash)
    reordered = "systems:" + SMALL.partition("systems:")[2] + SMALL.partition("systems:")[0] + "# a comment\n"
    assert loaded(tmp_path / "b", reordered).hash == first.hash
    write(tmp_path / "c", "tiers:" + SMALL.partition("tiers:")[2], "rest.yaml")
    assert loaded(tmp_path / "c", "include: rest.yaml\n" + SMALL.partition("tiers:")[0]).hash == first.hash
    assert loaded(tmp_path / "d", "vars: {p: shop}\n" + changed("platform: shop", "platform: ${p}")).hash == first.hash
    assert loaded(tmp_path / "e", changed("rto: 15m", "rto: 16m")).hash != first.hash


def test_what_changed_and_what_became_weaker(tmp_path):
    old = loaded(tmp_path / "a", EVENTS)
    text = changed("rto: 15m", "rto: 20m").replace("offsite: 60s", "offsite: 2m").replace("{daily: 30}", "{daily: 3, weekly: 4}")
    text = text.replace("restore: weekly", "restore: monthly").replace("backup: daily", "backup: hourly")
    new = loaded(tmp_path / "b", text)
    assert [(change.path, change.what) for change in changes(old, new)] == [
        ("systems.events", "removed"),
        ("tiers.critical.rpo.offsite", "changed"),
        ("tiers.critical.rto", "changed"),
        ("tiers.critical.verify.restore", "changed"),
        ("tiers.ordinary.backup", "changed"),
        ("tiers.ordinary.keep.daily", "changed"),
        ("tiers.ordinary.keep.weekly", "added"),
    ]
    assert [(each.system, each.text) for each in weakenings(old, new)] == [
        ("orders-db", "rpo in offsite grows from 1m to 2m"),
        ("orders-db", "rto grows from 15m to 20m"),
        ("orders-db", "verify.restore becomes rarer: weekly to monthly"),
        ("audit-db", "keep.daily falls from 30 to 3"),
        ("events", "is no longer protected"),
    ]
    assert changes(old, old) == []
    assert weakenings(old, old) == []


def test_an_assessment_invents_nothing(tmp_path):
    plan = loaded(tmp_path, EVENTS + "prices: {currency: EUR, storage: {offsite: 0.02}, downtime_per_hour: {critical: 12000}}\n")
    orders, audit, events = assess(plan)
    assert set(orders.measured.values()) == {NOT_MEASURED}
    assert orders.cost == {"storage_per_month": NOT_MEASURED, "outage_of_rto": 3000.0, "outage_of_mtd": 48000.0}
    assert audit.cost == {"storage_per_month": NOT_MEASURED}
    assert "kind kafka is not there yet: nothing is protected" in events.gaps
    assert "restores are never proved: verify.restore is not scheduled" in audit.gaps
    seen = Measured(exposure=dt.timedelta(hours=30), restore=dt.timedelta(days=3), stored={"offsite": 50 * 2**30})
    _, measured, _ = assess(plan, {"audit-db": seen})
    assert measured.cost["storage_per_month"] == {"offsite": 1.0}
    assert {"exposure 1d6h is above the rpo", "the last restore took 3d, longer than the rto"} <= set(measured.gaps)


@pytest.mark.parametrize(
    ("window", "at", "inside"),
    [
        ("20:00-06:00", "2026-11-21T20:00", True),
        ("20:00-06:00", "2026-11-21T05:59", True),
        ("20:00-06:00", "2026-11-21T06:00", False),
        ("Mon-Fri 08-19", "2026-11-20T18:59", True),  # a Friday
        ("Mon-Fri 08-19", "2026-11-21T12:00", False),
        ("Fri 22-04", "2026-11-21T03:00", True),  # belongs to the Friday on which it began
        ("Fri 22-04", "2026-11-20T03:00", False),
        ("Sat-Mon 00-24", "2026-11-22T12:00", True),
        ("Sat-Mon 00-24", "2026-11-24T12:00", False),
    ],
)
def test_windows(window, at, inside):
    assert parse_window(window).holds(dt.datetime.fromisoformat(at)) is inside


@pytest.mark.parametrize(("window", "hours"), [("20:00-06:00", 14), ("08-19", 13), ("Mon-Fri 08-19", 61), ("Sun 00-24", 144), ("00-24", 0)])
def test_how_long_a_window_stays_shut(window, hours):
    assert parse_window(window).closed_for == dt.timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "20", "25-26", "20:60-21", "Foo 08-19", "08-19 Mon", None, 8])
def test_no_windows(text):
    with pytest.raises(ValueError, match="window"):
        parse_window(text)


def test_freezes_hold_both_their_days(tmp_path):
    freeze = parse_freeze("2026-11-27/2026-11-30")
    assert [freeze.holds(dt.datetime(2026, 11, day, 23, 59)) for day in (26, 27, 30)] == [False, True, True]
    assert not freeze.holds(dt.datetime(2026, 12, 1))
    for text in ("2026-11-30/2026-11-27", "soon", "2026-11-27T10:00+01:00/2026-11-28"):
        with pytest.raises(ValueError, match=r"2026|soon"):
            parse_freeze(text)


def test_when_backups_may_start_and_how_fast(tmp_path):
    extra = 'windows: {backup: "20:00-06:00", freeze: ["2026-11-27/2026-11-30"]}\n'
    extra += 'limits: {rate: 400MiB/s, workers: 8, during: {"Mon-Fri 08-19": {rate: 80MiB/s}}}\n'
    document = loaded(tmp_path, SMALL + extra).document
    assert document.windows.closed(dt.datetime(2026, 11, 20, 21)) == ""
    assert document.windows.closed(dt.datetime(2026, 11, 20, 12)) == "outside the window 20:00-06:00"
    assert document.windows.closed(dt.datetime(2026, 11, 28, 21)) == "frozen 2026-11-27/2026-11-30"
    day, night = document.limits.at(dt.datetime(2026, 11, 20, 12)), document.limits.at(dt.datetime(2026, 11, 20, 21))
    assert (day.rate, day.workers, night.rate) == (80 * 2**20, 8, 400 * 2**20)
