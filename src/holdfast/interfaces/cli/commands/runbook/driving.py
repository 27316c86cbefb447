"""What run, resume and abort share: drive, then say where it stands."""

import sys
from typing import TYPE_CHECKING, Any

from holdfast.interfaces.cli.commands.runbook.desk import Desk
from holdfast.interfaces.cli.commands.runbook.watching import AtTerminal, Telling
from holdfast.interfaces.cli.context import Session
from holdfast.runbooks.engine.decide import Next, decide
from holdfast.runbooks.engine.driver import Driver, Stopped
from holdfast.runbooks.engine.people import Person
from holdfast.runbooks.engine.state import RunState
from holdfast.runbooks.format.insert import insert

if TYPE_CHECKING:
    from holdfast.assembly.recording import Recording


def driver(session: Session, desk: Desk, person: Person, job: str) -> Driver:
    """Somebody is asked where a terminal is there; with --json, --yes or from a pipe nobody is."""
    alone = session.settings.json or session.settings.yes or not sys.stdin.isatty()
    watcher = Telling(session) if alone else AtTerminal(session, person)
    runs = desk.records.state.runs
    return Driver(desk.records, desk.bench, watcher, cancelled=lambda: runs.cancelled(job))


class Job:
    """The driving process, as ``holdfast jobs`` shows it."""

    def __init__(self, session: Session, desk: Desk, run: str, name: str) -> None:
        self._session, self._desk = session, desk
        self._recording: Recording | None = None
        self._runs = desk.records.state.runs
        self.id = self._runs.begin("runbook", None, runbook=name, runbook_run=run)
        session.kept = f"The run is kept. Go on with: holdfast runbook resume {run}"

    def __enter__(self) -> str:
        if self._desk.plan is not None:
            from holdfast.assembly.recording import Recording

            self._recording = Recording(self._desk.plan, self._session.clock, self._session.out.warn).__enter__()
            self._desk.records.written = self._recording.nudge
        return self.id

    def __exit__(self, kind: object, *_: object) -> None:
        if self._recording is not None:
            self._recording.__exit__()
        self._runs.end(self.id, "ok" if kind is None else "failed")


def result(session: Session, stopped: Stopped) -> int:
    """JSON and words; 0 only when the runbook was done to its end."""
    state = stopped.state
    session.out.result(document(state, stopped.how, stopped.next), lambda: _show(session, state, stopped))
    return 0 if stopped.how == "ended" and state.outcome == "done" else 1


def document(state: RunState, how: str, asked: Next) -> dict[str, Any]:
    """JSON-ready: ``{"run", "runbook", "status", "outcome", "waiting_for", "why", "steps"}``."""
    waiting = None
    if asked.do == "ask":
        expires = state.steps[asked.step].expires
        waiting = {"step": asked.step, "what": asked.what, "text": insert(asked.text, _lenient(state)), "missing": list(asked.missing)}
        waiting |= {"expires": expires.isoformat() if asked.what == "approve" and expires else None}
    return {
        "run": state.id,
        "runbook": state.document["name"],
        "hash": state.hash,
        "status": how,
        "outcome": state.outcome,
        "waiting_for": waiting,
        "why": asked.text if asked.do == "stop" else state.why or None,
        "steps": [
            {
                "step": step.id,
                "phase": step.phase,
                "attempts": step.attempts,
                "undo": step.undo or None,
                "message": step.message or None,
                "outputs": step.outputs,
            }
            for step in state.steps.values()
        ],
    }


def standing(session: Session, desk: Desk, run: str) -> tuple[RunState, Next]:
    """Where a run is, without driving it."""
    state = desk.records.load(run)
    return state, decide(state, session.clock.now())


class _Lenient(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "${" + key + "}"


def _lenient(state: RunState) -> dict[str, Any]:
    return _Lenient(state.values())


def _show(session: Session, state: RunState, stopped: Stopped) -> None:
    asked = stopped.next
    if stopped.how == "ended":
        session.out.say(f"Run {state.id} of {state.document['name']}: {state.outcome}.")
    elif stopped.how == "waiting":
        session.out.say(f"Run {state.id} waits at step {asked.step}: {insert(asked.text, _lenient(state))}".rstrip())
        session.out.say(f"Answer: holdfast runbook approve {state.id} {asked.step} {_WORDS[asked.what]}".rstrip())
        session.out.say(f"Then:   holdfast runbook resume {state.id}")
    elif stopped.how == "stopped":
        session.out.say(f"Run {state.id} stopped at step {asked.step}: {asked.text}")
        session.out.say(f"Try again: holdfast runbook resume {state.id}; leave it out: runbook skip; end it and undo: runbook abort")
    else:
        session.out.say(f"Run {state.id} was stopped between two steps. Go on: holdfast runbook resume {state.id}")


_WORDS = {
    "confirm": "[--note TEXT]",
    "choose": "--choose NAME",
    "approve": "",
    "settle": "--happened | --did-not-happen",
    "undo_settle": "--happened | --did-not-happen",
    "undo_confirm": "[--note TEXT]",
    "output": "--output NAME=VALUE",
}
