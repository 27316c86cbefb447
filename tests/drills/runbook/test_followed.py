"""A scenario's runbook is the way back: run by the engine of runbooks, against the drill's own places, and gone at its end."""

import json

import pytest

from holdfast.assembly.drills.procedure import PlatformProcedure
from holdfast.assembly.drills.surroundings import looking
from holdfast.drills.errors import DrillProduction, DrillUsage
from holdfast.model import SystemClock
from holdfast.runbooks.actions.contract import Call
from tests.drills.kit import Reporter, Said, Shop, failed

pytestmark = pytest.mark.timeout(1800)
LOST = """
drill: lost
title: lost
systems: docs
disaster: {kind: system-lost}
criteria: [sentinel, structure, content]
runbook: {name: docs-back, parameters: {target: "${into}/docs", to: "${until}"}}
"""
PAGE = """---
runbook: docs-back
title: The documents come back
systems: [docs]
parameters:
  target: {type: path}
  to: {type: text}
roles: {approver: [dora, emil]}
---
# The documents come back

```step
id: way
kind: decision
ask: Restore?
choose: {restore: yes, wait: no}
```

```step
id: agree
kind: approval
ask: "restore to ${to}?"
by: approver
```

```step
id: restore
holdfast: [restore, docs, --into, "${target}", --to, "${to}"]
outputs: {point: point.id}
```

```step
id: look
kind: human
do: Look into ${target}.
note: true
```
"""


@pytest.fixture
def shop(tmp_path):
    made = Shop(None, tmp_path)
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks" / "docs-back.md").write_text(PAGE)
    yield made
    boxes = made.boxes / "boxes"
    assert not boxes.exists() or not list(boxes.iterdir())


def write(shop, text: str) -> None:
    (shop.folder / "runbooks" / "docs-back.md").write_text(text)


def entries(shop, done, kind: str):
    return [one.payload for one in shop.journal(kind) if one.payload.get("run") == done.run]


def test_it_is_followed_and_what_it_brought_back_is_judged(shop):
    done = shop.drill(LOST, ("docs",), controls=("stale",))
    assert (done.outcome, failed(done)) == ("ok", []), [str(one.to_json()) for one in done.checks if one.state == "failed"]
    assert {one.kind for one in done.checks if one.state == "passed"} >= {"runbook", "sentinel", "compare", "objective", "control"}
    [run] = done.said["runs"]
    events = [one for one in shop.journal("runbook.") if one.payload["run"] == run]
    assert events[0].payload["data"]["drill"] == done.run
    assert events[-1].payload["data"]["outcome"] == "done"
    # Played people say so, and who approves is not who asked.
    approved = next(one.payload["data"]["by"] for one in events if one.kind == "runbook.approved")
    assert approved["name"] == "dora"
    assert approved["login"] == "played: dora"
    agreed = next(one for one in entries(shop, done, "drill.said") if one["role"] == "approver")
    assert (agreed["name"], agreed["played_by"]) == ("dora", "nobody was asked: an unattended drill")
    begun = entries(shop, done, "drill.begin")[0]
    assert begun["criteria"][0].startswith("the runbook docs-back (sha256:")
    phase = next(one for one in entries(shop, done, "drill.phase") if one["name"] == "runbook" and one["state"] == "ended")
    assert phase["facts"]["run"] == run
    assert done.clocks["restore"] > 0
    assert done.clocks["wait"] > 0
    assert done.said["phases"] == {"way": "decide", "agree": "wait", "restore": "restore", "look": "wait"}
    assert done.torn_down
    # Its steps are in the drill's report, each in its part of the clock.
    evidence = shop.call("report", done.run)["evidence"]
    assert evidence["scope"]["runbook"]["name"] == "docs-back"
    steps = {one["step"]: one for one in evidence["results"]["steps"]}
    assert (steps["restore"]["phase"], steps["restore"]["outcome"], steps["agree"]["by"]) == ("restore", "ok", "dora")


