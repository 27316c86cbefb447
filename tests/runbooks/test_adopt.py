"""A run that is taken over from another host's journal: what is written then, and what is refused."""

import json
from pathlib import Path

import pytest

from holdfast.runbooks.actions.contract import Result
from holdfast.runbooks.engine.adopt import adopt, find
from holdfast.runbooks.errors import RunOver, RunRecordBroken, RunUnknown
from tests.runbooks.kit import ANNA, BEN, Scripted, begin, driver, page, records

GOLDEN = Path(__file__).parent / "golden"
TEXT = page("id: one\ncommand: [do]\nprobe: {command: [look]}", "id: two\nkind: human\ndo: this")


class Noting(Scripted):
    """Its actions note what was there before."""

    def call(self, state, step, doing, *, note=None, **more):
        if note is not None:
            note({"replicas": 3})
            note({"seen": state.steps[step].note})
        return super().call(state, step, doing, **more)


def entries(kept):
    return [(record.kind, record.payload) for record in kept.journal.entries()]


@pytest.fixture
def here(tmp_path):
    """The host that is gone, at the human step."""
    one = driver(tmp_path / "here", Noting({("one", "do"): Result("ok", True, "")}))
    begin(one, TEXT)
    return one


def test_the_events_of_a_run_that_was_taken_over_are_as_they_were(tmp_path, here):
    """What the journal holds: a change here is a change of the format."""
    there = driver(tmp_path / "there", Scripted())
    found = find("r", {"chain-a": entries(here.records)})
    assert (found.host, found.chain, found.open) == ("ops1", "chain-a", [])
    state = adopt(there.records, found, BEN)
    assert state.steps["one"].note == {"replicas": 3, "seen": {"replicas": 3}}
    with pytest.raises(RunOver):
        adopt(there.records, found, BEN)
    written = [{"kind": kind, "payload": payload} for kind, payload in entries(there.records) if kind.startswith("runbook.")]
    assert written == json.loads((GOLDEN / "adopted.json").read_text())
    stopped = there.resume("r1", BEN)
    assert (stopped.how, there.bench.done) == ("waiting", [])


def test_what_two_hosts_went_on_with_is_not_taken_over(tmp_path, here):
    there = driver(tmp_path / "there", Scripted())
    adopt(there.records, find("r1", {"a": entries(here.records)}), BEN)
    here.resume("r1", ANNA)
    with pytest.raises(RunRecordBroken) as told:
        find("r1", {"a": entries(here.records), "b": entries(there.records)})
    assert "two hosts went on with it" in str(told.value)


def test_only_what_is_there_and_has_not_ended(tmp_path, here):
    journals = {"a": entries(here.records)}
    for begin_ in ("", "x", "r12"):
        with pytest.raises(RunUnknown):
            find(begin_, journals)
    with pytest.raises(RunRecordBroken):
        find("r1", {"a": [entry for entry in journals["a"] if entry[0] != "runbook.started"]})
    from holdfast.runbooks.engine.answers import Answers

    Answers(here.records).say("r1", BEN, "two", note="done")
    assert here.resume("r1", ANNA).how == "ended"
    with pytest.raises(RunOver):
        adopt(records(tmp_path / "there"), find("r1", {"a": entries(here.records)}), BEN)
