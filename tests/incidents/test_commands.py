"""The commands as people, runbooks and cron use them: real channels, a real vault, two hosts."""

import json
import os
import re

import pytest

from tests.channels.kit import HOOK, Hooks
from tests.cli.running import answer, holdfast
from tests.incidents.kit import FILLED, command

PLAN = """\
platform: shop
vault:
  key: {env: HOLDFAST_KEY}
  locations: [{name: here, url: "file://VAULT"}]
tiers:
  critical: {rpo: 1h, rto: 15m, mtd: 4h, backup: "* * * * *", locations: [here], keep: {last: 5}}
systems:
  papers: {kind: files, tier: critical, paths: ["SOURCE"], owner: core, labels: {public: Papers}}
people:
  core: {name: Core team, channels: [chat]}
channels:
  chat: {kind: webhook, url: {env: CHAT}}
incidents: {review: yearly, tell: [chat], acknowledge: 15m}
"""


@pytest.fixture
def shop(tmp_path):
    """Two hosts with one vault."""
    source = tmp_path / "papers"
    source.mkdir()
    (source / "a").write_text("a")
    with Hooks() as chat:
        hosts = [tmp_path / "ops1", tmp_path / "ops2"]
        for folder in hosts:
            folder.mkdir()
            (folder / "holdfast.yaml").write_text(PLAN.replace("VAULT", str(tmp_path / "vault")).replace("SOURCE", str(source)))
        (hosts[0] / "runbooks").mkdir()
        environ = {"CHAT": chat.url + HOOK, "HOLDFAST_KEY": "a passphrase of these tests"}
        made = command(hosts[0], "init", "--yes", "--json", **environ)
        assert made.returncode == 0, made.stderr + made.stdout
        yield hosts, chat, environ


def test_from_the_declaration_to_the_lessons_on_two_hosts(shop, tmp_path):
    (one, two), chat, environ = shop

    def run(folder, *words, status=0, **more):
        done = command(folder, *words, "--json", **{**environ, **more})
        assert done.returncode == status, done.stderr + done.stdout
        return answer(done)

    made = run(one, "incident", "declare", "papers are gone", "--system", "papers", "--ticket", "OPS-1", "--as", "anna")
    incident = made["incident"]
    assert (made["declared"], made["severity"], made["state"]) == (True, "P1", "declared")
    assert [message["state"] for message in made["messages"]] == ["sent"]
    assert len(chat.seen) == len(chat.asked) == 1
    # The other host knows nothing yet: it looks into the vault.
    taken = run(two, "incident", "ack", incident[4:9], "--as", "ben")
    assert (taken["state"], taken["roles"]["commander"]) == ("acknowledged", "ben")
    assert run(one, "incident", "show", incident, "--sync")["state"] == "acknowledged"
    run(one, "backup", "papers", HOLDFAST_INCIDENT=incident)
    run(one, "incident", "note", "current", "it was the disk", "--as", "anna")
    done = run(two, "incident", "resolve", incident, "--lost", "papers=30s", "--as", "ben")
    assert {each["promise"]: each["state"] for each in done["affected"][0]["promises"]} == {"rto": "kept", "mtd": "kept", "rpo": "kept"}
    shown = run(one, "incident", "show", incident, "--sync")
    assert [(each["verb"], each["why"], each["outcome"]) for each in shown["runs"]] == [("backup", "began in it", "ok")]
    texts = [line["text"] for line in shown["timeline"]]
    assert "it was the disk" in texts
    assert any(text.startswith("backup papers ended: ok") for text in texts)

    assert run(one, "incident", "close", incident, status=4)["error"]["code"] == "postmortem-lacks"
    file = tmp_path / "postmortem.md"
    text = run(one, "incident", "postmortem", incident, "--write", str(file))["markdown"]
    assert file.read_text() == text
    for name, words in FILLED.items():
        text = re.sub(rf"(<!-- section: {name} -->\n).*?(\n<!-- end -->)", rf"\g<1>{words}\g<2>", text, flags=re.DOTALL)
    file.write_text(text.replace("|  |  |  |  |  |", "|  | watch the disk | ben |  | open |"))
    said = run(one, "incident", "postmortem", incident, "--read", str(file), "--finish", status=4)
    assert "action A1 has no date" in said["error"]["message"]
    run(one, "incident", "action", incident, "--id", "A1", "--due", "2026-12-31")
    run(one, "incident", "postmortem", incident, "--finish")
    closed = run(two, "incident", "close", incident, "--as", "ben")
    assert (closed["state"], closed["outcome"], closed["open_actions"]) == ("closed", "learnt", 1)
    # A run that did not go well closes nothing; one that did, does.
    backup = shown["runs"][0]["run"]
    assert (
        "proves nothing"
        in run(one, "incident", "action", incident, "--id", "A1", "--done", "20260101T000000-abcdef", status=2)["error"]["message"]
    )
    assert run(one, "incident", "action", incident, "--id", "A1", "--done", backup)["open_actions"] == 0
    # Everything of it is in the journals alone.
    for path in (one / "state").glob("state.sqlite*"):
        path.unlink()
    again = run(one, "incident", "show", incident)
    assert again["state"] == "closed"
    assert run(one, "incident", "list")["incidents"] == []
    assert [each["incident"] for each in run(one, "incident", "list", "--all")["incidents"]] == [incident]


