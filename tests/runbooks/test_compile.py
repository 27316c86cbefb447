"""From Markdown to a snapshot: every error names its line and the nearest right word."""

import json
from pathlib import Path

import pytest

from holdfast.runbooks.errors import RunbookInvalid
from holdfast.runbooks.format.compile import compile_text, examine
from holdfast.runbooks.format.library import Library
from holdfast.runbooks.format.lint import FACTS, SECTIONS, Promised, against_plan, coverage, same_names, template
from holdfast.runbooks.format.page import page as paper
from holdfast.runbooks.format.template import new_runbook
from tests.runbooks.kit import page

GOLDEN = Path(__file__).parent / "golden"

EXAMPLE = page(
    """
    id: declare
    kind: human
    do: Tell everyone about ${ticket}.
    who: commander
    """,
    """
    id: restore
    title: Restore it
    holdfast: [restore, orders-db, --into, "${target}"]
    probe: {command: [test, -d, "${target}"], timeout: 5s}
    undo: {shell: 'rm -r -- "$PARAM_TARGET"'}
    outputs: {point: point.id}
    expect: {ok: true}
    retry: {times: 2, delay: 5s}
    timeout: 2h
    """,
    """
    id: way
    kind: decision
    ask: Which?
    choose: {one: this, other: that}
    """,
    """
    id: count
    when: {way.choice: [one]}
    sql: {dsn: {env: ORDERS_DSN}, query: "select %(point)s", parameters: {point: "${restore.point}"}, password: "${pw}"}
    repeatable: true
    """,
    """
    id: agree
    kind: approval
    ask: Go on?
    by: approver
    quorum: 2
    expires: 30m
    break_glass: commander
    """,
    """
    id: healthy
    kind: wait
    until: {http: {url: "http://localhost/${ticket}"}, expect: {state: green}}
    every: 5s
    timeout: 10m
    """,
    name="restore-orders",
    front="""\
    systems: orders-db
    rto: 2h
    parameters:
      ticket: {type: text, pattern: "[A-Z]+-[0-9]+"}
      target: {type: path}
      pw: {type: secret, from: {env: PW}}
    roles: {commander: [anna], approver: [ben, carla]}
    needs: {tools: psql, access: [{text: the server, check: {command: ["true"]}}], information: the ticket}
    """,
)


def test_a_snapshot_is_as_it_was():
    """What runs have stored: a change here is a change of the format."""
    snapshot = compile_text(EXAMPLE, "test.md")
    assert {"document": snapshot.document, "hash": snapshot.hash} == json.loads((GOLDEN / "snapshot.json").read_text())


def test_the_page_for_paper_is_as_it_was():
    assert paper(compile_text(EXAMPLE, "test.md")) == (GOLDEN / "page.md").read_text()


def said(text: str) -> list[str]:
    _, problems = examine(text, "test.md")
    return [str(problem) for problem in problems if problem.severity == "error"]


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("title: A test", "titel: A test", "test.md:3:1: error: unknown key 'titel'; did you mean 'title'?"),
        ("kind: human", "kind: humn", "'humn' is no kind of step; did you mean 'human'?"),
        ("holdfast: [", "holdfas: [", "unknown key 'holdfas'; did you mean 'holdfast'?"),
        ("probe: {command", "probe: {comand", "did you mean 'command'?"),
        ("${restore.point}", "${restore.pont}", "nothing before this step gives 'restore.pont'; did you mean 'restore.point'?"),
        ("way.choice", "way.chose", "nothing before this step gives 'way.chose'; did you mean 'way.choice'?"),
        ("by: approver", "by: aprover", "the runbook has no role 'aprover'; did you mean 'approver'?"),
        ("quorum: 2", "quorum: 3", "3 approvals cannot come of 2 people"),
        ("id: healthy", "id: way", "two steps are called 'way'"),
        ("timeout: 10m", "timeout: 10", "10 is no duration: the unit is missing"),
        ("    until", "    untill", "error"),
        ("{state: green}", "{}", "expect: names nothing, so it would always pass"),
        ('probe: {command: [test, -d, "${target}"], timeout: 5s}\n', "", "is not tried again blindly"),
        ("choose: {one: this, other: that}", "choose: {one: this}", "a decision needs two choices at least"),
        ("point: point.id", "point: '!'", "'!' is no path"),
        ("type: secret, from: {env: PW}", "type: secret, default: x", "the secret pw has a default"),
        ('pattern: "[A-Z]+-[0-9]+"', "pattern: '['", "no regular expression"),
        ("needs: {tools", "needs: {tool", "did you mean 'tools'?"),
        ("undo: {shell", "undo: {shel", "did you mean 'shell'?"),
        ("---\n# A test", "--\n# A test", "the front matter has no end"),
        ("every: 5s", "every: 5s\nevery: 6s", "'every' is written twice"),
    ],
)  # fmt: skip
def test_errors_say_where_and_what_would_be_right(old, new, wanted):
    assert old in EXAMPLE or old.strip() in EXAMPLE
    text = EXAMPLE.replace(old, new, 1) if old in EXAMPLE else EXAMPLE.replace(old.strip(), new.strip(), 1)
    assert any(wanted in line for line in said(text)), said(text)