def test_a_red_step_makes_the_drill_red_and_opens_a_finding(shop):
    write(shop, PAGE + "\n```step\nid: seen\nshell: exit 7\n```\n")
    done = shop.drill(LOST.replace('"${until}"}', '"${until}"}, allow: [seen]'), ("docs",))
    assert failed(done) == ["/runbook docs-back"]
    [check] = [one for one in done.checks if one.kind == "runbook"]
    assert check.actual.startswith("stopped: ")
    assert [one.about for one in done.findings] == ["*/runbook/runbook docs-back"]
    [run] = done.said["runs"]
    ends = [one for one in shop.journal("runbook.ended") if one.payload["run"] == run]
    assert [one.payload["data"]["outcome"] for one in ends] == ["aborted"]
    assert done.torn_down


def test_stopped_in_the_middle_nothing_stays(shop, monkeypatch):
    """Ctrl-C, right when a step has been written down as begun."""

    def told(_self, text):
        if text.endswith(": restore"):
            raise KeyboardInterrupt

    monkeypatch.setattr(Reporter, "told", told)
    done = shop.drill(LOST, ("docs",))
    assert (done.outcome, done.torn_down) == ("cancelled", True)
    [ended] = shop.journal("runbook.ended")
    assert ended.payload["data"]["outcome"] == "aborted"


@pytest.mark.soak
def test_what_the_page_forgets_to_bring_back_is_red(shop):
    write(shop, PAGE.replace("[restore, docs, --into", "[restore, docs, --dry-run, --into"))
    done = shop.drill(LOST, ("docs",))
    assert "docs/recovery" in failed(done)
    assert "drill-nothing-returned" in next(one.actual for one in done.checks if one.kind == "recovery")


def test_people_are_asked_by_the_runbooks_own_rules(shop):
    """The one who asked may not approve, whatever is answered."""
    done = shop.drill(LOST, ("docs",), people=Said(agree="approve"))
    assert "/runbook docs-back" in failed(done)
    assert "runbook-not-allowed" in next(one.actual for one in done.checks if one.kind == "runbook")


@pytest.mark.soak
def test_who_decides_that_nothing_is_restored_ends_it_red(shop):
    write(shop, PAGE.replace("id: restore\n", "id: restore\nwhen: {way.choice: restore}\n"))
    done = shop.drill(LOST, ("docs",), people=Said(way="wait", agree="approve"))
    assert "docs/recovery" in failed(done)


STRANGE = {
    "shell: rm -rf /srv/docs": "cannot be told from production",
    "command: [touch, /srv/docs/x]": "cannot be told from production",
    "http: https://example.invalid/stop": "cannot be told from production",
    "holdfast: [backup, docs]": "changes more than a new place",
    "holdfast: [handover, /srv/db]": "changes more than a new place",
    "holdfast: [incident, trial]": "changes more than a new place",
    "holdfast: [restore, docs, --into, /, --in-place]": "does more than restore into a new place",
    "holdfast: [restore, docs, --into, /srv/docs]": "does not lie in the drill's own folder",
    "holdfast: [restore, docs, '--into=${target}/../../x']": "does not lie in the drill's own folder",
    "holdfast: [incident, postmortem, INC-1, --write, post-mortem.md]": "does not lie in the drill's own folder",
    "holdfast: [--plan, other.yaml, restore, docs]": "begins with --plan",
    "holdfast: [vault, check, --heal]": "changes more than a new place",
    "holdfast: [vault, --json, check, --heal]": "changes more than a new place",
    "holdfast: [status, --prometheus, /srv/metrics/holdfast.prom]": "does not lie in the drill's own folder",
    "holdfast: [runbook, show, docs-back, -o, /srv/docs/page.md]": "does not lie in the drill's own folder",
    "holdfast: [runbook, show, docs-back, -o/srv/docs/page.md]": "does not lie in the drill's own folder",
    "holdfast: [runbook, show, docs-back, --output=/srv/docs/page.md]": "does not lie in the drill's own folder",
    "holdfast: [incident, declare, --alertmanager, alert.json]": "changes more than a new place",
    "holdfast: [incident, declare, gone, --drill, other]": "changes more than a new place",
    "holdfast: {argv: [incident, declare, gone], env: {HOLDFAST_DRILL: ''}}": "HOLDFAST_DRILL in env",
}


