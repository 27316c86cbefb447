"""What a person says to a run, from any process: approve, confirm, choose, settle, skip, abort. Each is checked against the run as it
is.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from holdfast.plan.errors import did_you_mean
from holdfast.runbooks.engine.decide import Next, decide
from holdfast.runbooks.engine.people import Person, check_approver, check_glass, check_role
from holdfast.runbooks.engine.record import Records
from holdfast.runbooks.engine.state import RunState, StepState, fold
from holdfast.runbooks.errors import ApprovalLate, ParameterWrong, RunOver

WORDS = {
    "confirm": "confirm",
    "choose": "choose",
    "approve": "approve",
    "settle": "say whether it happened",
    "output": "give what it gave",
    "undo_confirm": "confirm its undo",
    "undo_settle": "say whether it was undone",
}


def answer(state: RunState, asked: Next, person: Person, given: Mapping[str, Any], now: dt.datetime) -> tuple[str, dict[str, Any]]:
    """The event for what the run asks. ``given``: ``note``, ``choice``, ``happened``, ``reject``, ``break_glass``, ``outputs``.

    Raises NotYours, ApprovalLate, ParameterWrong. Pure.
    """
    spec, step = state.spec(asked.step), state.steps[asked.step]
    note = str(given.get("note") or "")
    by = {"step": asked.step, "by": person.to_json(), "note": note}
    if asked.what == "confirm":
        check_role(state, spec.get("who"), person, f"confirm {step.id}")
        if spec.get("note") and not note.strip():
            raise ParameterWrong(f"Step {step.id} asks for a note.", hint="Give it with --note 'what was done'.", step=step.id)
        return "confirmed", by
    if asked.what == "choose":
        return "chosen", {**by, "choice": _choice(state, spec, step, person, given.get("choice"))}
    if asked.what == "approve":
        return _approval(state, step, person, given, by, now)
    if asked.what in ("settle", "undo_settle"):
        if given.get("happened") is None:
            how = "--happened or --did-not-happen" if asked.what == "settle" else "--happened (it was undone) or --did-not-happen"
            raise ParameterWrong(f"{asked.text}", hint=f"Look, then say {how}.", step=step.id)
        if asked.what == "undo_settle":
            return "undo_settled", {**by, "undone": bool(given["happened"])}
        return "settled", {**by, "happened": bool(given["happened"]), "outputs": _outputs(spec, given, ())}
    if asked.what == "undo_confirm":
        return "undo_finished", {**by, "outcome": "ok", "message": note}
    return "given", {**by, "outputs": _outputs(spec, given, asked.missing)}


def _choice(state: RunState, spec: Mapping[str, Any], step: StepState, person: Person, choice: Any) -> str:
    check_role(state, spec.get("who"), person, f"decide {step.id}")
    if choice not in spec["choose"]:
        said = f"'{choice}' is no choice of {step.id}" if choice else f"Step {step.id} wants a choice"
        hint = did_you_mean(str(choice), spec["choose"]) if choice else f"--choose {' or '.join(spec['choose'])}"
        raise ParameterWrong(f"{said}.", hint=hint[:1].upper() + hint[1:], step=step.id, choices=list(spec["choose"]))
    return str(choice)


def _approval(
    state: RunState, step: StepState, person: Person, given: Mapping[str, Any], by: dict[str, Any], now: dt.datetime
) -> tuple[str, dict[str, Any]]:
    assert step.expires is not None
    if now >= step.expires:
        raise ApprovalLate(
            f"The time to approve {step.id} ran out at {step.expires.isoformat(timespec='seconds')}.",
            hint=f"Ask again: holdfast runbook resume {state.id}",
            step=step.id,
        )
    if given.get("reject"):
        check_role(state, state.spec(step.id)["by"], person, f"reject {step.id}")
        return "rejected", by
    if given.get("break_glass"):
        check_glass(state, step, person, str(by["note"]))
        return "approved", {**by, "break_glass": True}
    check_approver(state, step, person)
    return "approved", {**by, "break_glass": False}


def _outputs(spec: Mapping[str, Any], given: Mapping[str, Any], missing: tuple[str, ...]) -> dict[str, Any]:
    outputs = dict(given.get("outputs") or {})
    known = spec.get("outputs", {})
    for name in outputs:
        if name not in known:
            raise ParameterWrong(f"Step {spec['id']} has no output '{name}'.", hint=did_you_mean(name, known), step=spec["id"])
    lacking = [name for name in missing if name.partition(".")[2] not in outputs]
    if lacking:
        words = " ".join(f"--output {name.partition('.')[2]}=…" for name in lacking)
        raise ParameterWrong(f"{', '.join(lacking)} was not given.", hint=f"Give {words}", missing=lacking)
    return outputs


class Answers:
    """Says it: reads the run anew, checks, writes one event; tries again when somebody else wrote meanwhile."""

    def __init__(self, records: Records) -> None:
        self.records = records

    def say(self, run: str, person: Person, step: str | None, **given: Any) -> RunState:
        """Answer what the run asks. ``step`` guards against answering another question than was read. Raises RunOver and what ``answer``
        raises; an approval that comes too late is written down as expired, too.
        """
        while True:
            state = self._now(run)
            now = self.records.clock.now()
            asked = decide(state, now)
            if asked.do == "expire":
                self.records.append(run, state.n, "expired", step=asked.step)
                self.records.append(run, state.n + 1, "stopped", step=asked.step, why="nobody approved in time")
                self.records.note(self.records.load(run))
                late = state.steps[asked.step].expires
                raise ApprovalLate(
                    f"The time to approve {asked.step} ran out at {late.isoformat(timespec='seconds') if late else 'its end'}.",
                    hint=f"Ask again: holdfast runbook resume {run}",
                    step=asked.step,
                )
            self._guard(state, asked, step)
            kind, data = answer(state, asked, person, given, now)
            if self.records.append(run, state.n, kind, **data):
                return self._noted(run)

    def skip(self, run: str, person: Person, step: str, reason: str) -> RunState:
        """Leave the step out. Raises RunOver when it is done, not known, or at work."""
        if not reason.strip():
            raise ParameterWrong("A step is not left out without a reason.", hint="Give one: --reason 'why'")
        while True:
            state = self._now(run)
            found = state.steps.get(step)
            if found is None:
                raise RunOver(f"Run {run} has no step '{step}'.", hint=did_you_mean(step, state.steps), run=run)
            undoing = state.status == "aborting"
            phase = found.undo if undoing else found.phase
            if phase == "running" or phase in (("undone", "skipped") if undoing else ("done", "skipped")):
                hint = "Wait for its end, or resume the run first." if phase == "running" else "See: holdfast runbook history"
                raise RunOver(f"Step {step} cannot be left out: it is {phase}.", hint=hint, run=run)
            if self.records.append(run, state.n, "undo_skipped" if undoing else "skipped", step=step, by=person.to_json(), reason=reason):
                return self._noted(run)

    def abort(self, run: str, person: Person, reason: str, *, undo: bool) -> RunState:
        """From here on nothing new is begun; whoever drives the run undoes what ran. Raises RunOver."""
        if not reason.strip():
            raise ParameterWrong("A run is not aborted without a reason.", hint="Give one: --reason 'why'")
        while True:
            state = self._now(run)
            if state.status == "aborting":
                return state
            if self.records.append(run, state.n, "aborted", by=person.to_json(), reason=reason, undo=undo):
                return self._noted(run)

    def _now(self, run: str) -> RunState:
        events = self.records.events(run)
        state = fold(run, events) if events else self.records.load(run)
        if state.status == "ended":
            raise RunOver(f"Run {run} has ended: {state.outcome}.", hint="See: holdfast runbook history", run=run, outcome=state.outcome)
        return state

    def _noted(self, run: str) -> RunState:
        state = self.records.load(run)
        self.records.note(state)
        return state

    def _guard(self, state: RunState, asked: Next, step: str | None) -> None:
        at_work = asked.step and "running" in (state.steps[asked.step].phase, state.steps[asked.step].undo)
        if asked.do != "ask" or at_work:
            why = f"step {asked.step} is at work, or was when its process ended" if at_work else "it waits for nobody"
            raise RunOver(f"Run {state.id} asks for nothing now: {why}.", hint=f"Go on: holdfast runbook resume {state.id}", run=state.id)
        if step is not None and step != asked.step:
            raise RunOver(
                f"Run {state.id} is not at step '{step}': it asks to {WORDS[asked.what]} {asked.step}.",
                hint=f"Answer {asked.step}, or see: holdfast runbook history {state.id}",
                run=state.id,
                step=asked.step,
            )
