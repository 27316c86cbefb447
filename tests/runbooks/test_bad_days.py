"""Bad days of a run by the real program: two people at one run, a step that hangs, a page that changes while it is followed."""

import json

from holdfast.runbooks.actions.process import marked
from tests.cli.running import answer
from tests.runbooks.kit import page
from tests.runbooks.test_killed import PATIENCE, Run, lines, until

HELD = "id: a\nprobe: {shell: 'test -e effects'}\nshell: |\n  touch reached\n  until test -e go; do sleep 0.05; done\n  echo x >> effects"


def test_two_people_resume_one_run_at_the_same_time(tmp_path):
    """One drives; the other is told who does. What the step does happens once."""
    run = Run(tmp_path, page("id: h\nkind: human\ndo: this", HELD))
    assert run("run", "./r.md", "--as", "anna").returncode == 1
    number = run.id
    assert run("approve", number, "h", "--as", "anna").returncode == 0
    both = [run.start("runbook", "resume", number, "--json", "--as", who) for who in ("anna", "ben")]
    try:
        until(lambda: any(one.poll() is not None for one in both), "one of them is sent away")
        [refused] = [one for one in both if one.poll() is not None]
        [driving] = [one for one in both if one is not refused]
        assert refused.returncode == 4
        until((tmp_path / "reached").exists, "the other one is at work")
        assert driving.poll() is None
        again = answer(run("resume", number, "--as", "carla"))["error"]
        assert (again["code"], again["details"]["process"]) == ("runbook-run-held", driving.pid)
        (tmp_path / "go").touch()
        assert driving.wait(PATIENCE) == 0
    finally:
        for one in both:
            one.kill()
            one.wait()
    assert lines(tmp_path / "effects") == 1
    events = answer(run("history", number))["events"]
    assert [event["kind"] for event in events].count("resumed") == 1


def test_a_step_that_hangs_is_ended_and_only_done_again_when_it_did_not_happen(tmp_path):
    run = Run(tmp_path, page(f"{HELD}\ntimeout: 5s"))
    stopped = answer(run("run", "./r.md"))
    assert (stopped["status"], stopped["why"]) == ("stopped", "it did not end within 5 s and was stopped")
    number = run.id
    assert not marked(number), "something of it still runs"
    assert lines(tmp_path / "effects") == 0
    (tmp_path / "go").touch()
    assert run.resume()["outcome"] == "done"
    assert lines(tmp_path / "effects") == 1


def test_a_page_that_changes_while_it_is_followed_changes_the_next_run_only(tmp_path):
    """Its parameters, roles and steps are those of the snapshot, to the undo; the report names the hash of what was followed."""
    asked = "parameters: {word: {default: old}}\n"
    own = 'id: a\nshell: echo "$PARAM_WORD" >> effects\nprobe: {shell: test -e effects}\nundo: {shell: mv effects undone}'
    run = Run(tmp_path, page("id: h\nkind: human\ndo: this", own, "id: i\nkind: human\ndo: that", front=asked))
    assert run("run", "./r.md").returncode == 1
    number = run.id
    before = answer(run("history", number))["hash"]
    (tmp_path / "r.md").write_text(page("id: z\nshell: rm -f effects undone\nrepeatable: true", front="parameters: {other: {}}\n"))
    run("approve", number, "h")
    assert answer(run("resume", number))["waiting_for"]["step"] == "i"
    (tmp_path / "r.md").unlink()
    done = answer(run("abort", number, "--reason", "wrong"))
    assert done["outcome"] == "aborted"
    assert (tmp_path / "undone").read_text() == "old\n"
    assert answer(run("history", number))["hash"] == before
    begun = json.loads(run("history", number).stdout)["events"][0]["data"]
    assert [step["id"] for step in begun["snapshot"]["steps"]] == ["h", "a", "i"]
