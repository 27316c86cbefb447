"""run_due(): once, whoever asks; a failure keeps nobody else from their turn."""

import contextlib

import pytest

from holdfast.errors import Unreachable
from holdfast.journal import Journal
from holdfast.model import SystemClock
from holdfast.protection.due import Due
from holdfast.protection.recorded import Cancelled, recorded
from holdfast.protection.run_due import run_due
from holdfast.state import State


@pytest.fixture
def state(tmp_path):
    return State(tmp_path / "state", SystemClock())


def item(system="db", verb="backup", blocked=""):
    return Due(system, verb, None, "because", blocked)


def test_each_item_runs_once_and_a_failure_stops_nobody(state):
    ran = []

    def work(due):
        ran.append(due.system)
        if due.system == "bad":
            raise Unreachable("away")
        return {"point": due.system}

    done = run_due(
        [item("bad"), item("a"), item("b", blocked="paused"), item("c", verb="copy")], {"backup": work}, state, still=lambda d: d
    )
    assert [each.outcome for each in done] == ["failed", "ok", "blocked", "blocked"]
    assert ran == ["bad", "a"]
    assert done[0].document()["error"]["message"] == "away"
    assert state.leases.holder("due/backup/bad") is None


def test_what_another_does_or_did_is_not_done_again(state):
    held = state.leases.acquire("due/backup/a", 60)
    assert held is not None
    never = {"backup": lambda due: pytest.fail(f"{due.system} ran")}
    shared = lambda key: contextlib.nullcontext(key != "backup/b")  # noqa: E731
    done = run_due([item("a"), item("b"), item("c")], never, state, still=lambda d: None, shared=shared)
    assert [each.outcome for each in done] == ["taken", "taken", "gone"]


def test_runs_are_in_state_and_journal_whatever_their_end(state, tmp_path):
    journal = Journal(tmp_path / "journal", SystemClock())
    clock = SystemClock()
    with recorded(state, journal, clock, "backup", "db") as work:
        work.add(point="p1")
    with pytest.raises(Unreachable), recorded(state, journal, clock, "backup", "db"):
        raise Unreachable("away")
    with pytest.raises(Cancelled), recorded(state, journal, clock, "verify", "db") as work:  # noqa: PT012 - the request needs the run
        assert state.runs.request_cancel(work.run, "test")
        work.watch().phase("files")
    assert sorted(str(run.outcome) for run in state.runs.recent()) == ["cancelled", "failed", "ok"]
    ends = [record.payload["outcome"] for record in journal.entries() if record.kind.endswith(".end")]
    assert ends == ["ok", "failed", "cancelled"]
