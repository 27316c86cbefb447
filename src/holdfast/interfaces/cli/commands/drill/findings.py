"""``holdfast drill findings``.

JSON: ``{"findings": [{"finding", "text", "about", "owner", "due", "overdue", "scenario", "run", "opened", "systems", "limit", "closed_by",
"closed"}]}``. Exit status 1 when one is overdue.
"""

import datetime as dt
from typing import Annotated

from holdfast.drills.findings import BY_HAND
from holdfast.interfaces.cli.commands.drill.desk import DrillDesk
from holdfast.interfaces.cli.commands.runbook.runs.person import person
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option
from holdfast.interfaces.cli.grammar.parser import WrongUsage
from holdfast.interfaces.cli.terminal.tables import Cell


def command(
    session: Session,
    *,
    all_: Annotated[bool, Option("closed ones, too", "--all")] = False,
    add: Annotated[str | None, Option("open one by hand, in words", metavar="TEXT")] = None,
    scenario: Annotated[str | None, Option("with --add: whose retest closes it", metavar="NAME")] = None,
    owner: Annotated[str | None, Option("with --add: who puts it right (you by default)", metavar="NAME")] = None,
    due: Annotated[str | None, Option("with --add: until when, as 2026-12-31 (in 30 days by default)", metavar="DATE")] = None,
) -> int:
    """List what drills found and nobody has proved to be put right; with --add open one more. Only a passed retest closes any."""
    desk = DrillDesk(session)
    today = session.plan.local(session.clock.now()).date()
    if add is not None:
        if scenario is None:
            raise WrongUsage("--add needs --scenario: the drill whose passed retest closes it.", hint="See: holdfast drill list")
        name = desk.library.snapshot(scenario).name
        who = owner or desk.desk.owner or person(None).name
        until = _date(due) if due else today + dt.timedelta(days=30)
        desk.desk.book.open(add, f"{BY_HAND}{add}", owner=who, due=until, scenario=name, run="")
    found = [one for one in desk.desk.book.all() if all_ or one.closed_by is None]

    def human() -> None:
        if not found:
            session.out.say("No finding is open.")
            return
        rows = [
            (
                one.id,
                one.owner,
                Cell(f"{one.due.isoformat()}{' overdue' if one.overdue(today) else ''}", "fail" if one.overdue(today) else "ok"),
                one.scenario,
                one.text[:100],
                f"closed by {one.closed_by}" if one.closed_by else "open",
            )
            for one in found
        ]
        session.out.table(("finding", "owner", "due", "scenario", "what", ""), rows)

    session.out.result({"findings": [{**one.to_json(), "overdue": one.overdue(today)} for one in found]}, human)
    return 1 if any(one.overdue(today) for one in found) else 0


def _date(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise WrongUsage(f"'{text}' is no date.", hint="Write 2026-12-31.") from error
