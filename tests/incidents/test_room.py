"""Declared once, answered by somebody, closed with what was learnt; clocks of promises; words that may go outside."""

import datetime as dt
import json
import time
from pathlib import Path

import pytest

from holdfast.incidents.errors import IncidentStands, IncidentUnknown, IncidentUsage, PostmortemLacks
from holdfast.incidents.page import check_public, public_text
from holdfast.incidents.postmortem.document import markdown, read
from holdfast.incidents.promises import standings
from holdfast.incidents.record.order import disagreements, forged, missing
from holdfast.incidents.room import severity
from holdfast.incidents.timeline import RunSeen, runs, timeline
from holdfast.incidents.view import document
from tests.incidents.kit import FILLED, PLAN, Host, host, orders, rules

GOLDEN = Path(__file__).parent / "golden"


def shown(here: Host, incident: str):
    found = here.log.load(incident)
    return document(found, here.policy, here.clock, runs(found, here.log))


def test_severity_and_people_come_from_the_plan(tmp_path):
    here = host(tmp_path)
    found, _ = here.room.declare(orders(), here.who("anna"))
    assert (found.severity, found.roles["communications"]) == ("P1", "head")
    assert found.pages[0].to == ("core",)
    assert {each["channel"] for each in found.declared.data["tell"]} == {"chat", "pager"}
    assert here.policy.meaning("P1") == "shops cannot sell"
    audit, _ = here.room.declare(orders(systems=("audit-db",)), here.who("anna"))
    assert (audit.severity, audit.pages[0].to) == ("P2", ("lead",))  # no owner: who is on call
    assert [severity(text) for text in ("p1", "SEV2", "sev-3", "4")] == ["P1", "P2", "P3", "P4"]
    with pytest.raises(IncidentUsage):
        severity("P5")


def test_without_a_plan_it_is_declared_all_the_same(tmp_path):
    from holdfast.incidents.policy import policy

    here = Host(tmp_path, "ops1", policy(None))
    found, new = here.room.declare(orders(), here.who("anna"))
    assert new
    assert (found.severity, found.state, list(found.affected)) == ("P3", "declared", ["orders-db"])


def test_the_same_thing_is_declared_once(tmp_path):
    here = host(tmp_path)
    first, new = here.room.declare(orders(key="missed/orders-db"), here.who("holdfast"))
    again, second = here.room.declare(orders(key="missed/orders-db"), here.who("holdfast"))
    assert (new, second, again.id) == (True, False, first.id)
    assert len(here.log.load(first.id).events) == 1  # a schedule that runs every minute fills no journal
    here.clock.forward(60)
    here.room.resolve(first.id, here.who("anna"))
    here.clock.forward(60)
    since = here.clock.now() - dt.timedelta(seconds=90)
    _, new = here.room.declare(orders(key="missed/orders-db", since=since), here.who("holdfast"))
    assert not new  # it is still what was resolved
    anew, new = here.room.declare(orders(key="missed/orders-db", since=here.clock.now()), here.who("holdfast"))
    assert new
    assert anew.id != first.id


def test_two_hosts_that_meet_it_at_once_declare_one_incident(tmp_path):
    one, two = host(tmp_path, "ops1"), host(tmp_path, "ops2")
    first, _ = one.room.declare(orders(key="missed/orders-db"), one.who("holdfast"))
    second, _ = two.room.declare(orders(key="missed/orders-db"), two.who("holdfast"))
    assert first.id == second.id
    one.hears(two)
    two.hears(one)
    merged = one.log.load(first.id)
    assert merged == two.log.load(first.id)
    assert merged.seen == 2
    assert [incident.id for incident in one.log.all()] == [first.id]


def test_two_people_at_once(tmp_path):
    """Neither host knows of the other: both are written down, one of them leads."""
    one, two = host(tmp_path, "ops1"), host(tmp_path, "ops2")
    found, _ = one.room.declare(orders(), one.who("anna"))
    two.hears(one)
    one.clock.forward(5)
    two.clock.forward(6)
    one.room.acknowledge(found.id, one.who("anna"))
    two.room.acknowledge(found.id, two.who("ben"))
    one.room.resolve(found.id, one.who("anna"))
    two.clock.forward(60)
    two.room.reopen(two.room.mitigate(found.id, two.who("ben")).id, two.who("ben"), "it is worse")
    one.hears(two)
    merged = one.log.load(found.id)
    assert merged.responders == ["anna", "ben"]
    assert merged.roles["commander"] == "anna"
    assert merged.state == "declared"  # who says that it is not over wins over who says that it is
    late = [line.text for line in timeline(merged, []) if line.late]
    assert late == ["acknowledged", "mitigated"]


