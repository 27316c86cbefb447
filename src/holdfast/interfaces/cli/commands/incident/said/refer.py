"""``holdfast incident refer``: JSON as of ``incident show``."""

from typing import Annotated

from holdfast.interfaces.cli.commands.incident.desk import As, Desk, Id, pairs
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option
from holdfast.interfaces.cli.grammar.parser import WrongUsage


def command(
    session: Session,
    incident: Id,
    *,
    ticket: Annotated[str | None, Option("its ticket", metavar="TEXT")] = None,
    bridge: Annotated[str | None, Option("where people meet", metavar="TEXT")] = None,
    channel: Annotated[str | None, Option("where people write", metavar="TEXT")] = None,
    other: Annotated[tuple[str, ...], Option("anything else; may be repeated", "--other", metavar="NAME=TEXT")] = (),
    as_: As = None,
) -> int:
    """Say where else it is kept: a ticket, a call, a channel."""
    desk = Desk(session, as_)
    given = {"ticket": ticket, "bridge": bridge, "channel": channel}
    references = {**{name: text for name, text in given.items() if text}, **pairs(other, "--other")}
    if not references:
        raise WrongUsage("There is nothing to write down.", hint="--ticket OPS-1, --bridge https://…, --channel '#data-incidents'")
    return desk.done(desk.room.refer(desk.find(incident), desk.person, references))
