"""Each depth of proof is shown with its age: a look at the vault that is an hour old is no restore."""

import datetime as dt

from holdfast.interfaces.cli.commands.prove.status import last_proofs
from holdfast.plan.shape.operations import Windows
from holdfast.protection.status import system_status
from holdfast.state import Proof
from tests.protection.plans import at, past, point, system

NOW = at("2026-05-01T12:30")


def of(tmp_path, *proofs):
    return system_status(system(tmp_path), Windows(), dt.UTC, past(point("2026-05-01T12:00"), proofs=list(proofs)), NOW)


def proof(tier, when, *, ok=True, **detail):
    return Proof("db", tier, at(when), ok=ok, point="p", detail=detail)


def test_every_kind_is_shown_with_its_age(tmp_path):
    shown = of(
        tmp_path,
        proof("structure", "2026-05-01T11:30"),
        proof("restore", "2026-04-29T12:30", compared="no"),
        proof("restore", "2026-04-20T12:30", compared="exact"),
        proof("spot_check", "2026-04-01T12:30"),
        proof("drill", "2026-03-02T12:30"),
    )
    assert set(shown.document()["proofs"]) == {"structure", "restore", "spot_check", "drill"}
    assert shown.document()["proofs"]["drill"]["age_seconds"] == 60 * 86400
    cell = last_proofs(shown)
    assert cell.text == "structure ok 1h ago, restore ok 2d ago (not compared), spot check ok 30d ago, drill ok 60d ago"
    assert cell.style == "ok"


def test_an_older_failure_of_another_kind_is_not_hidden_by_a_newer_success(tmp_path):
    cell = last_proofs(of(tmp_path, proof("structure", "2026-05-01T12:00"), proof("restore", "2026-04-30T12:30", ok=False)))
    assert (cell.text, cell.style) == ("structure ok 30m ago, restore FAILED 1d ago", "fail")
    assert last_proofs(of(tmp_path)).text == "never"
