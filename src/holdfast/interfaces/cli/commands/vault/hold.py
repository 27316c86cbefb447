"""``holdfast vault hold``: JSON ``{"holds": [{"id", "point", "reason", "at"}]}``: those in force afterwards."""

from typing import Annotated, Literal

from holdfast.errors import Usage
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, Option


class HoldIncomplete(Usage):
    """A hold needs a point, a release a hold; both a reason."""

    code = "hold-incomplete"


def command(
    session: Session,
    action: Annotated[Literal["list", "add", "release"], Argument("list, add or release", "ACTION")] = "list",
    name: Annotated[str | None, Argument("the point to hold, or the hold to release", "POINT|HOLD")] = None,
    *,
    reason: Annotated[str | None, Option("why: it stays on record", metavar="TEXT")] = None,
) -> int:
    """Keep a recovery point whatever retention says, until somebody releases it."""
    from holdfast.vault.points import holds

    vault = session.platform.vault()
    if action != "list":
        if not name or not reason:
            raise HoldIncomplete(
                f"'vault hold {action}' needs a name and --reason.", hint="holdfast vault hold add POINT --reason 'case 4711'"
            )
        if action == "add":
            point = vault.point(name).point.id
            placed = holds.place(vault.locations, vault.notary, session.clock, point, reason)
            session.platform.journal.record("vault.hold", hold=placed.id, point=point, reason=reason)
        else:
            session.confirm(name, f"release the hold {name}")
            holds.release(vault.locations, vault.notary, session.clock, name, reason)
            session.platform.journal.record("vault.release", hold=name, reason=reason)
    current = holds.current(vault.locations, vault.notary)
    rows = [(one.id, one.point[:14], one.at.astimezone(session.plan.zone).isoformat(timespec="seconds"), one.reason) for one in current]
    session.out.result({"holds": current}, lambda: session.out.table(("hold", "point", "since", "reason"), rows))
    return 0
