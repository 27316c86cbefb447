"""Who may do what: not who asked, by name or account; in time; enough of them; with the glass broken in sight of everybody."""

import datetime as dt

import pytest

from holdfast.errors import HoldfastError
from holdfast.runbooks.engine.answers import Answers
from holdfast.runbooks.engine.people import Person
from holdfast.runbooks.errors import ApprovalLate, NotYours, ParameterWrong, RunOver
from tests.runbooks.kit import ANNA, BEN, CARLA, begin, driver, page

APPROVAL = page(
    "id: go\nkind: approval\nask: Restore?\nby: approver\nquorum: 2\nexpires: 30m\nbreak_glass: commander",
    "id: act\ncommand: [act]\nprobe: {command: [look]}",
    front="roles: {approver: [anna, ben, carla, dora], commander: [anna]}\n",
)
DORA = Person("dora", "dora", "ops1")


@pytest.fixture
def asked(tmp_path):
    one = driver(tmp_path)
    assert begin(one, APPROVAL).how == "waiting"
    return one, Answers(one.records)


def test_who_asked_does_not_approve(asked):
    _, answers = asked
    for person in (ANNA, Person("Anna", "somebody", "elsewhere"), Person("ben", "anna", "ops1")):
        with pytest.raises(NotYours, match="asked for this"):
            answers.say("r1", person, "go")


def test_enough_different_people_of_the_role(asked):
    one, answers = asked
    with pytest.raises(NotYours, match="role approver"):
        answers.say("r1", Person("eve", "eve", "ops1"), "go")
    answers.say("r1", BEN, "go")
    with pytest.raises(NotYours, match="already"):
        answers.say("r1", BEN, "go")
    with pytest.raises(NotYours, match="already"):
        answers.say("r1", Person("carla", "ben", "ops1"), "go")
    assert one.resume("r1", ANNA).how == "waiting"
    answers.say("r1", CARLA, "go")
    stopped = one.resume("r1", ANNA)
    assert (stopped.how, stopped.state.outcome) == ("ended", "done")


def test_where_accounts_are_shared_the_name_counts(tmp_path):
    one = driver(tmp_path)
    begin(one, APPROVAL.replace("roles:", "accounts: shared\nroles:"), person=Person("anna", "root", "ops1"))
    answers = Answers(one.records)
    with pytest.raises(NotYours):
        answers.say("r1", Person("ANNA", "root", "ops1"), "go")
    answers.say("r1", Person("ben", "root", "ops1"), "go")
    answers.say("r1", Person("carla", "root", "ops1"), "go")
    assert one.resume("r1", Person("anna", "root", "ops1")).how == "ended"


def test_who_resumes_asks_too(asked):
    one, answers = asked
    one.records.clock.moment += dt.timedelta(hours=1)
    assert one.resume("r1", BEN).how == "stopped"
    assert one.resume("r1", BEN).how == "waiting"
    for person in (ANNA, BEN):
        with pytest.raises(NotYours, match="asked for this"):
            answers.say("r1", person, "go")


def test_too_late_is_too_late(asked):
    one, answers = asked
    answers.say("r1", BEN, "go")
    one.records.clock.moment += dt.timedelta(minutes=30)
    with pytest.raises(ApprovalLate):
        answers.say("r1", CARLA, "go")
    assert one.records.load("r1").status == "stopped"
    assert "expired" in [event.kind for event in one.records.events("r1")]
    # Asked again, what was approved before counts no more.
    assert one.resume("r1", ANNA).how == "waiting"
    answers.say("r1", CARLA, "go")
    assert one.resume("r1", ANNA).how == "waiting"
    answers.say("r1", DORA, "go")
    assert one.resume("r1", ANNA).how == "ended"


def test_rejected_stops_and_says_by_whom(asked):
    one, answers = asked
    answers.say("r1", BEN, "go", reject=True, note="wrong target")
    stopped = one.resume("r1", ANNA)
    assert stopped.how == "waiting"  # resumed on purpose: it is asked for again
    kinds = [event.kind for event in one.records.events("r1")]
    assert kinds.count("requested") == 2
    assert one.bench.done == []


def test_breaking_the_glass_wants_role_and_reason_and_is_kept(asked):
    one, answers = asked
    with pytest.raises(NotYours, match="reason"):
        answers.say("r1", ANNA, "go", break_glass=True)
    with pytest.raises(NotYours, match="role commander"):
        answers.say("r1", BEN, "go", break_glass=True, note="because")
    answers.say("r1", ANNA, "go", break_glass=True, note="nobody answers, 3 a.m.")
    assert one.resume("r1", ANNA).how == "ended"
    [entry] = [record for record in one.records.journal.entries() if record.kind == "runbook.approved"]
    assert entry.payload["data"]["break_glass"] is True
    assert entry.payload["data"]["note"] == "nobody answers, 3 a.m."


def test_no_glass_where_the_step_has_none(tmp_path):
    one = driver(tmp_path)
    begin(one, APPROVAL.replace("break_glass: commander\n", ""))
    with pytest.raises(NotYours, match="cannot be passed"):
        Answers(one.records).say("r1", ANNA, "go", break_glass=True, note="x")


def test_decisions_and_human_steps_have_their_roles(tmp_path):
    one = driver(tmp_path)
    text = page(
        "id: way\nkind: decision\nask: which\nchoose: {one: a, two: b}\nwho: commander",
        "id: do\nkind: human\ndo: x\nnote: true",
        "id: only\ncommand: [act]\nrepeatable: true\nwhen: {way.choice: two}",
        front="roles: {commander: [anna]}\n",
    )
    begin(one, text)
    answers = Answers(one.records)
    with pytest.raises(NotYours):
        answers.say("r1", BEN, "way", choice="one")
    with pytest.raises(ParameterWrong, match="no choice"):
        answers.say("r1", ANNA, "way", choice="on")
    with pytest.raises(RunOver, match="not at step 'do'"):
        answers.say("r1", ANNA, "do")
    answers.say("r1", ANNA, "way", choice="one")
    assert one.resume("r1", ANNA).next.what == "confirm"
    with pytest.raises(ParameterWrong, match="note"):
        answers.say("r1", BEN, "do")
    answers.say("r1", BEN, "do", note="did it")
    stopped = one.resume("r1", ANNA)
    assert stopped.state.steps["only"].phase == "skipped"
    assert "way.choice is one, not two" in stopped.state.steps["only"].message
    with pytest.raises(RunOver, match="has ended"):
        answers.say("r1", ANNA, "do")
    with pytest.raises(HoldfastError):
        answers.skip("r1", ANNA, "only", "why")
