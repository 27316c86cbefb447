"""holdfast drill as people type it: findings that only a passed retest closes, a tabletop, stopping, what is refused."""

import json
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from holdfast.assembly.drills import PlatformStage
from holdfast.assembly.drills.restorer import PlatformRestorer
from holdfast.drills.engine.record import Markers
from holdfast.drills.errors import NotTornDown
from holdfast.interfaces.cli.commands.drill import stop
from holdfast.interfaces.cli.commands.drill.desk import look_after
from holdfast.interfaces.cli.commands.drill.running import result
from tests.drills.kit import Shop

pytestmark = pytest.mark.timeout(1800)
SLOW = "drill: slow\ntitle: slow\nsystems: docs\ndisaster: {kind: system-lost}\ncriteria: [sentinel, structure, content]\npeople: none\n"
TABLE = """
drill: table
title: table
kind: tabletop
objectives: {rto: 1h}
roles: {lead: [dora]}
questions:
  - {id: who, ask: "Who decides?", expect: "A name."}
  - {id: where, ask: "Where are the keys?", expect: "A safe.", who: keeper, critical: false}
"""


@pytest.fixture
def shop(tmp_path):
    made = Shop(None, tmp_path)
    (tmp_path / "drills").mkdir()
    return made


def write(shop, name: str, text: str) -> None:
    (shop.folder / "drills" / f"{name}.yaml").write_text(text)


def test_scenarios_are_listed_shown_and_checked(shop):
    write(shop, "mine", SLOW)
    names = {one["name"]: one for one in shop.call("drill", "list")["scenarios"]}
    assert names["slow"]["shipped"] is False
    assert {"database-lost", "table-corrupted", "location-lost", "ransomware", "key-holder-absent", "tabletop"} <= names.keys()
    assert all(one["sound"] for one in names.values())
    assert shop.call("drill", "show", "slow")["hash"] == names["slow"]["hash"]
    assert shop.call("drill", "lint")["ok"]
    write(shop, "bad", "drill: bad\ntitle: bad\nkind: restor\n")
    found = shop.call("drill", "lint", expect=2)["problems"]
    assert [(one["line"], one["hint"]) for one in found] == [(3, "did you mean 'restore'?")]
    write(shop, "bad", "drill: bad\ntitle: bad\ndisaster: {kind: ransomware, at: nowhere}\n")
    assert "no target 'nowhere'" in shop.call("drill", "lint", expect=2)["problems"][0]["message"]
    assert "Did you mean" in shop.call("drill", "slwo", "--unattended", expect=2)["error"]["hint"]


def test_only_a_passed_retest_closes_a_finding(shop):
    write(shop, "slow", SLOW + "objectives: {rto: 1ms}\nfindings: {owner: emil, due: 10d}\n")
    done = shop.call("drill", "slow", expect=1)
    (finding,) = done["findings"]
    assert (finding["owner"], finding["limit"]) == ("emil", 0.001)
    assert shop.call("drill", "findings")["findings"][0]["finding"] == finding["finding"]
    # Not met: it stays open.
    again = shop.call("drill", "retest", finding["finding"], expect=1)
    assert again["retest"]["closed"] is False
    # A longer promise closes nothing, nor does a scenario that passes by another promise.
    write(shop, "slow", SLOW + "objectives: {rto: 1h}\n")
    assert shop.call("drill", "retest", finding["finding"], expect=4)["error"]["code"] == "drill-retest-weaker"
    write(shop, "slow", SLOW)
    passed = shop.call("drill", "retest", finding["finding"], expect=1)
    assert passed["outcome"] == "ok"
    assert "was not met" in passed["retest"]["why"]
    assert len(shop.call("drill", "findings")["findings"]) == 1
    # By hand: closed by a passed retest of its scenario, and noted with that run.
    by_hand = shop.call("drill", "findings", "--add", "the phone list is old", "--scenario", "slow", "--due", "2020-01-01", expect=1)
    other = next(one for one in by_hand["findings"] if one["scenario"] == "slow" and one["text"] == "the phone list is old")
    assert other["overdue"]
    status = json.dumps(shop.call("status", expect=1))
    assert other["finding"] in status
    closed = shop.call("drill", "retest", other["finding"])
    assert closed["retest"] == {"finding": other["finding"], "closed": True, "why": ""}
    every = {one["finding"]: one for one in shop.call("drill", "findings", "--all")["findings"]}
    assert every[other["finding"]]["closed_by"] == closed["run"]
    assert other["finding"] not in json.dumps(shop.call("status", expect=1))
    assert shop.call("drill", "retest", other["finding"], expect=2)["error"]["code"] == "drill-usage"