def test_a_forged_and_a_missing_entry_are_told(tmp_path):
    one, two = host(tmp_path, "ops1"), host(tmp_path, "ops2")
    found, _ = one.room.declare(orders(), one.who("anna"))
    two.hears(one)
    two.room.note(found.id, two.who("ben"), "seen")
    tag = one.journal.chains()[0]
    (two.log.others / f"{tag}.jsonl").unlink()
    assert missing(two.log.events(found.id)) == [f"{tag}:1"]
    events = [*one.log.events(found.id), *two.log.events(found.id)]
    assert forged(events) == []
    import dataclasses

    assert forged([dataclasses.replace(events[0], hash="0" * 64), *events[1:]]) == [f"{tag}:1"]


def test_clocks_that_disagree_are_told_and_durations_do_not_believe_them(tmp_path):
    one, two = host(tmp_path, "ops1"), host(tmp_path, "ops2")
    found, _ = one.room.declare(orders(), one.who("anna"))
    one.clock.forward(60)
    one.clock.set(-7200)  # somebody set the clock
    one.room.acknowledge(found.id, one.who("anna"))
    two.hears(one)
    two.clock.set(-100_000)
    two.room.note(found.id, two.who("ben"), "here it is yesterday")
    one.hears(two)
    told = disagreements(one.log.load(found.id).events)
    assert any("the clock of ops1 was set back by 7200 s between 'declared' and 'acknowledged'" in text for text in told)
    assert any("ops2" in text and "their clocks differ by" in text for text in told)
    assert shown(one, found.id)["durations"]["declare_to_acknowledge"] == 60.0


def test_states_refuse_what_makes_no_sense(tmp_path):
    here = host(tmp_path)
    found, _ = here.room.declare(orders(), here.who("anna"))
    with pytest.raises(IncidentStands, match="is declared, so it cannot be opened again"):
        here.room.reopen(found.id, here.who("anna"), "x")
    here.room.resolve(found.id, here.who("anna"))
    with pytest.raises(IncidentStands, match="cannot be acknowledged"):
        here.room.acknowledge(found.id, here.who("ben"))
    once, _ = here.room.declare(orders(), here.who("anna"))
    here.room.acknowledge(once.id, here.who("ben"))
    assert len(here.room.acknowledge(once.id, here.who("ben")).events) == 2  # twice is once
    here.room.resolve(once.id, here.who("ben"))
    with pytest.raises(IncidentStands, match="cannot be acknowledged"):
        here.room.acknowledge(once.id, here.who("ben"))
    with pytest.raises(IncidentStands):
        here.room.mitigate(found.id, here.who("ben"))
    with pytest.raises(IncidentUnknown, match="names no single incident"):
        here.log.find("INC-00")
    with pytest.raises(IncidentUsage, match="not about the system 'audit-db'"):
        here.room.systems(found.id, here.who("ben"), recovered=["audit-db"])
    assert here.log.find(found.id[4:8]) == found.id


def test_what_stands_for_many_or_for_none_is_refused(tmp_path):
    """An empty variable of a shell would make every run there ever was part of the incident, for good."""
    here = host(tmp_path)
    anna = here.who("anna")
    found, _ = here.room.declare(orders(), anna)
    for run in ("", "2", "20261121T100000"):
        with pytest.raises(IncidentUsage, match="no id of a run"):
            here.room.link(found.id, anna, run)
    here.log.append(found.id, "linked", anna, {"run": ""})
    found = here.room.resolve(found.id, anna)
    assert found.runs == {}
    with pytest.raises(IncidentUsage, match="'ordrs-db'"):
        here.room.reopen(found.id, anna, "it is back", ["ordrs-db"])
    assert here.room.reopen(found.id, anna, "it is back", ["orders-db"]).affected["orders-db"].recovered is None


