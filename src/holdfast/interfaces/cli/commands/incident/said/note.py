"""``holdfast incident note``: JSON as of ``incident show``; ``"plan_unread"``: why the plan could not be read."""

import sys
from typing import Annotated

from holdfast.interfaces.cli.commands.incident.desk import As, Desk, Id
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument


def command(
    session: Session, incident: Id, text: Annotated[str, Argument("what happened ('-': from stdin)", "TEXT")], *, as_: As = None
) -> int:
    """Write a line into the timeline, in any state."""
    desk = Desk(session, as_, plan_needed=False)
    return desk.done(desk.room.note(desk.find(incident), desk.person, sys.stdin.read() if text == "-" else text))