def test_the_line_is_the_files_own():
    text = EXAMPLE.replace("quorum: 2", "quorum: two")
    line = text.splitlines().index("quorum: two") + 1
    assert [problem for problem in said(text) if problem.startswith(f"test.md:{line}:")]


def test_blocks_without_an_end_and_of_nearly_the_right_name_are_told():
    assert "has no end" in said(EXAMPLE.rstrip().removesuffix("```"))[0]
    assert "is not run; write ```step" in said(page("id: a\ncommand: [x]") + "\n```steps\nid: b\n```\n")[0]


def test_a_page_without_steps_or_front_matter_is_no_runbook():
    assert "has no step" in said("---\nrunbook: a\ntitle: b\n---\n")[0]
    assert "begins with front matter" in said("# Just prose\n")[0]
    with pytest.raises(RunbookInvalid) as caught:
        compile_text("# Just prose\n", "x.md")
    assert caught.value.details["problems"][0]["line"] == 1


def test_blocks_in_lists_and_other_fences_are_read_right():
    text = (
        page("id: a\ncommand: [x]\nrepeatable: true")
        + "\n1. A list\n\n   ```step\n   id: b\n   command: [y]\n   ```\n\n```sh\n```step\n```\n"
    )
    snapshot = compile_text(text, "x.md")
    assert [step["id"] for step in snapshot.steps] == ["a", "b"]


def test_the_hash_follows_every_byte_of_the_file():
    one = compile_text(EXAMPLE, "a.md").hash
    assert compile_text(EXAMPLE, "b.md").hash == one
    assert compile_text(EXAMPLE + "\nA word more.\n", "a.md").hash != one


def test_a_new_runbook_has_all_of_the_template_and_compiles():
    text = new_runbook("restore-orders", system="orders-db")
    snapshot, problems = examine(text, "x.md")
    assert snapshot is not None
    assert problems == []
    assert template(snapshot, "x.md") == []
    assert {step["kind"] for step in snapshot.steps} == {"automatic", "human", "decision", "approval", "wait"}


def test_each_section_and_fact_of_the_template_is_missed():
    snapshot = compile_text(page("id: a\ncommand: [x]"), "x.md")
    assert len(template(snapshot, "x.md")) == len(SECTIONS) + len(FACTS)


def test_every_system_has_a_runbook_or_is_named(tmp_path):
    import datetime as dt

    (tmp_path / "a.md").write_text(page("id: a\ncommand: [x]", name="a", front="systems: [one, tow]\nrto: 2h\n"))
    (tmp_path / "broken.md").write_text("---\nrunbook: broken\nsystems: [two]\n---\n")
    (tmp_path / "readme.md").write_text("# No runbook\n")
    found = Library(tmp_path).all()
    systems = [Promised("one", dt.timedelta(hours=1)), Promised("two", None)]
    assert [each.name for each in found] == ["a", "broken"]
    assert coverage(systems, found).uncovered == ["two"]
    problems = [str(problem) for problem in against_plan(found[0].snapshot, "a.md", systems)]
    assert "the plan has no system 'tow'; did you mean 'two'?" in problems[1] + problems[0]
    assert any("takes 2h, but one is promised back within 1h" in problem for problem in problems)
    (tmp_path / "b.md").write_text(page("id: a\ncommand: [x]", name="a"))
    assert len(same_names(Library(tmp_path).all())) == 1
