"""``holdfast drill status``.

JSON: ``{"at_work": [{"run", "scenario", "pid"}], "drills": [{"run", "scenario", "kind", "hash", "systems", "began", "ended", "outcome",
"controls"}]}``, the newest first.
"""

from typing import Annotated

from holdfast.drills.history import drills
from holdfast.interfaces.cli.commands.drill.desk import DrillDesk
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option
from holdfast.interfaces.cli.terminal.tables import Cell


def command(session: Session, *, limit: Annotated[int, Option("how many of the last ones")] = 20) -> int:
    """Show the drill that is at work, and how the last ones went."""
    desk = DrillDesk(session).desk
    working = list(desk.markers.at_work())
    ran = sorted(drills(desk.journal), key=lambda one: one.began, reverse=True)[:limit]

    def human() -> None:
        for one in working:
            session.out.say(f"DRILL {one.run} ({one.scenario}) is at work, process {one.process.pid}. End it: holdfast drill stop")
        rows = [
            (
                one.run,
                one.scenario,
                ", ".join(one.systems),
                one.began.astimezone(session.plan.zone).isoformat(timespec="minutes"),
                Cell(one.outcome or "at work", "ok" if one.outcome == "ok" else "warn" if one.outcome is None else "fail"),
                ", ".join(one.controls),
            )
            for one in ran
        ]
        session.out.table(("run", "scenario", "systems", "began", "outcome", "controls"), rows)

    at_work = [{"run": one.run, "scenario": one.scenario, "pid": one.process.pid} for one in working]
    session.out.result({"at_work": at_work, "drills": [one.to_json() for one in ran]}, human)
    return 0
