"""``holdfast incident reopen``: JSON as of ``incident show``."""

from typing import Annotated

from holdfast.interfaces.cli.commands.incident.desk import As, Desk, Id
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, Option


def command(
    session: Session,
    incident: Id,
    why: Annotated[str, Argument("what is wrong again", "WHY")],
    *,
    system: Annotated[tuple[str, ...], Option("what is not well again; all of it without this", "--system", metavar="SYSTEM")] = (),
    as_: As = None,
) -> int:
    """Open it again: somebody has to answer anew, and is paged."""
    desk = Desk(session, as_)
    found = desk.find(incident)
    return desk.done(desk.act(lambda: desk.room.reopen(found, desk.person, why, system)))
