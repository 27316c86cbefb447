"""The state of a run, folded from its events. Pure: the same events give the same state on every host, at any time.

Phases of a step: ``pending``; ``running`` (begun, its end not written down); ``uncertain`` (who ran it is gone: nobody knows whether it
happened); ``again`` (it did not happen: it may run); ``failed``; ``requested`` and ``expired`` (approvals); ``done``; ``skipped``.
Of its undo: '' (none yet), ``running``, ``uncertain``, ``again``, ``failed``, ``undone``, ``skipped``.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.runbooks.engine.people import Person
from holdfast.runbooks.errors import RunRecordBroken

SETTLED = ("done", "skipped")


@dataclass(frozen=True, slots=True)
class Event:
    """``n`` counts a run's events from 0 without gaps; ``data`` is JSON-ready and holds no secret."""

    n: int
    kind: str
    at: dt.datetime
    data: Mapping[str, Any]


@dataclass
class StepState:
    """``order``: when it first did something, among the steps; ``attempts`` ever, ``tries`` since a person last said to go on; ``event``:
    the number of the event that began it (or its undo) the last time.
    """

    id: str
    phase: str = "pending"
    order: int | None = None
    attempts: int = 0
    event: int = 0
    tries: int = 0
    answer: str = ""
    message: str = ""
    outputs: dict[str, Any] = field(default_factory=dict)
    approvals: list[Person] = field(default_factory=list)
    asked_by: Person | None = None
    expires: dt.datetime | None = None
    undo: str = ""
    undo_answer: str = ""
    note: dict[str, Any] = field(default_factory=dict)


@dataclass
class RunState:
    """``status``: running, stopped (a person has to decide), aborting, ended."""

    id: str
    document: Mapping[str, Any]
    hash: str
    parameters: Mapping[str, Any]
    by: Person
    begun: dt.datetime
    steps: dict[str, StepState]
    status: str = "running"
    outcome: str | None = None
    why: str = ""
    undo: bool = True
    n: int = 0
    ended: dt.datetime | None = None

    def spec(self, step: str) -> Mapping[str, Any]:
        """The step in the snapshot."""
        return next(each for each in self.document["steps"] if each["id"] == step)

    def values(self) -> dict[str, Any]:
        """By reference; secrets are not among them."""
        secret = {name for name, shape in self.document["parameters"].items() if shape["type"] == "secret"}
        found = {name: value for name, value in self.parameters.items() if name not in secret}
        return found | {f"{step.id}.{name}": value for step in self.steps.values() for name, value in step.outputs.items()}


def fold(run: str, events: Iterable[Event]) -> RunState:
    """Raises RunRecordBroken for events that are not a run's, or lack one."""
    state: RunState | None = None
    for expected, event in enumerate(events):
        if event.n != expected:
            raise RunRecordBroken(
                f"The record of run {run} has event {event.n} where {expected} belongs.",
                hint="See: holdfast log. Nothing was run.",
                run=run,
            )
        if state is None:
            if event.kind != "begin":
                raise RunRecordBroken(f"The record of run {run} begins with '{event.kind}'.", hint="See: holdfast log", run=run)
            state = _begun(run, event)
        else:
            _apply(state, event)
        state.n = expected + 1
    if state is None:
        raise RunRecordBroken(f"The record of run {run} is empty.", hint="See: holdfast log", run=run)
    return state


def _begun(run: str, event: Event) -> RunState:
    data = event.data
    steps = {step["id"]: StepState(step["id"]) for step in data["snapshot"]["steps"]}
    return RunState(run, data["snapshot"], data["hash"], data["parameters"], Person.of(data["by"]), event.at, steps)


def _apply(state: RunState, event: Event) -> None:
    data = event.data
    step = state.steps.get(data.get("step", ""))
    handler = _RUN.get(event.kind)
    if handler is not None:
        handler(state, event)
        return
    change = _STEP.get(event.kind)
    if change is None or step is None:
        raise RunRecordBroken(
            f"Event {event.n} of run {state.id} is '{event.kind}' of step '{data.get('step')}', which this version does not know.",
            hint="Was the run begun by a newer Holdfast? Go on with that one.",
            run=state.id,
        )
    if state.status == "stopped":
        state.status = "running"
    change(state, step, event)


def _resumed(state: RunState, event: Event) -> None:
    """Whoever drove it is gone: what was begun and not ended is uncertain (but what is ``attached``: its own process is waited for), what
    had failed may be tried anew.
    """
    if state.status == "stopped":
        state.status = "running"
    for step in state.steps.values():
        step.tries = 0
        if step.id == event.data.get("attached") and "running" in (step.phase, step.undo):
            continue
        if step.phase in ("running", "failed", "uncertain"):
            kind = state.spec(step.id)["kind"]
            step.phase = "uncertain" if kind in ("automatic", "wait") else "pending"
            step.answer = ""
        elif step.phase == "expired":
            step.phase = "pending"
        if step.undo in ("running", "failed", "uncertain"):
            step.undo, step.undo_answer = "uncertain", ""


