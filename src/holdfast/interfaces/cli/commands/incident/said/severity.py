"""``holdfast incident severity``: JSON as of ``incident show``."""

from typing import Annotated

from holdfast.incidents.room import severity
from holdfast.interfaces.cli.commands.incident.desk import As, Desk, Id
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, Option


def command(
    session: Session,
    incident: Id,
    to: Annotated[str, Argument("P1 (SEV1) to P4", "P1|P2|P3|P4")],
    *,
    reason: Annotated[str, Option("why", metavar="TEXT")] = "",
    as_: As = None,
) -> int:
    """Change how severe it is."""
    desk = Desk(session, as_)
    return desk.done(desk.room.change_severity(desk.find(incident), desk.person, severity(to), reason))
