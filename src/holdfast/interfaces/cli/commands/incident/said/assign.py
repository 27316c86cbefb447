"""``holdfast incident assign``: JSON as of ``incident show``."""

from typing import Annotated

from holdfast.interfaces.cli.commands.incident.desk import As, Desk, Id
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, Option
from holdfast.interfaces.cli.grammar.parser import WrongUsage


def command(
    session: Session,
    incident: Id,
    role: Annotated[str, Argument("commander, operations, communications, scribe, or any other", "ROLE")],
    person: Annotated[str | None, Argument("who has it from now on", "PERSON")] = None,
    *,
    relieve: Annotated[bool, Option("nobody has it any more")] = False,
    as_: As = None,
) -> int:
    """Hand a role to somebody."""
    desk = Desk(session, as_)
    if (person is None) != relieve:
        raise WrongUsage("Say who has the role, or --relieve.")
    return desk.done(desk.room.assign(desk.find(incident), desk.person, role, person))