def test_a_new_action_takes_nobody_elses_place(tmp_path):
    """Somebody adds one by command while another one fills in the file."""
    here = host(tmp_path)
    anna = here.who("anna")
    found, _ = here.room.declare(orders(), anna)
    here.room.action(found.id, anna, "A1", text="watch the disk", owner="ben", due="2026-12-01")
    filled = markdown(shown(here, found.id), {}).rstrip("\n") + "\n|  | alert the pager | carla | 2026-12-24 |  |\n"
    found = here.room.action(found.id, anna, "A2", text="renew the lease", owner="ben", due="2026-12-02", evidence="done")
    back = read(filled, {name: action.text for name, action in found.actions.items()})
    assert {name: action["text"] for name, action in back.actions.items()} == {"A1": "watch the disk", "A3": "alert the pager"}
    found = here.room.action(found.id, anna, "A3", **back.actions["A3"])
    again = read(filled, {name: action.text for name, action in found.actions.items()})
    assert again.actions == back.actions


def test_a_system_whose_public_name_is_like_its_own_can_be_told_of(tmp_path):
    here = host(tmp_path, text=PLAN.replace("orders-db", "orders"))
    found, _ = here.room.declare(orders(systems=("orders",)), here.who("anna"))
    said = public_text(found, here.policy)
    assert "Orders" in said
    assert here.room.update(found.id, here.who("anna"), "investigating", "x", said).update is not None
    with pytest.raises(IncidentUsage, match="'orders'"):
        check_public("orders is down", here.policy)


def test_ten_thousand_runs_stand_in_the_timeline_in_time(tmp_path):
    here = host(tmp_path)
    found, _ = here.room.declare(orders(), here.who("anna"))
    here.clock.forward(3600)
    found = here.room.note(found.id, here.who("anna"), "an hour")
    begin, step = found.declared.at, dt.timedelta(seconds=60)
    seen = [
        RunSeen(str(n), "backup", "orders-db", "c", begin + n * step, "in its time", ended=begin + n * step + 2.5 * step, outcome="ok")
        for n in range(10_000)
    ]
    before = time.process_time()
    lines = timeline(found, seen)
    assert time.process_time() - before < 2
    assert len(lines) == 20_002
    assert [line.at for line in lines] == sorted(line.at for line in lines)
    assert next(number for number, line in enumerate(lines) if line.what == "note") == 1 + 60 + 58


def test_promises_run_from_the_declaration(tmp_path):
    here = host(tmp_path)
    found, _ = here.room.declare(orders(systems=("orders-db", "audit-db")), here.who("anna"))
    here.clock.forward(10 * 60)
    states = {(one.system, one.promise): one for one in standings(here.log.load(found.id), here.clock)}
    assert states["orders-db", "rto"].state == "running"
    assert states["orders-db", "rto"].document()["left_seconds"] == 300.0
    here.clock.forward(10 * 60)
    found = here.room.systems(found.id, here.who("anna"), recovered=["audit-db"], lost={"audit-db": 30.0})
    here.clock.forward(60)
    found = here.room.mitigate(found.id, here.who("anna"), lost={"orders-db": 7.0})
    states = {(one.system, one.promise): one for one in standings(found, here.clock)}
    assert {key: one.state for key, one in states.items()} == {
        ("orders-db", "rto"): "missed",
        ("orders-db", "mtd"): "kept",
        ("orders-db", "rpo"): "missed",
        ("audit-db", "rto"): "kept",
        ("audit-db", "rpo"): "kept",
    }
    assert (states["orders-db", "rto"].measured, states["audit-db", "rto"].measured) == (1260.0, 1200.0)


def test_nobody_says_kept_where_nobody_knows_what_was_lost(tmp_path):
    here = host(tmp_path)
    found, _ = here.room.declare(orders(), here.who("anna"))
    found = here.room.resolve(found.id, here.who("anna"))
    assert {one.promise: one.state for one in standings(found, here.clock)} == {"rto": "kept", "mtd": "kept", "rpo": "unknown"}