def _taken(_state: RunState, _event: Event) -> None:
    """Another host has it now; what follows is a resume."""


def _stopped(state: RunState, event: Event) -> None:
    if state.status == "running":
        state.status = "stopped"
    state.why = event.data["why"]


def _aborted(state: RunState, event: Event) -> None:
    state.status, state.why, state.undo = "aborting", event.data["reason"], event.data["undo"]


def _ended(state: RunState, event: Event) -> None:
    state.status, state.outcome, state.ended = "ended", event.data["outcome"], event.at


def _ordered(state: RunState, step: StepState) -> None:
    if step.order is None:
        step.order = 1 + max((each.order for each in state.steps.values() if each.order is not None), default=0)


def _started(state: RunState, step: StepState, event: Event) -> None:
    _ordered(state, step)
    step.phase, step.answer = "running", ""
    step.attempts, step.event = event.data["attempt"], event.n
    step.tries += 1


def _noted(_state: RunState, step: StepState, event: Event) -> None:
    step.note = {**step.note, **event.data["note"]}


def _finished(_state: RunState, step: StepState, event: Event) -> None:
    step.message = event.data.get("message", "")
    step.answer = ""
    if event.data["outcome"] == "ok":
        step.phase = "done"
        step.outputs = dict(event.data.get("outputs", {}))
    else:
        step.phase = "uncertain" if event.data["outcome"] == "interrupted" else "failed"


def _probed(_state: RunState, step: StepState, event: Event) -> None:
    step.answer = event.data["answer"]
    if step.answer == "yes":
        step.phase = "done"
        step.outputs = {**step.outputs, **event.data.get("outputs", {})}
    elif step.answer == "no":
        step.phase = "again"


def _settled(_state: RunState, step: StepState, event: Event) -> None:
    step.phase = "done" if event.data["happened"] else "again"
    step.outputs = {**step.outputs, **event.data.get("outputs", {})}


def _given(_state: RunState, step: StepState, event: Event) -> None:
    step.outputs = {**step.outputs, **event.data["outputs"]}


def _confirmed(state: RunState, step: StepState, _event: Event) -> None:
    _ordered(state, step)
    step.phase = "done"


def _chosen(state: RunState, step: StepState, event: Event) -> None:
    _ordered(state, step)
    step.phase, step.outputs = "done", {"choice": event.data["choice"]}


def _requested(_state: RunState, step: StepState, event: Event) -> None:
    step.phase, step.approvals = "requested", []
    step.asked_by = Person.of(event.data["by"])
    step.expires = dt.datetime.fromisoformat(event.data["expires"])


def _approved(state: RunState, step: StepState, event: Event) -> None:
    step.approvals.append(Person.of(event.data["by"]))
    if event.data.get("break_glass") or len(step.approvals) >= state.spec(step.id)["quorum"]:
        _ordered(state, step)
        step.phase = "done"


def _rejected(_state: RunState, step: StepState, event: Event) -> None:
    step.phase, step.message = "failed", f"rejected by {event.data['by']['name']}: {event.data['note']}"


def _expired(_state: RunState, step: StepState, _event: Event) -> None:
    step.phase = "expired"


def _skipped(_state: RunState, step: StepState, event: Event) -> None:
    step.phase, step.message = "skipped", event.data["reason"]


def _undo_started(_state: RunState, step: StepState, event: Event) -> None:
    step.undo, step.undo_answer, step.event = "running", "", event.n


def _undo_finished(_state: RunState, step: StepState, event: Event) -> None:
    step.message = event.data.get("message", "")
    step.undo = {"ok": "undone", "interrupted": "uncertain"}.get(event.data["outcome"], "failed")


def _undo_probed(_state: RunState, step: StepState, event: Event) -> None:
    """The probe asks for the step, not for its undo: what is no longer there was undone."""
    step.undo_answer = event.data["answer"]
    step.undo = {"yes": "again", "no": "undone"}.get(step.undo_answer, step.undo)


def _undo_settled(_state: RunState, step: StepState, event: Event) -> None:
    step.undo = "undone" if event.data["undone"] else "again"


def _undo_skipped(_state: RunState, step: StepState, event: Event) -> None:
    step.undo, step.message = "skipped", event.data["reason"]


_RUN = {"resumed": _resumed, "taken": _taken, "stopped": _stopped, "aborted": _aborted, "ended": _ended}
_STEP = {
    "started": _started,
    "noted": _noted,
    "finished": _finished,
    "probed": _probed,
    "settled": _settled,
    "given": _given,
    "confirmed": _confirmed,
    "chosen": _chosen,
    "requested": _requested,
    "approved": _approved,
    "rejected": _rejected,
    "expired": _expired,
    "skipped": _skipped,
    "undo_started": _undo_started,
    "undo_finished": _undo_finished,
    "undo_probed": _undo_probed,
    "undo_settled": _undo_settled,
    "undo_skipped": _undo_skipped,
}
KINDS = ("begin", *_RUN, *_STEP)
