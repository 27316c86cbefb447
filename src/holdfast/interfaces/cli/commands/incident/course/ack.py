"""``holdfast incident ack``: JSON as of ``incident show``; ``"plan_unread"``: why the plan could not be read."""

from typing import Annotated

from holdfast.interfaces.cli.commands.incident.desk import As, Desk, Id
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option


def command(
    session: Session, incident: Id, *, note: Annotated[str, Option("what you know, or do first", metavar="TEXT")] = "", as_: As = None
) -> int:
    """Acknowledge: you have it, and nobody else is paged. Who is first is in command until somebody else takes the role."""
    desk = Desk(session, as_, plan_needed=False)
    found = desk.find(incident)
    return desk.done(desk.act(lambda: desk.room.acknowledge(found, desk.person, note)))
