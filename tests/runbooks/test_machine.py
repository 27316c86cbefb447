"""The machine of a run, whatever is killed whenever: no changing step runs twice unless its probe or a person says that it did not happen;
what ran is undone in reverse, once, and nothing else.
"""

import datetime as dt
import types
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.runbooks.actions.contract import Result
from holdfast.runbooks.engine.answers import answer
from holdfast.runbooks.engine.decide import Next
from holdfast.runbooks.engine.driver import Driver
from holdfast.runbooks.engine.people import Person
from holdfast.runbooks.engine.state import Event, fold
from tests.runbooks.kit import ANNA, BEN, Clock, begin, page


class Killed(BaseException):
    """The process is gone, here."""


class Faults:
    """At each point where a process can die: 0 goes on, 1 dies before, 2 dies after, 3 fails after having an effect, 4 fails without."""

    def __init__(self, script):
        self.script = list(script)

    def next(self):
        return self.script.pop(0) if self.script else 0


class Memory:
    """Stands for the records: what was appended stays, as it would on disk; a kill comes before or after."""

    def __init__(self, faults):
        self.faults = faults
        self.kept = []
        self.clock = Clock()
        leases = types.SimpleNamespace(acquire=lambda *_: object(), release=lambda _: None)
        database = types.SimpleNamespace(shared=False, host="ops1")
        runbooks = types.SimpleNamespace(host="ops1", hosts=lambda _: {})
        self.state = types.SimpleNamespace(leases=leases, folder=Path("/nonexistent"), database=database, runbooks=runbooks)
        self.held = {}

    def append(self, _run, n, kind, **data):
        fault = self.faults.next()
        if fault == 1:
            raise Killed
        if len(self.kept) != n:
            return False
        self.kept.append(Event(n, kind, self.clock.now(), data))
        self.clock.moment += dt.timedelta(seconds=1)
        if fault == 2:
            raise Killed
        return True

    def load(self, run):
        return fold(run, self.kept)

    def reconciled(self, _run):
        return list(self.kept)

    def note(self, *_):
        pass


class World:
    """What actions did. Doing what is there already is what must never happen."""

    def __init__(self, faults):
        self.faults = faults
        self.there = {}
        self.begun = []
        self.undone = []
        self.looks = 0

    def call(self, state, step, doing, *, own=None, began=None, **_):
        word = doing["action"]["spec"]["argv"][0]
        if word == "look":
            self.looks += 1
            return Result("ok" if step in self.there else "failed", step in self.there, "")
        if word == "green":
            self.looks += 1
            return Result("ok", self.looks % 3 == 0, "")
        fault = self.faults.next()
        if fault == 1:
            raise Killed
        if fault == 4:
            return Result("failed", None, "failed, and did nothing")
        if word == "do":
            assert step not in self.there, f"{step} ran twice"
            self.there[step] = True
            self.begun.append(step)
        elif word == "undo":
            assert step in self.there, f"{step} is undone, and is not there"
            del self.there[step]
            self.undone.append(step)
        if fault == 2:
            raise Killed
        if fault == 3:
            return Result("failed", None, "did it, and failed")
        return Result("ok", True, "")


class Honest:
    """A person who looks at the world before saying anything."""

    def __init__(self, world, memory):
        self.world = world
        self.memory = memory

    def told(self, *_):
        pass

    def ask(self, state, asked):
        there = asked.step in self.world.there
        given = {"note": "n", "choice": "one", "happened": there if asked.what == "settle" else not there}
        if asked.what == "confirm" and not there:
            self.world.there[asked.step] = True
            self.world.begun.append(asked.step)
        if asked.what == "undo_confirm" and there:
            del self.world.there[asked.step]
            self.world.undone.append(asked.step)
        return answer(state, asked, BEN, given, self.memory.clock.now())


def step(kind, number, probe, undo, retry):
    lines = [f"id: s{number}"]
    if kind == "automatic":
        lines.append("command: [do]")
        lines += ["probe: {command: [look]}"] if probe else []
        lines += ["retry: {times: 2, delay: 1s}"] if retry and probe else []
        lines += ["undo: {command: [undo]}"] if undo else []
    elif kind == "repeatable":
        lines += ["command: [again]", "repeatable: true", "retry: {times: 1}"]
    elif kind == "human":
        lines += ["kind: human", "do: this"] + (["undo: {do: take it back}"] if undo else [])
    elif kind == "decision":
        lines += ["kind: decision", "ask: which", "choose: {one: a, two: b}"]
    elif kind == "approval":
        lines += ["kind: approval", "ask: may I", "by: approver"]
    else:
        lines += ["kind: wait", "until: {command: [green]}", "every: 1s", "timeout: 1h"]
    return "\n".join(lines)