def test_closing_needs_a_finished_post_mortem_whose_actions_have_owners(tmp_path):
    from holdfast.incidents.postmortem.rules import check_finishing

    here = host(tmp_path)
    anna = here.who("anna")
    found, _ = here.room.declare(orders(), anna)
    with pytest.raises(PostmortemLacks, match="ends after its resolution"):
        check_finishing(found)
    here.room.resolve(found.id, anna)
    with pytest.raises(PostmortemLacks, match="'summary' is empty"):
        here.room.close(found.id, anna)
    here.log.append(found.id, "written", anna, {"sections": FILLED})
    here.room.action(found.id, anna, "A1", text="watch the disk")
    with pytest.raises(PostmortemLacks, match="A1 has no owner; action A1 has no date"):
        here.room.close(found.id, anna)
    here.room.action(found.id, anna, "A1", owner="ben", due="2026-12-01")
    with pytest.raises(PostmortemLacks, match="nobody said that it is finished"):
        here.room.close(found.id, anna)
    here.log.append(found.id, "finished", anna, {"sha256": ""}, check=check_finishing)
    closed = here.room.close(found.id, anna)
    assert (closed.state, closed.outcome, [action.id for action in closed.open_actions]) == ("closed", "learnt", ["A1"])
    closed = here.room.action(found.id, anna, "A1", evidence="the alert fired in the drill of 2026-12-01")
    assert closed.open_actions == []


def test_a_text_that_changes_is_finished_anew(tmp_path):
    here = host(tmp_path)
    anna = here.who("anna")
    found, _ = here.room.declare(orders(), anna)
    here.room.resolve(found.id, anna)
    here.log.append(found.id, "written", anna, {"sections": FILLED})
    here.log.append(found.id, "finished", anna, {"sha256": ""})
    assert here.log.load(found.id).finished is not None
    here.log.append(found.id, "written", anna, {"sections": {"root-cause": "Something else."}})
    with pytest.raises(PostmortemLacks):
        here.room.close(found.id, anna)


def test_false_alarms_and_drills_close_with_a_reason_only(tmp_path):
    here = host(tmp_path)
    anna = here.who("anna")
    found, _ = here.room.declare(orders(), anna)
    with pytest.raises(IncidentUsage, match="only with a reason"):
        here.room.close(found.id, anna, outcome="false alarm", why=" ")
    with pytest.raises(IncidentUsage, match="is no drill"):
        here.room.close(found.id, anna, outcome="drill", why="over")
    assert here.room.close(found.id, anna, outcome="false alarm", why="a probe was broken").outcome == "false alarm"
    drill, _ = here.room.declare(orders(drill="D1"), anna)
    assert here.room.close(drill.id, anna, outcome="drill", why="over").state == "closed"


def test_the_post_mortem_is_filled_with_facts_and_read_back(tmp_path):
    here = host(tmp_path)
    anna = here.who("anna")
    found, _ = here.room.declare(orders(description="since 9:58", detected=here.clock.now() - dt.timedelta(minutes=2)), anna)
    here.clock.forward(60)
    here.room.acknowledge(found.id, here.who("ben"))
    here.room.note(found.id, anna, "a pipe | and a mark <!-- section: summary -->\nover two lines")
    here.clock.forward(3600)
    here.room.resolve(found.id, here.who("ben"), lost={"orders-db": 3.0})
    here.room.action(found.id, anna, "A1", text="watch | the disk", owner="ben", due="2026-12-01")
    text = markdown(shown(here, found.id), {})
    for fact in (
        "From the beginning to the declaration: 2m",
        "From the declaration to the first answer: 1m",
        "From the declaration to the resolution: 1h1m",
        "orders-db: RTO 15m missed: took 1h1m",
        "orders-db: RPO 5s kept: lost 3s",
        "commander: ben",
        "Asked 2026-11-21 10:00:00 UTC: core (declared)",
    ):
        assert fact in text, fact
    back = read(text)
    assert (back.incident, set(back.sections.values())) == (found.id, {""})
    assert back.actions == {"A1": {"text": "watch | the disk", "owner": "ben", "due": "2026-12-01"}}
    filled = text.replace("*Who could not do what, for how long; which data was lost.*", "Nobody could order.\n\nFor an hour.")
    filled = filled.rstrip("\n") + "\n|  | alert the pager | carla | 2026-12-24 | open |\n"
    back = read(filled)
    assert back.sections["impact"] == "Nobody could order.\n\nFor an hour."
    assert back.actions["A2"] == {"text": "alert the pager", "owner": "carla", "due": "2026-12-24"}
    assert markdown(shown(here, found.id), back.sections).count("Nobody could order.") == 1
    for broken, why in (
        (text.replace("post-mortem of INC", "post-mortem of X"), "no post-mortem"),
        (text.replace("<!-- section: impact -->", ""), "lacks the marks"),
        (filled.replace("2026-12-24", "Christmas"), "no date"),
    ):
        with pytest.raises(IncidentUsage, match=why):
            read(broken)


