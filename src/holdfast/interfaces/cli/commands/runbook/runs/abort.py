"""``holdfast runbook abort``: JSON as of ``runbook run``."""

from typing import Annotated

from holdfast.interfaces.cli.commands.runbook.desk import Desk
from holdfast.interfaces.cli.commands.runbook.runs.driving import Job, document, driver, result, standing
from holdfast.interfaces.cli.commands.runbook.runs.person import person
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, Option
from holdfast.runbooks.engine.answers import Answers
from holdfast.runbooks.errors import RunHeld


def command(
    session: Session,
    run: Annotated[str, Argument("a run's id, or its beginning", "RUN")],
    *,
    reason: Annotated[str, Option("why; it is kept with the run", metavar="TEXT")],
    undo: Annotated[bool, Option("undo what ran, in reverse")] = True,
    as_: Annotated[str | None, Option("who you are (your account's name by default)", "--as", metavar="NAME")] = None,
) -> int:
    """End a run: no further step begins, and what ran is undone in reverse, by the steps' own undo. What did not run is not undone.

    Exit status 0 when it is ended; 1 when a person is needed for the undo, or another process that drives it will do it.
    """
    desk = Desk(session)
    found = desk.records.find(run)
    who = person(as_)
    Answers(desk.records).abort(found, who, reason, undo=undo)
    try:
        with Job(session, desk, found, desk.records.load(found).document["name"]) as job:
            stopped = driver(session, desk, who, job).resume(found, who)
    except RunHeld as held:
        said = held.message
        state, asked = standing(session, desk, found)
        session.out.result(document(state, "aborting", asked), lambda: session.out.say(f"Noted. {said} It undoes what ran."))
        return 1
    result(session, stopped)
    return 0 if stopped.how == "ended" else 1
