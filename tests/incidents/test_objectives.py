"""A missed promise, a failed proof and a failed drill declare an incident each, once, where the plan speaks of incidents."""

import dataclasses
import datetime as dt

from holdfast.incidents.objectives import declare, failed_drill, missed
from holdfast.incidents.policy import policy
from holdfast.plan import load
from holdfast.plan.shape.operations import Windows
from holdfast.protection.status import PlatformStatus, system_status
from holdfast.state import Estimate, Pause, Proof
from tests.incidents.kit import Clock, Host
from tests.protection.plans import TEXT, at, past, point

NOW = at("2026-05-01T12:30")
GOOD = {"restore": Estimate(60, 70, 3), "pruned_at": at("2026-05-01T00:00")}
INCIDENTS = "people: {core: {name: Core}}\nincidents: {on_call: core}\n"


def proof(*, ok):
    return Proof("db", "restore", at("2026-04-30T03:00"), ok=ok, point="p", detail={})


def look(folder, seen, extra=INCIDENTS, now=NOW):
    path = folder / "holdfast.yaml"
    path.write_text(
        TEXT.format(zone="UTC", windows="", rpo="1h", backup='"0 * * * *"', continuous="false", verify="{restore: weekly}", copies=1)
        + extra
    )
    plan = load(path)
    found = system_status(plan.effective("db"), Windows(), dt.UTC, seen, now)
    return missed(PlatformStatus("test", now, (found,)), policy(plan)), policy(plan)


def test_a_kept_promise_declares_nothing_and_a_missed_one_once(tmp_path):
    good, rules = look(tmp_path, past(point("2026-05-01T12:00"), proofs=[proof(ok=True)], **GOOD))
    assert good == []
    late = past(point("2026-05-01T09:00"), proofs=[proof(ok=True)], **GOOD)
    [one], _ = look(tmp_path, late)
    assert (one.key, one.severity, one.systems) == ("missed/db", "P3", ("db",))
    assert "would be lost from onsite" in one.title
    # The promise of an hour was broken at ten; the backup due at ten was a whole interval late at eleven.
    assert (one.detected, one.since) == (at("2026-05-01T10:00"), at("2026-05-01T11:00"))
    here = Host(tmp_path, "ops1", rules, Clock(NOW))
    assert len(declare([one], here.room, here.who("holdfast"))) == 1
    again, _ = look(tmp_path, late, now=NOW + dt.timedelta(minutes=5))
    assert declare(again, here.room, here.who("holdfast")) == []
    [incident] = here.log.all()
    here.room.resolve(incident.id, here.who("anna"))
    assert declare(again, here.room, here.who("holdfast")) == []  # still the same miss
    anew = dataclasses.replace(one, since=NOW + dt.timedelta(hours=3))
    assert len(declare([anew], here.room, here.who("holdfast"))) == 1


def test_a_failed_proof_is_one_of_its_own_and_less_severe(tmp_path):
    found, _ = look(tmp_path, past(point("2026-05-01T12:00"), proofs=[proof(ok=False)], **GOOD))
    assert [(one.key, one.severity, one.since) for one in found] == [("verify/db", "P4", at("2026-04-30T03:00"))]


def test_what_nobody_knows_is_declared_where_the_plan_says_so(tmp_path):
    unknown = past(point("2026-05-01T12:00"), proofs=[], **GOOD)
    assert look(tmp_path, unknown)[0] == []
    found, _ = look(tmp_path, unknown, INCIDENTS.replace("on_call: core", "on_call: core, declare: unknown"))
    assert [one.key for one in found] == ["unknown/db"]


def test_a_plan_without_incidents_and_a_paused_system_declare_nothing(tmp_path):
    late = past(point("2026-05-01T09:00"), proofs=[proof(ok=True)], **GOOD)
    assert look(tmp_path, late, "")[0] == []
    paused = dataclasses.replace(late, pause=Pause("db", NOW, None, "it is moved"))
    assert look(tmp_path, paused)[0] == []


def test_a_failed_drill(tmp_path):
    _, rules = look(tmp_path, past(point("2026-05-01T12:00"), proofs=[proof(ok=True)], **GOOD))
    one = failed_drill("database-lost", "r1", ("db", "gone"), NOW, rules)
    assert one is not None
    assert (one.key, one.severity, one.systems, one.drill) == ("drill/database-lost", "P4", ("db",), "")
    assert failed_drill("x", "r1", (), NOW, policy(None)) is None
