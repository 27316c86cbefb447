"""``holdfast incident close``: JSON as of ``incident show``."""

from typing import Annotated

from holdfast.interfaces.cli.commands.incident.desk import As, Desk, Id
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option
from holdfast.interfaces.cli.grammar.parser import WrongUsage


def command(
    session: Session,
    incident: Id,
    *,
    false_alarm: Annotated[str | None, Option("there was nothing; without a post-mortem", metavar="REASON")] = None,
    duplicate_of: Annotated[str | None, Option("it is the same as another one; without a post-mortem", metavar="ID")] = None,
    drill_over: Annotated[str | None, Option("the drill has a report of its own; without a post-mortem", metavar="REASON")] = None,
    as_: As = None,
) -> int:
    """Close it. Refused (4) without a finished post-mortem, and while an action item has no owner or no date."""
    desk = Desk(session, as_)
    found = desk.find(incident)
    ways = {"false alarm": false_alarm, "duplicate": duplicate_of, "drill": drill_over}
    chosen = [(outcome, why) for outcome, why in ways.items() if why is not None]
    if len(chosen) > 1:
        raise WrongUsage("--false-alarm, --duplicate-of and --drill-over exclude each other.")
    outcome, why = chosen[0] if chosen else ("learnt", "")
    if outcome == "duplicate":
        why = desk.find(why)
        if why == found:
            raise WrongUsage(f"{found} is not a duplicate of itself.")
    return desk.done(desk.act(lambda: desk.room.close(found, desk.person, outcome=outcome, why=why)))