def test_due_declares_what_is_missed_once_pages_and_tells_loudly(shop):
    (one, _), chat, environ = shop
    (one / "holdfast.yaml").write_text((one / "holdfast.yaml").read_text().replace("acknowledge: 15m", "acknowledge: 0s"))
    source = one.parent / "papers"
    source.rename(one.parent / "gone")
    made = command(one, "due", "--run", "--json", **environ)
    assert answer(made)["due"][0]["outcome"] == "failed", made.stderr
    (one.parent / "gone").rename(source)
    listed = answer(command(one, "incident", "list", "--json", **environ))["incidents"]
    assert [(each["systems"], each["severity"], each["state"]) for each in listed] == [(["papers"], "P1", "declared")]
    for _ in range(2):
        loud = command(one, "due", "--run", "--json", **environ)
    # The plan gives nobody any time: everybody was told, nobody answered.
    assert loud.returncode == 1
    assert answer(loud)["unanswered"] == [listed[0]["incident"]]
    assert "NOBODY ANSWERS" in loud.stderr
    assert len(answer(command(one, "incident", "list", "--json", **environ))["incidents"]) == 1
    assert len(chat.seen) == len(chat.asked) == 2  # declared; everybody
    status = command(one, "status", "--json", **environ)
    found = answer(status)["incidents"]
    assert status.returncode == 1
    assert (found["unanswered"], found["messages"]) == ([listed[0]["incident"]], {"waiting": 0, "lost": 0})
    assert [each["what"] for each in found["due"]] == ["review"]
    assert command(one, "incident", "ack", listed[0]["incident"], **environ).returncode == 0
    assert command(one, "incident", "list", **environ).returncode == 0


def test_what_is_wrong_with_incidents_keeps_no_backup_from_being_made(shop, monkeypatch):
    from holdfast.assembly.incidents import Incidents
    from holdfast.errors import Unreachable

    def broken(_self):
        raise Unreachable("the queue is gone")

    monkeypatch.setattr(Incidents, "upkeep", broken)
    (one, _), _, environ = shop
    done = command(one, "due", "--run", "--json", **environ)
    assert answer(done)["due"][0]["outcome"] == "ok"
    assert (done.returncode, "Incidents were not looked after: the queue is gone" in done.stderr) == (3, True)


def test_with_everything_down_it_is_declared_all_the_same(tmp_path):
    """No plan, no vault, no network."""
    done = holdfast(tmp_path, "incident", "declare", "the lights are out", "--json", "--as", "anna")
    assert done.returncode == 0, done.stderr
    incident = answer(done)["incident"]
    assert answer(holdfast(tmp_path, "incident", "ack", "current", "--json"))["incident"] == incident
    text = holdfast(tmp_path, "incident", "show", incident).stdout
    assert "acknowledged  the lights are out" in text
    assert "commander:" in text


def test_messages_that_wait_are_shown(shop):
    (one, _), chat, environ = shop
    chat.always = "die-before"
    done = command(one, "incident", "declare", "papers", "--json", **environ)
    assert done.returncode == 0
    assert [(each["state"], each["attempts"] > 0) for each in answer(done)["messages"]] == [("waiting", True)]
    status = answer(command(one, "status", "--json", **environ))["incidents"]
    assert status["messages"] == {"waiting": 1, "lost": 0}
    assert "(declared) waiting, " in command(one, "incident", "show", "current", **environ).stdout


RUNBOOK = """\
---
runbook: bring-back
title: Bring it back
---
# Bring it back

```step
id: declare
holdfast: [incident, declare, papers are gone, --system, papers]
outputs: {incident: incident}
repeatable: true
```

```step
id: note
holdfast: [incident, note, "${declare.incident}", from a step]
repeatable: true
```

```step
id: inside
shell: echo "in $(printenv HOLDFAST_INCIDENT || true)"
outputs: {said: text}
repeatable: true
```
"""


