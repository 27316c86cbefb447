"""``holdfast incident link``: JSON as of ``incident show``."""

from typing import Annotated

from holdfast.interfaces.cli.commands.incident.desk import As, Desk, Id
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, Option


def command(
    session: Session,
    incident: Id,
    run: Annotated[str, Argument("the id of a run of any kind: backup, restore, verify, runbook, drill", "RUN")],
    *,
    what: Annotated[str, Option("what it is to the incident", metavar="TEXT")] = "",
    as_: As = None,
) -> int:
    """Make a run part of the incident, whenever it ran. Runs of affected systems in its time are part of it by themselves."""
    desk = Desk(session, as_)
    return desk.done(desk.room.link(desk.find(incident), desk.person, run, what))