KIND = st.sampled_from(["automatic", "automatic", "automatic", "repeatable", "human", "decision", "approval", "wait"])
STEPS = st.lists(st.tuples(KIND, st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=6)
FAULTS = st.lists(st.sampled_from([0, 0, 0, 0, 1, 2, 3, 4]), max_size=60)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, script=FAULTS, abort_at=st.none() | st.integers(1, 25))
def test_no_interleaving_of_kills_and_resumes_does_harm(steps, script, abort_at):
    _harmless(steps, script, abort_at)


@pytest.mark.soak
@settings(max_examples=20_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, script=FAULTS, abort_at=st.none() | st.integers(1, 25))
def test_no_interleaving_does_harm_at_length(steps, script, abort_at):
    _harmless(steps, script, abort_at)


def _harmless(steps, script, abort_at):
    faults = Faults(script)
    memory, world = Memory(faults), World(faults)
    text = page(
        *(step(kind, number, probe, undo, retry) for number, (kind, probe, undo, retry) in enumerate(steps)),
        front="roles: {approver: [ben]}\n",
    )
    driver = Driver(memory, world, Honest(world, memory))
    aborted = False
    for tries in range(200):
        try:
            if not memory.kept:
                stopped = begin(driver, text)
            else:
                if abort_at is not None and not aborted and tries >= abort_at % 7 and memory.load("r1").status != "ended":
                    memory.append("r1", len(memory.kept), "aborted", by=ANNA.to_json(), reason="x", undo=True)
                    aborted = True
                stopped = driver.resume("r1", ANNA)
        except Killed:
            continue
        if stopped.how == "ended":
            break
    else:
        raise AssertionError(f"never ended: {memory.load('r1').steps}")
    state = memory.load("r1")
    by_id = {spec["id"]: spec for spec in state.document["steps"]}
    changing = [name for name, spec in by_id.items() if spec["kind"] == "human" or (spec["kind"] == "automatic" and not spec["repeatable"])]
    if state.outcome == "done":
        assert all(name in world.there for name in changing)
        assert world.begun == [name for name in by_id if name in changing]
        assert world.undone == []
    else:
        undoable = [name for name in world.begun if by_id[name].get("undo")]
        assert not any(name in world.there for name in undoable)
        assert world.undone == undoable[::-1]
    assert [event.n for event in memory.kept] == list(range(len(memory.kept)))


def test_a_machine_that_runs_what_is_uncertain_again_is_caught(monkeypatch):
    """Killed after the effect and before it is written down: begin, started, the effect."""
    script = [0, 0, 2]
    _harmless([("automatic", True, False, False)], list(script), None)
    monkeypatch.setattr("holdfast.runbooks.engine.decide._uncertain", lambda _spec, step: Next("start", step.id))
    with pytest.raises(AssertionError, match="ran twice"):
        _harmless([("automatic", True, False, False)], list(script), None)


def test_a_machine_that_undoes_what_did_not_run_is_caught(monkeypatch):
    """Killed before the effect, then aborted: a machine that believes the step to be done undoes nothing that is there."""
    steps = [("automatic", True, True, False)]
    _harmless(steps, [0, 0, 1], 7)
    monkeypatch.setattr("holdfast.runbooks.engine.decide._undoing", lambda state: Next("undo", next(iter(state.steps))))
    with pytest.raises(AssertionError, match="is not there"):
        _harmless(steps, [0, 0, 1], 7)


def test_the_same_events_give_the_same_state_whenever_they_are_read():
    memory, world = Memory(Faults([])), World(Faults([]))
    driver = Driver(memory, world, Honest(world, memory))
    begin(driver, page("id: a\ncommand: [do]\nprobe: {command: [look]}", "id: b\nkind: human\ndo: x"))
    assert fold("r1", memory.kept) == fold("r1", list(memory.kept))
    assert isinstance(fold("r1", memory.kept).by, Person)
