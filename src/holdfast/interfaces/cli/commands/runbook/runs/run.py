"""``holdfast runbook run``.

JSON: ``{"run", "runbook", "hash", "status": ended|waiting|stopped|cancelled, "outcome", "waiting_for": {"step", "what", "text", "missing",
"expires"}, "why", "steps": [{"step", "phase", "attempts", "undo", "message", "outputs"}]}``; with --dry-run ``{"runbook", "hash",
"parameters", "needs", "steps": [{"step", "kind", "title", "does", "probe", "undo", "timeout", "when", "left_out"}]}``.
"""

import os
import sys
from typing import Annotated, Any

from holdfast.interfaces.cli.commands.runbook.desk import Desk
from holdfast.interfaces.cli.commands.runbook.runs.driving import Job, driver, on_screen, result, view_of
from holdfast.interfaces.cli.commands.runbook.runs.person import person
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, DryRun, Option
from holdfast.interfaces.cli.grammar.parser import WrongUsage
from holdfast.interfaces.cli.terminal.confirm import ask
from holdfast.runbooks.engine.people import Person
from holdfast.runbooks.engine.prerequisites import Looked, look
from holdfast.runbooks.engine.rehearse import rehearse
from holdfast.runbooks.engine.state import Event, RunState, fold
from holdfast.runbooks.errors import PrerequisitesLack, RunActive
from holdfast.runbooks.format.compile import Snapshot
from holdfast.runbooks.format.parameters import Parameter, values
from holdfast.state import RunbookLine

INCIDENT = "HOLDFAST_INCIDENT"


def command(
    session: Session,
    name: Annotated[str, Argument("a runbook's name, or the path of its file", "NAME")],
    *,
    param: Annotated[tuple[str, ...], Option("a parameter's value; may be repeated", "--param", metavar="NAME=VALUE")] = (),
    as_: Annotated[str | None, Option("who you are (your account's name by default)", "--as", metavar="NAME")] = None,
    incident: Annotated[str | None, Option("the incident that the run belongs to, whose record it is", metavar="ID")] = None,
    beside: Annotated[bool, Option("begin although another run of it has not ended")] = False,
    view: Annotated[bool, Option("on a full screen: steps, the clock against the promise, the last output")] = False,
    dry_run: DryRun = False,
) -> int:
    """Run a runbook: each step is written down before and after it, so that the run can be taken up again wherever it is left.

    Missing parameters are asked for. On a terminal people are asked as the steps come; elsewhere the run stops where a person is needed,
    with status 1, and goes on with 'runbook approve' and 'runbook resume'. Exit status 0 only when it was done to its end.
    """
    desk = Desk(session)
    inside = _inside(session, incident)
    found, snapshot = desk.library.snapshot(name)
    who = person(as_)
    chosen = _parameters(session, desk, snapshot, param)
    if dry_run:
        return _dry(session, snapshot, chosen)
    active = desk.records.state.runbooks.lines(name=snapshot.name, active=True)
    if active and not beside:
        raise _already(active[0])
    run = desk.records.new_id()
    begun = {"snapshot": dict(snapshot.document), "hash": snapshot.hash, "parameters": chosen, "file": str(found.path), **inside}
    looked = look(snapshot.document, _preview(run, session, who, begun), desk.bench)
    for each in looked:
        session.out.detail(f"{each.what} {each.text}: {'to be known by you' if each.ok is None else 'there' if each.ok else each.why}")
    lacking = [each for each in looked if each.ok is False]
    if lacking:
        raise _lack(lacking)
    screen = view_of(session, desk, snapshot.document, inside.get("incident", "")) if view else None
    session.out.note(f"Run {run} of {snapshot.name}, {snapshot.hash[:19]}, by {who.name}")
    with Job(session, desk, run, snapshot.name) as job, on_screen(session, who, screen) as watcher:
        stopped = driver(session, desk, who, job, watcher).begin(
            run, who, needs=[[each.what, each.text, each.ok] for each in looked], **begun
        )
    return result(session, stopped)


def _inside(session: Session, incident: str | None) -> dict[str, str]:
    """What the record of the run says of its incident; commands in its steps find it in the environment."""
    named = incident or os.environ.get(INCIDENT)
    if not named:
        return {}
    if incident:
        from holdfast.interfaces.cli.commands.incident.desk import Desk as Incidents

        named = Incidents(session).find(incident)
        os.environ[INCIDENT] = named
    return {"incident": named}


def _parameters(session: Session, desk: Desk, snapshot: Snapshot, texts: tuple[str, ...]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise WrongUsage("--param takes NAME=VALUE.", hint="For example: --param target=/srv/restored")
        given[name] = value
    shapes = {name: Parameter.model_validate(shape) for name, shape in snapshot.document["parameters"].items()}
    if sys.stdin.isatty() and not session.settings.json:
        for name, shape in shapes.items():
            if name not in given and shape.default is None and shape.required and shape.type != "secret":
                choices = f" ({' | '.join(shape.of)})" if shape.of else f" (like {shape.example})" if shape.example else ""
                given[name] = ask(f"{shape.ask or name}{choices}")
    return values(shapes, given, now=session.clock.now(), zone=desk.zone, systems=desk.systems)


def _preview(run: str, session: Session, who: Person, begun: dict[str, Any]) -> RunState:
    return fold(run, [Event(0, "begin", session.clock.now(), {**begun, "by": who.to_json()})])


def _already(line: RunbookLine) -> RunActive:
    return RunActive(
        f"Run {line.id} of {line.name}, begun by {line.facts['by']} at {line.started[:19]} UTC, has not ended: {line.status}.",
        hint=f"Go on with it: holdfast runbook resume {line.id}; or end it: runbook abort. To begin another beside it: --beside.",
        run=line.id,
    )


def _lack(lacking: list[Looked]) -> PrerequisitesLack:
    lines = "\n".join(f"  {each.what} {each.text}: {each.why or 'not there'}" for each in lacking)
    return PrerequisitesLack(
        f"What the runbook needs is not there; nothing was begun:\n{lines}",
        hint="Put it right, then run it again.",
        lacking=[each.text for each in lacking],
    )


def _dry(session: Session, snapshot: Snapshot, chosen: dict[str, Any]) -> int:
    steps = rehearse(snapshot.document, chosen)

    def human() -> None:
        for name, value in chosen.items():
            session.out.say(f"{name} = {value}")
        for number, step in enumerate(steps, 1):
            left = f"   left out: {step['left_out']}" if step["left_out"] else ""
            when = "".join(f" when {name} is {' or '.join(map(str, wanted))}" for name, wanted in step["when"].items())
            limit = f", {step['timeout']}" if step["timeout"] else ""
            session.out.say(f"\n{number}. {step['title']} ({step['step']}, {step['kind']}{limit}){when}{left}")
            for label in ("does", "probe", "undo"):
                for line_number, line in enumerate((step[label] or "").splitlines()):
                    session.out.say(f"   {label + ':' if not line_number else '':<7}{line}")
        session.out.say("\nNothing was done.")

    session.out.result(
        {"runbook": snapshot.name, "hash": snapshot.hash, "parameters": chosen, "needs": snapshot.document["needs"], "steps": steps}, human
    )
    return 0
