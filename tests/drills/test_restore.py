"""What is lost comes back, is looked at, and everything is undone."""

import json

import pytest

from tests.drills.kit import Said, Shop, failed, fill, marks
from tests.servers import PostgresServer, need

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(1800)]

WITHOUT = "drill: quick\ntitle: quick\nsystems: db\ndisaster: {kind: system-lost}\ncriteria: [sentinel, content]\n"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with need():
        server = PostgresServer.create(15)
    with server:
        fill(server)
        yield Shop(server, tmp_path_factory.mktemp("shop"))


@pytest.fixture(autouse=True)
def nothing_stays(shop):
    yield
    assert marks(shop.server) is None
    assert not (shop.boxes / "boxes").exists() or not list((shop.boxes / "boxes").iterdir())
    assert not list((shop.folder / "state" / "drills").glob("*.json"))
    assert not list((shop.folder / "state" / "drills").glob("drill-cache-*"))


def test_a_lost_database_comes_back_with_this_drills_own_mark(shop):
    done = shop.drill("database-lost", controls=("stale", "truncated", "poisoned"))
    assert (done.outcome, failed(done)) == ("ok", []), [one.to_json() for one in done.checks if one.state == "failed"]
    names = {(one.kind, one.state) for one in done.checks}
    assert {("sentinel", "passed"), ("structure", "passed"), ("check", "passed"), ("compare", "passed")} <= names
    assert {one.name for one in done.checks if one.kind == "objective"} == {"rto", "rpo"}
    assert {one.name: one.state for one in done.checks if one.kind == "control"} == {
        "control stale": "passed",
        "control truncated": "passed",
        "control poisoned": "passed",
    }
    assert done.torn_down
    assert not done.findings
    assert done.clocks["detect"] > 0
    assert done.clocks["restore"] > 0
    entries = [entry for entry in shop.journal("drill.") if entry.payload["run"] == done.run]
    assert entries[0].kind == "drill.begin"
    assert entries[-1].kind == "drill.end"
    assert all(entry.payload["drill"] is True for entry in entries)
    # What the drill is judged by was written before anything happened.
    first_change = next(n for n, entry in enumerate(entries) if entry.kind == "drill.doing")
    assert "db: sentinel" in entries[0].payload["criteria"]
    assert entries[0].payload["scenario"]["hash"].startswith("sha256:")
    assert first_change > 0
    series = next(entry.payload for entry in entries if entry.kind == "drill.probed" and entry.payload["name"] == "db answers")
    assert series["series"][0][1] is True
    assert series["series"][-1][1] is False
    fed = {entry.payload["name"]: entry.payload for entry in entries if entry.kind == "drill.control"}
    assert all(one["right"] for one in fed.values())
    assert "red by" in fed["stale"]["got"]
    assert "sentinel" in fed["stale"]["got"]
    assert fed["truncated"]["code"]
    assert "compare" in fed["poisoned"]["got"]


def test_a_table_that_loses_rows_is_noticed_and_comes_back_beside(shop):
    text = "drill: t\ntitle: t\nsystems: db\ndisaster: {kind: table-corrupted, table: orders}\ncriteria: [sentinel, content, probes]\n"
    probe = 'probes: [{name: enough orders, sql: "select count(*) >= 400 from orders", expect: true, every: 200ms}]\n'
    done = shop.drill(text + probe)
    assert (done.outcome, failed(done)) == ("ok", []), [one.to_json() for one in done.checks if one.state == "failed"]
    detected = next(one for one in done.checks if one.name == "detected")
    assert "orders" in detected.actual
    assert ("db: rows", "skipped") in {(one.name, one.state) for one in done.checks if one.kind == "probe"}
    assert ("db: enough orders", "passed") in {(one.name, one.state) for one in done.checks if one.kind == "probe"}
    assert shop.server.value("select count(*) from orders") == 400


