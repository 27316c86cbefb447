"""Reports issued long ago are still sound, say what they said, and are still refused when a byte was changed."""

import json
from pathlib import Path

import pytest

from holdfast.evidence import verifier
from holdfast.evidence.issue import Issued
from holdfast.evidence.page import page, period_page
from holdfast.evidence.period_file import IssuedPeriod

HERE = Path(__file__).parent / "evidence-1"
FACTS = json.loads((HERE / "facts.json").read_text())
FILES = sorted(HERE.glob("0*.json"))


def test_they_are_sound_with_their_time_stamps():
    roots = verifier.certificates([HERE / "authority.pem"])
    verdicts = [verifier.verify(path.read_bytes(), {FACTS["root"]}, roots) for path in FILES]
    assert [verdict.problems for verdict in verdicts] == [[], [], []]
    assert [verdict.state for verdict in verdicts] == ["sound"] * 3
    assert [verdict.facts["sha256"] for verdict in verdicts] == FACTS["sha256"]
    assert [verdict.facts["outcome"] for verdict in verdicts] == ["ok", "failed", "ok"]
    assert all(any(note.startswith("time stamp of") and "not checked" not in note for note in verdict.notes) for verdict in verdicts)
    assert verifier.gaps(verdicts) == []
    assert verifier.gaps([verdicts[0], verdicts[2]]) == ["Reports 2 to 2 are missing."]


def test_the_host_s_key_is_enough():
    assert verifier.verify(FILES[0].read_bytes(), {FACTS["host"]}).state == "sound"
    assert verifier.verify(FILES[0].read_bytes(), {"0" * 64}).state == "altered"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_changed_byte_is_told(path):
    data = path.read_bytes()
    for at in range(0, len(data), 211):
        spoiled = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        assert verifier.verify(spoiled, {FACTS["root"]}).state == "altered", at


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_they_are_drawn_as_pages(path):
    issued = Issued("", int(path.stem), path.read_bytes())
    assert issued.sha256 in page(issued)


DRILL = Path(__file__).parent / "evidence-drill"
DRILLED = json.loads((DRILL / "facts.json").read_text())


@pytest.mark.parametrize("name", ["drill", "period"])
def test_a_drill_s_report_and_a_period_s_are_sound_and_refused_when_changed(name):
    data = (DRILL / f"{name}.json").read_bytes()
    verdict = verifier.verify(data, {DRILLED["root"]})
    assert (verdict.state, verdict.problems) == ("sound", [])
    assert verdict.facts["sha256"] == DRILLED["sha256"][name]
    for at in range(0, len(data), 307):
        spoiled = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        assert verifier.verify(spoiled, {DRILLED["root"]}).state == "altered", at


def test_a_drill_s_report_has_its_fields_and_is_drawn():
    issued = Issued("", 1, (DRILL / "drill.json").read_bytes())
    evidence = issued.evidence
    assert evidence["closure"]["sign_off"]["name"] == "dora"
    assert [one["step"] for one in evidence["results"]["steps"]] == ["declare", "restore", "tell"]
    assert all(one["reason"] for one in evidence["closure"]["empty"])
    text = page(issued)
    for said in ("Everything is lost", "Signed off by", "tried twice", "nobody to tell", "seven were carried again", "INC-1", "slow disks"):
        assert said in text, said


def test_a_period_s_report_is_drawn():
    issued = IssuedPeriod((DRILL / "period.json").read_bytes())
    text = period_page(issued)
    assert issued.sha256 in text
    assert "drill" in text
