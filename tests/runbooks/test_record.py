"""What is written down: in state and journal, each filled from the other; one driver at a time; the run keeps its snapshot."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.journal import JournalBroken
from holdfast.runbooks.actions.contract import Result
from holdfast.runbooks.engine.answers import Answers
from holdfast.runbooks.engine.driver import Driver
from holdfast.runbooks.errors import RunHeld, RunOver, RunRecordBroken, RunUnknown
from tests.runbooks.kit import ANNA, BEN, Clock, Scripted, begin, driver, page, records

GOLDEN = Path(__file__).parent / "golden"
TEXT = page(
    'id: one\ncommand: [do]\nprobe: {command: [look]}\nundo: {command: [undo, "${one.x}"]}\noutputs: {x: a.b}',
    "id: two\nkind: human\ndo: this",
    "id: three\ncommand: [do]\nprobe: {command: [look]}",
)
GAVE = Result("ok", True, "", document={"a": {"b": "value"}})


def test_the_events_of_a_run_are_as_they_were(tmp_path):
    """What the journal holds: a change here is a change of the format."""
    one = driver(tmp_path, Scripted({("one", "do"): GAVE, ("three", "do"): Result("failed", None, "no")}))
    begin(one, TEXT)
    Answers(one.records).say("r1", BEN, "two", note="done")
    one.resume("r1", ANNA)
    Answers(one.records).abort("r1", ANNA, "enough", undo=True)
    stopped = one.resume("r1", ANNA)
    assert (stopped.how, stopped.state.outcome) == ("ended", "aborted")
    assert one.bench.done == ["one:do", "three:do", "one:undo"]
    entries = [{"kind": e.kind, "payload": e.payload} for e in one.records.journal.entries() if e.kind.startswith("runbook.")]
    assert entries == json.loads((GOLDEN / "events.json").read_text())


def test_a_lost_state_is_filled_from_the_journal(tmp_path):
    one = driver(tmp_path, Scripted({("one", "do"): GAVE}))
    begin(one, TEXT)
    for path in (tmp_path / "state").glob("state.sqlite*"):
        path.unlink()
    again = driver(tmp_path, Scripted())
    assert again.records.find("r") == "r1"
    Answers(again.records).say("r1", BEN, "two")
    stopped = again.resume("r1", ANNA)
    assert (stopped.how, stopped.state.outcome) == ("ended", "done")
    assert again.bench.done == ["three:do"]
    assert again.records.state.runbooks.lines()[0].status == "done"


def test_what_a_run_waits_for_is_told_whoever_notes_it(tmp_path):
    """Somebody lists the runs at the moment at which one begins: it is not in the list yet, and in the journal already."""
    one = driver(tmp_path, Scripted({("one", "do"): GAVE}))
    begin(one, TEXT)
    other = records(tmp_path)
    lines = other.state.runbooks.lines
    other.state.runbooks.lines = lambda **_options: []
    other.refill()
    assert [line.facts["waiting"] for line in lines()] == ["confirm two"]


def test_an_event_that_the_journal_lacks_is_chained_at_the_next_look(tmp_path):
    kept = records(tmp_path)
    one = Driver(kept, Scripted({("one", "do"): GAVE}), driver(tmp_path).watcher)
    begin(one, TEXT)
    n = kept.load("r1").n
    at = kept.clock.now().isoformat(timespec="microseconds")
    kept.state.runbooks.add("r1", n, "confirmed", at, {"step": "two", "by": BEN.to_json(), "note": ""})
    stopped = one.resume("r1", ANNA)
    assert stopped.how == "ended"
    assert [e.payload["n"] for e in kept.journal.entries() if e.kind.startswith("runbook.")] == list(range(stopped.state.n))


def test_a_record_that_was_changed_is_not_followed(tmp_path):
    one = driver(tmp_path, Scripted({("one", "do"): GAVE}))
    begin(one, TEXT)
    with one.records.state.database.writing() as db:
        db.execute("update runbook_events set data = replace(data, 'value', 'other') where kind = 'finished'")
    with pytest.raises(RunRecordBroken, match="differs"):
        one.resume("r1", ANNA)
    with one.records.state.database.writing() as db:
        db.execute("delete from runbook_events where n = 1")
        db.execute("update runbook_events set data = replace(data, 'other', 'value') where kind = 'finished'")
    path = next((tmp_path / "state" / "journal").glob("*.jsonl"))
    path.write_text(path.read_text().replace('"outcome":"ok"', '"outcome":"no"'))
    with pytest.raises(JournalBroken):
        one.resume("r1", ANNA)


def test_a_second_driver_is_refused_by_name(tmp_path):
    """The other is a process of its own: a lease ends with its process."""
    one = driver(tmp_path, Scripted({("one", "do"): GAVE}))
    begin(one, TEXT)
    code = (
        "import sys; from pathlib import Path; from holdfast.state import State; from holdfast.model import SystemClock\n"
        "leases = State(Path(sys.argv[1]), SystemClock()).leases\n"
        "leases.acquire('runbook:r1', 10**9); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "state")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(RunHeld, match=f"process {other.pid}"):
            one.resume("r1", ANNA)
        other.kill()
    other.wait()
    assert one.resume("r1", ANNA).how == "waiting"


def test_skip_abort_and_undo_of_what_ran(tmp_path):
    one = driver(tmp_path, Scripted({("one", "do"): GAVE}))
    begin(one, TEXT)
    answers = Answers(one.records)
    with pytest.raises(RunOver, match="is done"):
        answers.skip("r1", ANNA, "one", "x")
    with pytest.raises(RunOver, match="no step 'on'"):
        answers.skip("r1", ANNA, "on", "x")
    answers.skip("r1", ANNA, "two", "not needed")
    answers.abort("r1", ANNA, "wrong system", undo=True)
    stopped = one.resume("r1", ANNA)
    assert (stopped.how, stopped.state.outcome) == ("ended", "aborted")
    assert one.bench.done == ["one:do", "one:undo"]
    assert one.resume("r1", ANNA).how == "ended"


def test_outputs_that_nobody_saw_are_given_by_a_person(tmp_path):
    text = page(
        "id: one\ncommand: [do]\nprobe: {command: [look]}\noutputs: {x: a.b}", 'id: two\ncommand: [use, "${one.x}"]\nrepeatable: true'
    )
    one = driver(tmp_path, Scripted({("one", "do"): Result("failed", None, "broke")}))
    assert begin(one, text).how == "stopped"
    stopped = one.resume("r1", ANNA)  # the probe says that it happened, and gives no JSON
    assert (stopped.how, stopped.next.what, stopped.next.missing) == ("waiting", "output", ("one.x",))
    Answers(one.records).say("r1", ANNA, "one", outputs={"x": "5"})
    assert one.resume("r1", ANNA).state.outcome == "done"


def test_unknown_runs_are_said(tmp_path):
    kept = records(tmp_path)
    with pytest.raises(RunUnknown):
        kept.find("nothing")
    with pytest.raises(RunUnknown):
        kept.find("")
    with pytest.raises(RunUnknown):
        kept.load("nothing")


def test_ten_thousand_runs_in_the_history(tmp_path):
    """The list reads the newest; what goes on costs no more than before."""
    from holdfast.state import RunbookLine

    one = driver(tmp_path, Scripted({("one", "do"): GAVE}), clock=Clock())
    with one.records.state.database.writing() as db:
        db.executemany(
            "insert into runbook_runs (id, name, status, started, ended, facts) values (?, 'test', 'done', ?, ?, '{}')",
            [(f"old{number:05}", f"2026-01-01T00:00:00.{number:06}+00:00", "2026-01-02") for number in range(10_000)],
        )
    begin(one, TEXT)
    lines = one.records.state.runbooks.lines(limit=5)
    assert lines[0].id == "r1"
    assert isinstance(lines[0], RunbookLine)
    assert [line.id for line in one.records.state.runbooks.lines(active=True)] == ["r1"]
    assert (tmp_path / "state" / "state.sqlite").stat().st_size < 20 << 20
