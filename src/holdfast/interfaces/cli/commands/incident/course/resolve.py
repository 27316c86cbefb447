"""``holdfast incident resolve``: JSON as of ``incident show``."""

from typing import Annotated

from holdfast.interfaces.cli.commands.incident.desk import As, Desk, Id, Lost, losses
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option


def command(
    session: Session,
    incident: Id,
    *,
    note: Annotated[str, Option("how it ended", metavar="TEXT")] = "",
    cause: Annotated[str, Option("what it was, as far as it is known", metavar="TEXT")] = "",
    lost: Lost = (),
    as_: As = None,
) -> int:
    """Say that it is over. The clock of the post-mortem begins."""
    desk = Desk(session, as_)
    found, gone = desk.find(incident), losses(lost)
    return desk.done(desk.act(lambda: desk.room.resolve(found, desk.person, note, cause, gone)))