def test_people_outside_read_no_names(tmp_path):
    rules_ = rules(tmp_path)
    here = host(tmp_path)
    found, _ = here.room.declare(orders(), here.who("anna"))
    assert public_text(found, rules_) == "We are looking into a problem with Orders. We will say more as soon as we know more."
    for text in (
        "orders-db is down",
        "Our bucket shop-dr lost data",
        "see https://wiki.shop.example/x",
        "10.0.0.7 does not answer",
        "write to core@shop.example",
        "password: hunter2",
        "The lead will call you",
    ):
        with pytest.raises(IncidentUsage, match="no business with"):
            check_public(text, rules_)
    check_public("Orders are slow. We are working on it.", rules_)
    check_public("At the core of it is a disk.", rules_)
    with pytest.raises(IncidentUsage, match="'old-shop', which"):
        check_public("The old-shop is down.", rules_, ["old-shop"])
    with pytest.raises(IncidentUsage):
        here.room.update(found.id, here.who("anna"), "identified", "the disk of orders-db is full", "orders-db is full")
    told = here.room.update(found.id, here.who("anna"), "identified", "the disk of orders-db is full", "Orders are slow.")
    assert shown(here, told.id)["status_page"]["public"] == "Orders are slow."
    here.room.mitigate(found.id, here.who("anna"))
    assert shown(here, told.id)["status_page"] == {
        "state": "monitoring",
        "internal": "P1 orders are gone: mitigated. anna leads. Affected: orders-db (back). the disk of orders-db is full",
        "public": "Orders works again. We are watching it.",
    }


def test_the_entries_of_an_incident_are_as_they_were(tmp_path):
    """What the journal holds: a change here is a change of the format."""
    here = host(tmp_path)
    anna, ben = here.who("anna"), here.who("ben")
    found, _ = here.room.declare(orders(key="missed/orders-db", description="why"), anna)
    here.clock.forward(30)
    here.room.acknowledge(found.id, ben, "on it")
    here.room.assign(found.id, ben, "scribe", "carla")
    here.room.change_severity(found.id, ben, "P2", "one shop only")
    here.room.systems(found.id, ben, add=["audit-db"], recovered=["orders-db"], lost={"orders-db": 2.5})
    here.room.refer(found.id, ben, {"ticket": "OPS-1"})
    here.room.link(found.id, ben, "20261121T100000-abcdef", "the restore")
    here.room.note(found.id, ben, "a note")
    here.room.update(found.id, ben, "identified", "the disk", "Orders are slow.")
    here.room.mitigate(found.id, ben)
    here.room.resolve(found.id, ben, "done", "the disk")
    here.log.append(found.id, "written", ben, {"sections": FILLED})
    here.room.action(found.id, ben, "A1", text="watch", owner="ben", due="2026-12-01")
    here.log.append(found.id, "finished", ben, {"sha256": "0" * 64})
    here.room.close(found.id, ben)
    here.room.reopen(found.id, anna, "again")
    entries = []
    for record in here.journal.entries():
        if record.kind.startswith("incident."):
            payload = {name: value for name, value in record.payload.items() if name != "clock"}
            payload["cites"] = [[n, len(digest)] for _, n, digest in payload["cites"]]
            entries.append({"kind": record.kind, "payload": payload})
    text = json.dumps(entries, indent=1, sort_keys=True).replace(here.journal.chains()[0], "CHAIN") + "\n"
    assert text == (GOLDEN / "entries.json").read_text()


def test_a_bad_line_keeps_nobody_from_answering(tmp_path):
    here = host(tmp_path)
    old, _ = here.room.declare(orders(), here.who("anna"))
    found, _ = here.room.declare(orders(), here.who("anna"))
    path = here.journal.folder / f"{here.journal.chains()[0]}.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], lines[1].replace(b"orders are gone", b"all is very well"[:15]), *lines[2:]]))
    here.restart()
    assert here.room.acknowledge(found.id, here.who("ben")).state == "acknowledged"
    assert [one.id for one in here.log.all()] == [found.id]
    assert "was changed" in " ".join(here.log.doubts.values())
    with pytest.raises(IncidentUnknown):
        here.log.load(old.id)
