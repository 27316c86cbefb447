"""A host that dies in the middle of a run is taken over by another. Two hosts: processes with folders of their own, one PostgreSQL."""

import contextlib
import json
import os
import signal
import subprocess

import pytest

from holdfast.journal import Journal
from holdfast.model import SystemClock
from holdfast.runbooks.actions.kept import machine
from holdfast.runbooks.actions.process import marked
from holdfast.runbooks.engine.answers import Answers
from holdfast.runbooks.engine.driver import Driver, Nobody
from holdfast.runbooks.engine.held import Held, shared_seconds
from holdfast.runbooks.engine.record import Records
from holdfast.runbooks.errors import ParameterWrong
from holdfast.state import State
from holdfast.state.process import birth
from tests.cli.running import answer
from tests.runbooks.kit import BEN, Clock, Scripted, begin, page
from tests.runbooks.test_killed import Run, lines, until

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(900)]

LEASE = 30.0


@pytest.fixture
def dsn(pg15, request):
    name = f"state_{os.getpid()}_{abs(hash(request.node.name)) % 10**8}"
    pg15.execute(f"create database {name}")
    yield f"{pg15.dsn} dbname={name}", f"postgresql://postgres@127.0.0.1:{pg15.port}/{name}"
    pg15.execute(f"drop database if exists {name} with (force)")


class Host(Run):
    """One of several: its own home, state folder and journal; the world (``effects``) is common."""

    def __init__(self, name, folder, dsn, text):
        home = folder / name
        home.mkdir()
        super().__init__(folder, text, HOME=str(home), XDG_STATE_HOME=str(home), HOLDFAST_STATE=dsn, HOLDFAST_CACHE=str(home / "cache"))
        self.env["HOLDFAST_RUN_LEASE_S"] = str(LEASE)


@pytest.fixture
def hosts(tmp_path, dsn):
    def made(text):
        return Host("a", tmp_path, dsn[1], text), Host("b", tmp_path, dsn[1], text)

    return made


STEP = "id: a\nprobe: {shell: 'test -e effects'}\nshell: |\n  touch reached\n  until test -e go; do sleep 0.05; done\n  echo x >> effects"
SECOND = "id: b\nshell: echo x >> second\nprobe: {shell: test -e second}"


def ended(run_id):
    """What the dead host's step had started goes with its host."""
    for number in marked(run_id):
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    until(lambda: not marked(run_id), "what the run started ends")


def lease_ends(server, dsn):
    """As if all of its time had passed: whose host it is does not prolong it any more."""
    server.execute("update holdfast.leases set expires = taken", dbname=dsn[1].rpartition("/")[2])


def test_killed_on_one_host_resumed_on_another(tmp_path, hosts, pg15, dsn):
    a, b = hosts(page(STEP, SECOND))
    a.killed_when("reached")
    run = b.id  # the other host knows it at once
    early = answer(b("resume", run))["error"]
    assert early["code"] == "runbook-run-held"
    assert "counts as alive until" in early["hint"]
    ended(run)
    (tmp_path / "go").touch()
    lease_ends(pg15, dsn)
    done = answer(b("resume", run))
    assert done["outcome"] == "done", done
    assert (lines(tmp_path / "effects"), lines(tmp_path / "second")) == (1, 1)
    events = answer(b("history", run))["events"]
    assert [event["kind"] for event in events][:4] == ["begin", "started", "resumed", "probed"]
    assert events[2]["data"]["from"] != events[2]["data"]["host"]
    # The journal of the host that went on holds all of it, and names whose the first events are.
    journal = "".join(path.read_text() for path in (tmp_path / "b").rglob("*.jsonl"))
    assert journal.count('"kind":"runbook.begin"') == 1
    assert '"of":"' in journal
    assert "'holdfast log --verify'" not in journal


def test_what_a_killed_holdfast_left_at_work_is_ended_before_another_host_may_go_on(tmp_path, hosts, pg15, dsn):
    """The host lives on, and so would its step: nobody there says any more that it drives the run, so it is ended in time."""
    a, b = hosts(page(STEP, SECOND))
    a.killed_when("reached")
    run = b.id
    [ended_] = (tmp_path / "a").rglob(f"{run}/*.process")
    until(lambda: not marked(run), "what it left is ended by itself")
    assert json.loads(ended_.with_suffix(".ended").read_text())["why"] == "silent"
    assert not (tmp_path / "effects").exists()
    (tmp_path / "go").touch()
    lease_ends(pg15, dsn)
    assert answer(b("resume", run))["outcome"] == "done"
    assert (lines(tmp_path / "effects"), lines(tmp_path / "second")) == (1, 1)


def test_who_leaves_a_step_at_work_gives_the_run_to_no_other_host_yet(tmp_path, dsn):
    """Interrupted twice, or unable to wait for it: as after a kill, another host may go on when the step was ended in time."""
    clock = SystemClock()
    records = Records(State(tmp_path / "a", clock, dsn[1]), Journal(tmp_path / "a" / "journal", clock), clock)
    step = subprocess.Popen(["sleep", "3600"])
    try:
        born = birth(step.pid)
        known = {"process": step.pid, "born": born, "supervisor": step.pid, "supervisor_born": born}
        for run in ("left", "quiet"):
            with contextlib.suppress(KeyboardInterrupt), Held(records, run):
                if run == "left":
                    record = {"version": 1, "machine": machine(), "until": clock.monotonic() + 60, **known}
                    (records.state.folder / "runbooks" / run / "1.process").write_text(json.dumps(record))
                raise KeyboardInterrupt
        assert records.state.leases.holder("runbook:left") is not None
        assert records.state.leases.holder("runbook:quiet") is None
    finally:
        step.kill()
        step.wait()