def test_a_lost_location_is_not_read(shop):
    done = shop.drill("location-lost", controls=("stale", "truncated"))
    assert (done.outcome, failed(done)) == ("ok", []), [one.to_json() for one in done.checks if one.state == "failed"]
    injected = next(entry.payload for entry in shop.journal("drill.phase") if entry.payload.get("facts", {}).get("lost"))
    assert injected["facts"]["lost"] == "near"
    assert injected["facts"]["left"] == ["far"]


def test_without_the_key_holder_another_key_opens(shop):
    shop.environ["HOLDFAST_DRILL_KEY"] = shop.recovery_key
    done = shop.drill("key-holder-absent")
    assert (done.outcome, failed(done)) == ("ok", []), [one.to_json() for one in done.checks if one.state == "failed"]


def test_a_key_that_opens_nothing_makes_the_drill_red(shop):
    shop.environ["HOLDFAST_DRILL_KEY"] = "somebody else's key"
    done = shop.drill("key-holder-absent")
    assert done.outcome == "failed"
    assert "db/recovery" in failed(done)
    assert "wrong-key" in next(one.actual for one in done.checks if one.name == "recovery")


def test_two_kinds_of_systems_in_one_drill(shop):
    scenario = WITHOUT.replace("systems: db", "systems: [db, docs]")
    done = shop.drill(scenario, ("db", "docs"), controls=("stale", "truncated", "poisoned"))
    assert (done.outcome, failed(done)) == ("ok", []), [one.to_json() for one in done.checks if one.state == "failed"]
    assert not list((shop.folder / "docs").glob(".holdfast*"))
    assert {one.system for one in done.checks if one.kind == "sentinel"} == {"db", "docs"}


def test_what_no_backup_and_no_log_holds_is_counted_as_lost(shop):
    """In marks: without a follower the one behind the backup is gone."""
    done = shop.drill(WITHOUT)
    lost = next(one for one in shop.journal("drill.end") if one.payload["run"] == done.run).payload
    assert lost["transactions_lost"] is None, "marks are no transactions of the source"
    assert "marks" in lost["absent"]["results.transactions_lost"]
    assert [one["lost_transactions"] for one in lost["returned"]] == [None]
    assert 0 < lost["rpo"]["lost_seconds"] < 3600
    assert "1 of 2 marks did not come back" in lost["rpo"]["counted"]
    assert "a backup taken for this drill" in lost["rpo"]["counted"]


def test_a_missed_promise_opens_a_finding_with_owner_and_date(shop):
    done = shop.drill(WITHOUT + "objectives: {rto: 1ms, rpo: 1ms}\n")
    assert done.outcome == "failed"
    assert failed(done) == ["db/rpo", "db/rto"]
    ended = next(one.payload for one in shop.journal("drill.end") if one.payload["run"] == done.run)
    assert ended["sign_off"] is None, "nobody was asked, and it is red"
    assert {(one.owner, one.limit) for one in done.findings} == {("dora", 0.001)}
    again = shop.drill(WITHOUT + "objectives: {rto: 1ms, rpo: 1ms}\n")
    assert {one.id for one in again.findings} == {one.id for one in done.findings}, "a finding about the same is opened once"


def test_who_does_not_accept_fails_it(shop):
    done = shop.drill(WITHOUT, people=Said(accept="no"))
    assert failed(done) == ["/acceptance"]
    said = [json.dumps(dict(entry.payload)) for entry in shop.journal("drill.said") if entry.payload["run"] == done.run]
    assert len(said) == 3
    ended = next(one.payload for one in shop.journal("drill.end") if one.payload["run"] == done.run)
    assert ended["sign_off"] is None
    assert "did not accept" in ended["absent"]["closure.sign_off"]
    assert all('"played_by"' not in text for text in said)


def test_who_decides_otherwise_ends_it(shop):
    done = shop.drill("database-lost", people=Said(decide="wait"))
    assert failed(done) == ["/decision"]