def test_a_tabletop_is_people_only(shop):
    write(shop, "table", TABLE)
    assert shop.call("drill", "table", expect=4)["error"]["code"] == "drill-needs-people"
    answers = ["who=emil: dora", "who.met=dora: yes", "where=carla: nobody knows", "where.met=dora: no", "accept=dora: yes"]
    given = [word for one in answers for word in ("--answer", one)]
    done = shop.call("drill", "table", *given)
    assert (done["outcome"], done["torn_down"]) == ("ok", True)
    assert [(one["name"], one["state"]) for one in done["checks"][:2]] == [("who", "passed"), ("where", "skipped")]
    signed = shop.journal("drill.end")[-1].payload["sign_off"]
    assert (signed["name"], signed["played_by"].partition(" by ")[0]) == ("dora", "given beforehand")
    wrong = [word.replace("dora: yes", "carla: yes") for word in given]
    assert "part of lead" in json.dumps(shop.call("drill", "table", *wrong, expect=1))
    given[3] = "who.met=dora: no"
    failed = shop.call("drill", "table", *given, expect=1)
    assert [one["about"] for one in failed["findings"]] == ["*/question/who"]
    assert shop.journal("drill.end")[-1].payload["sign_off"] is None
    assert not list((shop.folder / "near" / "points").rglob("*"))


def test_nobody_at_a_terminal_is_no_answer(shop):
    write(shop, "slow", SLOW.replace("people: none\n", ""))
    assert shop.call("drill", "slow", expect=4)["error"]["code"] == "drill-needs-people"
    done = shop.call("drill", "slow", "--unattended")
    said = [one.payload for one in shop.journal("drill.said") if one.payload["run"] == done["run"]]
    assert all("nobody was asked" in one["played_by"] for one in said)


def test_a_drill_does_not_start_on_a_sick_platform(shop):
    write(shop, "slow", SLOW)
    (shop.folder / "docs").rename(shop.folder / "gone")
    said = shop.call("drill", "slow", expect=4)["error"]
    assert said["code"] == "drill-not-steady"
    (ended,) = shop.journal("drill.end")
    assert ended.payload["outcome"] == "refused"
    assert not shop.journal("finding.")


def test_a_drill_without_a_promise_could_not_fail(shop):
    write(shop, "slow", SLOW)
    shop.plan.write_text(shop.plan.read_text().replace("rpo: 2d, rto: 1h, ", ""))
    assert shop.call("drill", "slow", expect=2)["error"]["code"] == "drill-usage"