def test_what_is_answered_on_another_host_is_in_the_journal_of_the_one_that_drives(tmp_path, dsn):
    def of(name):
        clock = Clock()
        return Records(State(tmp_path / name, clock, dsn[1]), Journal(tmp_path / name / "journal", clock), clock)

    here, there = of("a"), of("b")

    class Elsewhere(Nobody):
        def ask(self, state, asked):
            Answers(there).say(state.id, BEN, asked.step, note="done")
            return "again"

    text = page("id: one\ncommand: [do]\nprobe: {command: [look]}", "id: two\nkind: human\ndo: this")
    assert begin(Driver(here, Scripted(), Elsewhere()), text).state.outcome == "done"
    entries = [entry for entry in here.journal.entries() if entry.kind.startswith("runbook.")]
    assert [entry.payload["n"] for entry in entries] == list(range(len(entries)))
    confirmed = next(entry for entry in entries if entry.kind == "runbook.confirmed")
    assert confirmed.payload["of"] == there.state.database.host


def test_a_host_that_stood_still_does_nothing_more_when_it_wakes(tmp_path, hosts, pg15, dsn):
    """Stopped in the middle of a step, and its step with it; another takes over; then the first wakes."""
    a, b = hosts(page(STEP, SECOND))
    process = a.start()
    until(lambda: (tmp_path / "reached").exists() or process.poll() is not None, "the step is at work")
    run = b.id
    frozen = [*marked(run), process.pid]
    for number in frozen:
        os.kill(number, signal.SIGSTOP)
    assert answer(b("resume", run))["error"]["code"] == "runbook-run-held"
    lease_ends(pg15, dsn)
    assert answer(b("resume", run))["error"]["code"] == "runbook-step-still-runs"
    # On one machine the frozen step is seen, on two it would not be: it is ended here as its host would end.
    for number in frozen[:-1]:
        os.kill(number, signal.SIGKILL)
        os.kill(number, signal.SIGCONT)
    until(lambda: not [number for number in marked(run) if number != process.pid], "the frozen step ends")
    (tmp_path / "go").touch()
    assert answer(b("resume", run))["outcome"] == "done"
    (tmp_path / "effects").unlink()  # whatever it did now would be seen
    (tmp_path / "second").unlink()
    os.kill(process.pid, signal.SIGCONT)
    process.wait(300)
    said = (tmp_path / "said").read_text()
    assert process.returncode != 0
    assert "runbook-run-lost" in said, said
    assert not (tmp_path / "effects").exists()
    assert not (tmp_path / "second").exists()
    assert [event["kind"] for event in answer(b("history", run))["events"]].count("ended") == 1


def test_a_living_host_keeps_its_run_as_long_as_it_works(tmp_path, hosts, pg15, dsn):
    """However long a step takes: the lease is prolonged beside it."""
    a, b = hosts(page(STEP))
    process = a.start()
    until(lambda: (tmp_path / "reached").exists() or process.poll() is not None, "the step is at work")
    seen = set()

    def prolonged():
        seen.update(pg15.execute("select expires from holdfast.leases", dbname=dsn[1].rpartition("/")[2]))
        return len(seen) > 3

    until(prolonged, "the lease was prolonged again and again")
    refused = answer(b("resume", b.id))["error"]
    assert refused["code"] == "runbook-run-held"
    assert refused["details"]["until"]
    (tmp_path / "go").touch()
    assert process.wait(300) == 0
    assert lines(tmp_path / "effects") == 1


def test_a_host_that_cannot_reach_the_state_stops_by_itself(tmp_path, hosts, pg15, dsn):
    """Before another may go on: what it had begun is ended."""
    a, _b = hosts(page(STEP, SECOND))
    process = a.start()
    until(lambda: (tmp_path / "reached").exists() or process.poll() is not None, "the step is at work")
    name = dsn[1].rpartition("/")[2]
    pg15.execute(f"alter database {name} with allow_connections false")
    pg15.execute(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'")
    process.wait(300)
    said = (tmp_path / "said").read_text()
    assert process.returncode != 0
    assert "runbook-run-lost" in said or "state-unusable" in said, said
    (tmp_path / "go").touch()
    assert not (tmp_path / "effects").exists()


def test_an_answer_from_another_host_counts(tmp_path, hosts):
    a, b = hosts(page("id: h\nkind: human\ndo: this", SECOND))
    assert a("run", "./r.md").returncode == 1
    assert b("approve", b.id, "h").returncode == 0
    assert answer(a("resume", a.id))["outcome"] == "done"
    assert lines(tmp_path / "second") == 1


@pytest.mark.parametrize("given", ["1m", "5", "nan", "-60", "1e99"])
def test_a_lease_that_could_not_fence_is_refused(given):
    with pytest.raises(ParameterWrong, match="HOLDFAST_RUN_LEASE_S"):
        shared_seconds(given)
    assert shared_seconds("45") == 45
    assert shared_seconds(None) == 60