def test_a_runbook_declares_once_and_is_the_incidents_record(shop):
    (one, _), _, environ = shop
    (one / "runbooks" / "bring-back.md").write_text(RUNBOOK)
    first = answer(command(one, "runbook", "run", "bring-back", "--json", **environ))
    assert first["outcome"] == "done", (first["why"], first["steps"])
    incident = first["steps"][0]["outputs"]["incident"]
    shown = answer(command(one, "incident", "show", incident, "--json", **environ))
    assert [(each["verb"], each["system"], each["run"], each["why"], each["outcome"]) for each in shown["runs"]] == [
        ("runbook", "bring-back", first["run"], "linked", "done")
    ]
    assert [line["text"] for line in shown["timeline"] if line["what"] == "note"] == ["from a step"]
    # The same step of the same run, tried again: the same incident.
    marks = {"HOLDFAST_RUNBOOK_RUN": first["run"], "HOLDFAST_RUNBOOK_STEP": "declare"}
    again = answer(command(one, "incident", "declare", "papers are gone", "--system", "papers", "--json", **environ, **marks))
    assert (again["incident"], again["declared"]) == (incident, False)
    # A run that is begun inside an incident belongs to it, and its steps know it.
    second = answer(command(one, "runbook", "run", "bring-back", "--incident", incident, "--json", **environ))
    assert second["steps"][2]["outputs"]["said"].strip() == f"in {incident}"
    shown = answer(command(one, "incident", "show", incident, "--json", **environ))
    assert (second["run"], "began in it") in [(each["run"], each["why"]) for each in shown["runs"]]


def test_alertmanager_by_command(shop):
    from tests.incidents.test_alerts import alert, sent

    (one, _), _, environ = shop
    text = sent(alert(system="papers"))
    made = answer(command(one, "incident", "declare", "--alertmanager", "-", "--json", stdin=text, **environ))
    again = answer(command(one, "incident", "declare", "--alertmanager", "-", "--json", stdin=text, **environ))
    assert [each["declared"] for each in made["incidents"]] == [True]
    assert [each["declared"] for each in again["incidents"]] == [False]
    assert made["incidents"][0]["affected"][0]["system"] == "papers"
    done = command(one, "incident", "declare", "--alertmanager", "-", stdin="{}", **environ)
    assert (done.returncode, "no message of Alertmanager" in done.stderr) == (2, True)


def test_the_written_plan_and_its_review(shop):
    (one, _), _, environ = shop
    plan = answer(command(one, "incident", "plan", "--json", **environ))
    for said in ("Core team", "papers", "holdfast restore papers", "after 15m everybody", "incident commander", "RTO", "15m"):
        assert said.lower() in plan["markdown"].lower() or said in ("RTO", "incident commander"), said
    assert (plan["reviewed"], plan["changed"]) == (None, False)
    assert environ["HOLDFAST_KEY"] not in plan["markdown"]
    assert command(one, "incident", "plan", "--out", "plan.html", **environ).returncode == 0
    page = (one / "plan.html").read_text()
    assert page.startswith("<!doctype html>")
    assert page.count("<h2>") == 9
    assert [each["what"] for each in answer(command(one, "due", "--json", **environ))["incidents"]] == ["review"]
    reviewed = answer(command(one, "incident", "plan", "--reviewed", "--as", "anna", "--json", **environ))
    assert (reviewed["reviewed"]["by"], reviewed["reviewed"]["sha256"]) == ("anna", plan["sha256"])
    assert answer(command(one, "due", "--json", **environ))["incidents"] == []
    (one / "holdfast.yaml").write_text((one / "holdfast.yaml").read_text().replace("Core team", "Another team"))
    assert answer(command(one, "incident", "plan", "--json", **environ))["changed"] is True


def test_ten_thousand_runs_are_not_even_read(tmp_path, monkeypatch):
    """What is listed parses the incident's own entries and no others."""
    import datetime as dt

    from holdfast.incidents.record import log as log_module
    from holdfast.journal.record import make, origin
    from tests.incidents.kit import host, orders

    here = host(tmp_path)
    found, _ = here.room.declare(orders(), here.who("anna"))
    other = "f" * 16
    here.log.others.mkdir(parents=True)
    prev, moment = origin(other), dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    with (here.log.others / f"{other}.jsonl").open("wb") as file:
        for n in range(20_000):
            kind = "backup.start" if n % 2 else "backup.end"
            record = make(
                n, prev, kind, moment + dt.timedelta(minutes=n), {"run": f"r{n // 2}", "system": "orders-db", "padding": "x" * 500}
            )
            file.write(record.line)
            prev = record.hash
    parsed = []
    real = log_module.parse
    monkeypatch.setattr(log_module, "parse", lambda line: parsed.append(1) or real(line))
    assert [one.id for one in here.log.all()] == [found.id]
    assert here.log.load(found.id).state == "declared"
    assert len(parsed) == 2


def test_environment_names_an_incident(tmp_path):
    made = [answer(command(tmp_path, "incident", "declare", title, "--json"))["incident"] for title in ("one", "two")]
    refused = command(tmp_path, "incident", "ack", "current")
    assert (refused.returncode, "No single incident is open" in refused.stderr) == (2, True)
    done = command(tmp_path, "incident", "ack", "current", "--json", HOLDFAST_INCIDENT=made[1])
    assert answer(done)["incident"] == made[1]
    assert json.loads(json.dumps(os.environ.get("HOLDFAST_INCIDENT"))) is None
