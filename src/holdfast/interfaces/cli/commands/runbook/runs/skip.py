"""``holdfast runbook skip``: JSON as of ``runbook run``."""

from typing import Annotated

from holdfast.interfaces.cli.commands.runbook.desk import Desk
from holdfast.interfaces.cli.commands.runbook.runs.driving import document, standing
from holdfast.interfaces.cli.commands.runbook.runs.person import person
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, Option
from holdfast.runbooks.engine.answers import Answers


def command(
    session: Session,
    run: Annotated[str, Argument("a run's id, or its beginning", "RUN")],
    step: Annotated[str, Argument("the step to leave out", "STEP")],
    *,
    reason: Annotated[str, Option("why; it is kept with the run", metavar="TEXT")],
    as_: Annotated[str | None, Option("who you are (your account's name by default)", "--as", metavar="NAME")] = None,
) -> int:
    """Leave a step of a run out (or its undo, while the run is aborted). What is done or at work cannot be left out."""
    desk = Desk(session)
    found = desk.records.find(run)
    Answers(desk.records).skip(found, person(as_), step, reason)
    state, asked = standing(session, desk, found)

    def human() -> None:
        session.out.say(f"Step {step} of run {found} is left out. Go on: holdfast runbook resume {found}")

    session.out.result(document(state, state.status, asked), human)
    return 0
