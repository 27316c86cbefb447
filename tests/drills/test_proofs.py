"""What a drill must not say: that something was shown which was not, undone which was not, harmed only which is a copy."""

import datetime as dt

import pytest

from holdfast.assembly.drills import PlatformStage
from holdfast.assembly.drills.restorer import PlatformRestorer, StandingCopy
from holdfast.drills.engine.drill import Desk, after_kills
from holdfast.drills.errors import DrillUsage
from holdfast.drills.findings import Finding
from holdfast.drills.retest import proved
from holdfast.errors import Unreachable
from holdfast.evidence.document import _results
from holdfast.evidence.drilled import Check
from holdfast.evidence.period import seen
from holdfast.journal import Record
from tests.drills.kit import NoIncidents, Said, Shop, failed

pytestmark = pytest.mark.timeout(1800)
LOST = "drill: lost\ntitle: lost\nsystems: docs\ndisaster: {kind: system-lost}\ncriteria: [sentinel, structure, content]\n"
HARMED = "drill: harmed\ntitle: harmed\nsystems: docs\ndisaster: {kind: table-corrupted}\ncriteria: [sentinel, content]\n"


@pytest.fixture
def shop(tmp_path):
    return Shop(None, tmp_path)


def report(shop, done):
    """Results, as the report has them."""
    entries = [entry for entry in shop.journal("drill.") if entry.payload["run"] == done.run]
    return _results(entries[0], entries[-1], entries[-1].payload, {}, entries[0].payload)


def test_a_link_in_a_copy_does_not_lead_the_harm_to_production(shop):
    outside = shop.folder / "outside.db"
    outside.write_bytes(b"p" * 100_000)
    (shop.folder / "docs" / "data").symlink_to(outside)
    done = shop.drill(HARMED, ("docs",), controls=("poisoned",))
    assert outside.read_bytes() == b"p" * 100_000
    assert (done.outcome, failed(done)) == ("ok", [])


def test_a_copy_that_is_not_kept_apart_fails_the_drill(shop, monkeypatch):
    said = [{"name": "it archives its log", "expected": "off", "actual": "on"}]
    monkeypatch.setattr(StandingCopy, "isolation", lambda self: said)
    done = shop.drill(LOST, ("docs",))
    assert (done.outcome, failed(done)) == ("failed", ["docs/it archives its log"])
    assert [one.about for one in done.findings] == ["docs/isolation/it archives its log"]


def test_what_did_not_come_back_kept_no_promise(shop, monkeypatch):
    def broken(self, until, control, clocks, progress):
        raise Unreachable("The network is down.")

    monkeypatch.setattr(PlatformRestorer, "recover", broken)
    done = shop.drill(LOST, ("docs",))
    assert done.outcome == "failed"
    found = report(shop, done)
    assert (found["rto"]["measured_seconds"], found["rto"]["kept"]) == (None, False)
    assert (found["rpo"]["lost_seconds"], found["rpo"]["kept"]) == (None, False)


def test_nor_did_what_nobody_wanted_back(shop):
    text = LOST + "options: {restore: restore, wait: wait}\n"
    done = shop.drill(text, ("docs",), people=Said(decide="wait"))
    assert done.outcome == "failed"
    assert report(shop, done)["rto"]["measured_seconds"] is None
    assert "wait" not in done.clocks


def test_each_system_is_held_to_its_own_promise():
    def back(system, rto, took, rpo, lost):
        return {"system": system, "rto_promised": rto, "rto_measured": took, "rpo_promised": rpo, "rpo_measured": lost}

    start = Record(1, "", "drill.begin", dt.datetime.now(dt.UTC), {"run": "r"}, "", b"")
    objectives = {"db": {"rto": 60.0, "rpo": 5.0}, "lake": {"rto": 3600.0, "rpo": 3600.0}}
    ended = {
        "outcome": "ok",
        "clocks": {"declare": 1.0, "total": 900.0},
        "rpo": {"lost_seconds": 600.0},
        "returned": [back("db", 60, 50.0, 5, 1.0), back("lake", 3600, 900.0, 3600, 600.0)],
    }
    found = _results(start, start, ended, {}, {"objectives": objectives})
    assert (found["rto"]["system"], found["rto"]["measured_seconds"], found["rto"]["kept"]) == ("db", 50.0, True)
    assert (found["rpo"]["system"], found["rpo"]["lost_seconds"], found["rpo"]["kept"]) == ("db", 1.0, True)
    ended["returned"][1] = back("lake", 3600, 3700.0, 3600, None)
    found = _results(start, start, {**ended, "outcome": "failed"}, {}, {"objectives": objectives})
    assert (found["rto"]["system"], found["rto"]["kept"]) == ("lake", False)
    assert (found["rpo"]["system"], found["rpo"]["lost_seconds"], found["rpo"]["kept"]) == ("lake", None, False)


@pytest.mark.parametrize("about", ["db/recovery/recovery", "db/validation/validation", "db/criterion/checks"])
def test_a_retest_that_looked_elsewhere_closes_nothing(about):
    day = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
    finding = Finding("F1", "it", about, "dora", day.date(), "lost", "r", day, ("db", "docs"))

    def checks(system, kind):
        return [Check("one", kind, "passed", 0, 0, system=system), Check("teardown", "teardown", "passed", "", "")]

    assert proved(finding, True, checks("docs", "check")) == (False, "the drill did not look at what it is about")
    assert proved(finding, True, checks("db", "isolation"))[0] is False
    assert proved(finding, True, checks("db", "check")) == (True, "")


def test_a_system_that_the_plan_lost_takes_no_part(shop):
    with pytest.raises(DrillUsage, match="no system gone"):
        shop.drill(LOST, ("docs", "gone"))


def test_a_tabletop_without_people_shows_nothing(shop):
    said = shop.call("drill", "tabletop", "--unattended", expect=2)["error"]
    assert said["code"] == "drill-usage"
    assert not shop.journal("drill.")


def test_a_table_is_no_drill_of_a_system_in_a_period():
    def entry(n, kind, **payload):
        return Record(n, "", kind, dt.datetime.now(dt.UTC), payload, "", b"")

    for kind, drilled in (("tabletop", []), ("restore", ["db"])):
        chain = [
            entry(1, "drill.begin", run="r", systems=["db"], test_kind=kind),
            entry(2, "drill.end", run="r", outcome="ok", verdict="passed"),
        ]
        assert [one.system for one in seen([chain]).ran] == drilled


def test_an_undo_that_breaks_in_any_way_leaves_the_drill_an_end(shop, monkeypatch):
    undo = PlatformStage.undo

    def broken(self, how):
        raise ValueError("a driver's own fault")

    monkeypatch.setattr(PlatformStage, "undo", broken)
    done = shop.drill(LOST, ("docs",))
    assert (done.outcome, done.torn_down) == ("failed", False)
    assert shop.journal("drill.end")
    with shop.platform() as platform:
        told = after_kills(Desk(platform.state, platform.journal, platform.clock), PlatformStage(platform), NoIncidents())
        assert "a driver's own fault" in told[0]
        monkeypatch.setattr(PlatformStage, "undo", undo)
        assert after_kills(Desk(platform.state, platform.journal, platform.clock), PlatformStage(platform), NoIncidents()) == []
    assert not list((shop.folder / "docs").glob(".holdfast*"))