def test_it_is_stopped_at_once_and_only_what_ran_is_undone(shop):
    write(shop, "slow", SLOW)
    (shop.folder / "docs" / "large").write_bytes(bytes(range(256)) * 4096)
    script = (
        "import sys, time\n"
        "from holdfast.assembly.drills.restorer import PlatformRestorer\n"
        "recover = PlatformRestorer.recover\n"
        "def slowly(*a, **k):\n"
        "    print('recovering', file=sys.stderr, flush=True)\n"
        "    while True: time.sleep(0.05)\n"
        "PlatformRestorer.recover = slowly\n"
        "from holdfast.interfaces.cli.app import run\n"
        "sys.exit(run(['drill', 'slow', '--json']))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=shop.folder, env=shop.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert any("recovering" in line for line in iter(running.stderr.readline, ""))
        working = shop.call("drill", "status")["at_work"]
        assert [one["pid"] for one in working] == [running.pid]
        assert shop.call("drill", "slow", expect=4)["error"]["code"] == "drill-active"
        assert list((shop.folder / "docs").glob(".holdfast*"))
        stopped = shop.call("drill", "stop")
        assert [one["run"] for one in stopped["stopped"]] == [working[0]["run"]]
        assert running.wait(1800) in (143, -signal.SIGTERM)
        running.communicate()
    assert not list((shop.folder / "docs").glob(".holdfast*"))
    ended = [one.payload for one in shop.journal("drill.end") if one.payload["run"] == working[0]["run"]]
    assert [one["outcome"] for one in ended] == ["cancelled"]
    assert ended[0]["torn_down"] is True
    assert shop.call("drill", "stop")["stopped"] == []


def test_its_incident_is_marked_as_a_drill_and_closed_with_it(shop):
    write(shop, "slow", SLOW)
    shop.plan.write_text(shop.plan.read_text() + "people: {dora: {name: Dora}}\nincidents: {on_call: dora}\n")
    done = shop.call("drill", "slow")
    (incident,) = shop.call("incident", "list", "--all")["incidents"]
    assert (incident["drill"], incident["state"], incident["outcome"]) == (done["run"], "closed", "drill")
    ended = next(one.payload for one in shop.journal("drill.end"))
    assert ended["incident"] == {"id": incident["incident"]}


def test_a_responder_that_fails_stops_no_drill(shop):
    write(shop, "slow", SLOW)
    shop.plan.write_text(shop.plan.read_text() + "people: {dora: {name: Dora}}\nincidents: {on_call: dora}\n")
    script = (
        "import sys\n"
        "from holdfast.interfaces.cli.commands.drill import responder\n"
        "responder.ByCommand._call = lambda self, words: (_ for _ in ()).throw(responder.IncidentNotOpened('the network is down'))\n"
        "from holdfast.interfaces.cli.app import run\n"
        "sys.exit(run(['drill', 'slow', '--json']))\n"
    )
    words = [sys.executable, "-c", script]
    done = subprocess.run(words, cwd=shop.folder, env=shop.environ, capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == 0, done.stderr
    assert "the network is down" in done.stderr
    facts = [one.payload["facts"] for one in shop.journal("drill.phase") if one.payload["name"] == "incident" and "facts" in one.payload]
    assert "the network is down" in facts[0]["failed"]


def test_what_a_stopped_drill_left_is_said(shop, monkeypatch):
    write(shop, "slow", SLOW)
    monkeypatch.setattr(PlatformStage, "undo", _broken)
    monkeypatch.setattr(PlatformRestorer, "recover", _stopped)
    done = shop.drill((shop.folder / "drills" / "slow.yaml").read_text(), ("docs",))
    assert (done.outcome, done.torn_down) == ("cancelled", False)
    session = SimpleNamespace(kept="")
    with pytest.raises(NotTornDown, match="The disk is gone"):
        result(session, done, "slow")
    assert "is undone" not in session.kept
    at_work = [[SimpleNamespace(run=done.run, scenario="slow", process=SimpleNamespace(alive=lambda _host: False))]]
    monkeypatch.setattr(Markers, "at_work", lambda self: at_work.pop() if at_work else [])
    with shop.platform() as platform:
        with pytest.raises(NotTornDown, match="The disk is gone"):
            stop.command(SimpleNamespace(platform=platform, clock=platform.clock), done.run)
        monkeypatch.undo()
        assert look_after(platform) == []
    assert not list((shop.folder / "docs").glob(".holdfast*")), "the next command could try again"


def _broken(self, undo):
    raise OSError("The disk is gone.")


def _stopped(self, *given):
    raise KeyboardInterrupt