def test_production_is_refused_before_anything_begins(shop):
    spec = {"name": "docs-back", "parameters": {"target": "${into}/docs", "to": "${until}"}}
    with shop.platform() as platform:
        PlatformProcedure(platform, spec).refuse(["docs"])
        for step, why in STRANGE.items():
            write(shop, PAGE + f"\n```step\nid: bad\n{step}\n```\n")
            with pytest.raises(DrillProduction, match=why) as caught:
                PlatformProcedure(platform, spec).refuse(["docs"])
            assert "bad" in json.dumps(caught.value.details)
            PlatformProcedure(platform, {**spec, "without": {"bad": "it is not played"}}).refuse(["docs"])
    with pytest.raises(DrillProduction):
        shop.drill(LOST, ("docs",))
    assert not shop.journal("drill.")
    assert shop.call("drill", "lint", str(scenario(shop)), expect=2)["problems"]


def scenario(shop):
    file = shop.folder / "lost.yaml"
    file.write_text(LOST)
    return file


DECLARED = """
```step
id: declare
holdfast: [incident, declare, docs are gone, --key, INC-7]
outputs: {incident: incident}
```
"""


def test_programs_that_the_scenario_allows_run_without_productions_secrets(shop):
    """They find the vault's key, for their own commands of Holdfast, and not the database's address; what is left out is an exclusion, and
    an incident of the drill is another than one in earnest with the same key.
    """
    earnest = shop.call("incident", "declare", "docs are gone", "--key", "INC-7")["incident"]
    shop.environ["DB_DSN"] = "host=/nowhere password=very-secret"
    script = 'test -n "$HOLDFAST_KEY"; test -n "$HOLDFAST_DRILL"; test -z "${DB_DSN:-}"; echo "$PARAM_TARGET"'
    write(shop, PAGE + DECLARED + f"\n```step\nid: seen\nshell: |\n  {script}\n```\n\n```step\nid: bad\nshell: exit 7\n```\n")
    text = LOST.replace('"${until}"}', '"${until}"}, allow: [seen], without: {bad: "there are no consumers here"}')
    done = shop.drill(text, ("docs",))
    assert (done.outcome, failed(done)) == ("ok", []), [str(one.to_json()) for one in done.checks if one.state == "failed"]
    begun = entries(shop, done, "drill.begin")[0]
    assert {"name": "step bad of docs-back", "reason": "there are no consumers here"} in begun["exclusions"]
    incidents = {one["incident"]: one for one in shop.call("incident", "list", "--all")["incidents"]}
    assert (incidents[earnest]["state"], incidents[earnest]["drill"]) == ("declared", None)
    [drilled] = [one for name, one in incidents.items() if name != earnest]
    assert drilled["drill"] == done.run


def test_incidents_of_others_are_left_alone(tmp_path):
    """A page that resolves an incident by a parameter must not resolve one in earnest."""
    document = {"steps": [{"id": "declare", "action": {"name": "holdfast", "spec": {"argv": ["incident", "declare", "x"]}}}]}
    look = looking(tmp_path, "INC-own", document)
    call = Call({"declare.incident": "INC-new", "named": "INC-real"}, (), 1.0, SystemClock(), (), {}, tmp_path)
    for said in ("INC-own", "${declare.incident}"):
        assert look("holdfast", {"argv": ["incident", "resolve", said]}, call) == ""
    for said in ("${named}", "current"):
        assert "not declared by this drill" in look("holdfast", {"argv": ["incident", "resolve", said]}, call)
    # What an option is given is not the incident that is meant.
    hidden = {"argv": ["incident", "resolve", "--note", "INC-own", "INC-real"]}
    assert "must stand right behind 'incident resolve'" in look("holdfast", hidden, call)


def test_a_step_that_is_not_there_is_a_mistake(shop):
    with pytest.raises(DrillUsage, match="no step nope"):
        shop.drill(LOST.replace('"${until}"}', '"${until}"}, allow: [nope]'), ("docs",))
