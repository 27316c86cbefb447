"""``holdfast incident list``.

JSON: ``{"incidents": [{"incident", "title", "severity", "state", "drill", "outcome", "declared_at", "resolved_at", "systems", "commander",
"unanswered", "open_actions"}]}``. Exit status 1 when nobody answers an incident.
"""

from typing import Annotated

from holdfast.incidents.view import summary
from holdfast.interfaces.cli.commands.incident.desk import Desk
from holdfast.interfaces.cli.commands.incident.shown import STYLES
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option
from holdfast.interfaces.cli.terminal.tables import Cell
from holdfast.interfaces.cli.terminal.times import local


def command(
    session: Session,
    *,
    all_: Annotated[bool, Option("closed ones, too", "--all")] = False,
    system: Annotated[str | None, Option("only those about this system", metavar="SYSTEM")] = None,
    sync: Annotated[bool, Option("first ask the vault what other hosts have written")] = False,
    limit: Annotated[int, Option("how many of the newest")] = 50,
) -> int:
    """List incidents, newest first. Fails (1) while nobody answers one of them."""
    desk = Desk(session)
    if sync:
        desk.pull()
    every = desk.incidents.log.all()
    desk.doubt()
    found = [one for one in every if (all_ or one.state != "closed" or one.open_actions) and (system is None or system in one.affected)][
        :limit
    ]
    unanswered = any(one.exhausted for one in every)

    def human() -> None:
        if not found:
            session.out.say("No incident is open." if not all_ else "There was no incident.")
            return
        rows = [
            (
                one.id,
                one.severity,
                Cell("NOBODY ANSWERS" if one.exhausted else one.state, "fail" if one.exhausted else STYLES[one.state]),
                local(one.declared.at, desk.bench.zone)[:16],
                one.roles.get("commander", "-"),
                ", ".join(one.affected) or "-",
                ("[DRILL] " if one.drill else "") + one.title + (f" ({len(one.open_actions)} actions open)" if one.open_actions else ""),
            )
            for one in found
        ]
        session.out.table(("incident", "severity", "state", "declared", "in command", "systems", "what"), rows)

    session.out.result({"incidents": [summary(one) for one in found]}, human)
    return 1 if unanswered else 0
