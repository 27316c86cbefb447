"""``holdfast incident systems``: JSON as of ``incident show``."""

from typing import Annotated

from holdfast.interfaces.cli.commands.incident.desk import As, Desk, Id, Lost, losses
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option


def command(
    session: Session,
    incident: Id,
    *,
    add: Annotated[tuple[str, ...], Option("it is affected, too; may be repeated", "--add", metavar="SYSTEM")] = (),
    remove: Annotated[tuple[str, ...], Option("it is not affected after all", "--remove", metavar="SYSTEM")] = (),
    recovered: Annotated[tuple[str, ...], Option("it is back: validated, and in use", "--recovered", metavar="SYSTEM")] = (),
    lost: Lost = (),
    as_: As = None,
) -> int:
    """Say which systems are affected, and which are back: their RTO is measured until then."""
    desk = Desk(session, as_)
    if desk.bench.plan is not None and add:
        add = tuple(desk.bench.plan.select(add))
    found = desk.find(incident)
    gone = losses(lost)
    return desk.done(desk.act(lambda: desk.room.systems(found, desk.person, add=add, remove=remove, recovered=recovered, lost=gone)))
