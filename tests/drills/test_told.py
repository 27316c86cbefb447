"""What a drill leaves out is told before it begins; a retest goes where its finding was found."""

import datetime as dt
from types import SimpleNamespace

import pytest

from holdfast.assembly.drills import PlatformStage
from holdfast.drills.engine.course import Asked
from holdfast.drills.engine.parts import Unattended
from holdfast.drills.engine.record import DrillRecord
from holdfast.drills.engine.run import Play
from holdfast.drills.errors import DrillUsage
from holdfast.drills.findings import Book
from holdfast.drills.scenario.read import compile_text
from holdfast.interfaces.cli.commands.drill import retest
from holdfast.model import Silent
from tests.drills.kit import NoIncidents, Reporter, Shop

LOST = "drill: lost\ntitle: lost\nsystems: docs\ndisaster: {kind: system-lost}\ncriteria: [structure, checks]\n"
COMPARED = (
    '  other: {kind: delta, tier: t, url: "file:///lake", checks: [{name: as many, sql: "select count(*) from x", compare: source}]}\n'
)


def test_a_check_that_compares_with_the_source_is_told_as_left_out(tmp_path):
    """It was not asked, and nothing said so."""
    shop = Shop(None, tmp_path, COMPARED)
    with shop.platform() as platform:
        asked = Asked(compile_text(LOST, "lost.yaml"), ("other",), "carla")
        record = DrillRecord(platform.journal, platform.clock, "r")
        stage = PlatformStage(platform)
        play = Play(asked, stage, record, Unattended("carla"), Reporter(), NoIncidents(), platform.clock, Silent())
        excluded = {one["name"]: one["reason"] for one in play.begun().exclusions}
    assert "compares with the source" in excluded["check as many of other"]


def test_a_system_of_which_nothing_would_be_looked_at_is_refused(tmp_path):
    """It came back in time, nobody looked at it, and the drill had passed."""
    shop = Shop(None, tmp_path)
    with pytest.raises(DrillUsage, match="Nothing of docs would be looked at"):
        shop.drill(LOST.replace("[structure, checks]", "checks"), ("docs",))
    assert not shop.journal("drill.")


def test_a_runbook_is_not_played_against_a_target(tmp_path):
    shop = Shop(None, tmp_path, drills="drills: {targets: {stage: {system: docs}}}\n")
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks" / "back.md").write_text("---\nrunbook: back\ntitle: t\n---\n# t\n\n```step\nid: a\nholdfast: [points]\n```\n")
    with pytest.raises(DrillUsage, match="not against the target stage"):
        shop.drill(LOST.replace("system-lost", "table-corrupted") + "runbook: back\n", ("docs",), target="stage")


def test_a_retest_keeps_the_target(tmp_path, monkeypatch):
    shop = Shop(None, tmp_path)
    (tmp_path / "drills").mkdir()
    (tmp_path / "drills" / "lost.yaml").write_text(LOST)

    class Gone(Exception):
        pass

    def go(*_given, **said):
        raise Gone(said["target"])

    monkeypatch.setattr(retest, "go", go)
    with shop.platform() as platform:
        platform.journal.record("drill.begin", run="r", drill=True, target="stage")
        due = dt.date(2099, 1, 1)
        one = Book(platform.journal, platform.clock).open("x", "*/drill/y", owner="e", due=due, scenario="lost", run="r", systems=("docs",))
        settings = SimpleNamespace(plan=str(shop.plan), set=())
        session = SimpleNamespace(platform=platform, plan=platform.plan, plan_path=shop.plan, settings=settings, clock=platform.clock)
        with pytest.raises(Gone, match="stage"):
            retest.command(session, one.id, unattended=True)
