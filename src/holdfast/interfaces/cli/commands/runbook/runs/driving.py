"""What run, resume and abort share: drive, then say where it stands."""

import contextlib
import datetime as dt
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError
from holdfast.interfaces.cli.commands.runbook.desk import Desk
from holdfast.interfaces.cli.commands.runbook.runs.watching import AtTerminal, Telling
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.parser import WrongUsage
from holdfast.plan.values.units import parse_duration
from holdfast.runbooks.engine.decide import Next, decide
from holdfast.runbooks.engine.driver import Driver, Stopped, Watcher
from holdfast.runbooks.engine.people import Person
from holdfast.runbooks.engine.state import RunState
from holdfast.runbooks.format.insert import insert

if TYPE_CHECKING:
    from holdfast.assembly.vault.recording import Recording


def driver(session: Session, desk: Desk, person: Person, job: str, watcher: Watcher | None = None) -> Driver:
    """Somebody is asked where a terminal is there; with --json, --yes or from a pipe nobody is."""
    if watcher is None:
        watcher = Telling(session) if _alone(session) else AtTerminal(session, person)
    runs = desk.records.state.runs
    return Driver(desk.records, desk.bench, watcher, cancelled=lambda: runs.cancelled(job))


def _alone(session: Session) -> bool:
    return session.settings.json or session.settings.yes or not sys.stdin.isatty()


@contextlib.contextmanager
def on_screen(session: Session, person: Person, view: "View | None") -> Iterator[Watcher | None]:
    """A watcher that has the whole terminal; None where none is wanted."""
    if view is None:
        yield None
        return
    from holdfast.interfaces.cli.view.watcher import FullScreen

    with FullScreen(session, person, since=view.since, rto=view.rto, incident=view.incident) as watcher:
        yield watcher


@dataclass(frozen=True, slots=True)
class View:
    """What a full screen shows besides the run: since when the promise's clock runs (the run's begin by default), and the promise."""

    since: dt.datetime | None = None
    rto: dt.timedelta | None = None
    incident: str = ""


def view_of(session: Session, desk: Desk, document: Mapping[str, Any], incident: str) -> View:
    """Raises WrongUsage where there is no terminal for it."""
    from holdfast.interfaces.cli.view.watcher import possible

    if _alone(session) or not possible():
        raise WrongUsage("--view needs a terminal.", hint="It does not go with --json or --yes. Without it the run is told in plain lines.")
    rto = parse_duration(document["rto"]) if document.get("rto") else None
    if rto is None and desk.plan is not None:
        promised = {name: desk.plan.effective(name).rto for name in document["systems"] if name in desk.plan.systems}
        rto = min((span for span in promised.values() if span is not None), default=None)
    return View(_declared(session, incident) if incident else None, rto, incident)


def _declared(session: Session, incident: str) -> dt.datetime | None:
    """A promise counts from the declaration, not from when somebody came to the runbook."""
    from holdfast.interfaces.cli.commands.incident.desk import Desk as Incidents

    try:
        return Incidents(session).incidents.log.load(incident).declared.at
    except HoldfastError:
        return None


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
            from holdfast.assembly.vault.recording import Recording

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
