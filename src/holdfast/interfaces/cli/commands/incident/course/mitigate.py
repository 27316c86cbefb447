"""``holdfast incident mitigate``: JSON as of ``incident show``."""

from typing import Annotated

from holdfast.interfaces.cli.commands.incident.desk import As, Desk, Id, Lost, losses
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option


def command(
    session: Session,
    incident: Id,
    *,
    note: Annotated[str, Option("what was done", metavar="TEXT")] = "",
    lost: Lost = (),
    as_: As = None,
) -> int:
    """Say that the harm is stopped. Its systems count as back, unless 'incident systems --recovered' said so earlier."""
    desk = Desk(session, as_)
    found, gone = desk.find(incident), losses(lost)
    return desk.done(desk.act(lambda: desk.room.mitigate(found, desk.person, note, gone)))
