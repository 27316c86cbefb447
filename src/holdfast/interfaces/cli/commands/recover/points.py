"""``holdfast points``: JSON ``{"systems": [{"system", "points": [RecoveryPoint…], "lacking": {point: [location…]}, "ranges": [{"branch",
"from", "to", "until"…}], "erased": sentence or null}]}``. ``lacking`` names the locations of its tier in which a point is not complete (or
that do not answer); ``erased``: the history was destroyed with its key.
"""

from typing import Annotated, Any

from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option, Systems
from holdfast.interfaces.cli.terminal.tables import Cell
from holdfast.interfaces.cli.terminal.times import local
from holdfast.model import RecoveryPoint
from holdfast.plan import human_size


def command(
    session: Session,
    systems: Systems = (),
    *,
    at: Annotated[str | None, Option("only what can return to this moment: the newest point before it", metavar="TIME")] = None,
) -> int:
    """List recovery points, and the ranges of time one can return to.

    Without a name, for every system of the plan.
    """
    from holdfast.vault.errors import ScopeErased
    from holdfast.vault.points import stored

    moment = session.time(at) if at else None
    found: list[dict[str, Any]] = []
    for name in session.select(systems):
        try:
            points = list(session.platform.history(name).points())
        except ScopeErased as error:
            found.append({"system": name, "points": [], "lacking": {}, "ranges": [], "erased": error.message})
            session.out.warn(f"{error.message} {error.hint}")
            continue
        if moment is not None:
            points = [point for point in points if point.committed_at <= moment][-1:]
        lacking = stored.lacking(session.platform.vault(name).locations, [point.id for point in points])
        found.append({"system": name, "points": points, "lacking": lacking, "ranges": session.platform.ranges(name), "erased": None})
        for point, where in lacking.items():
            session.out.warn(f"{point[:14]} of {name} is not in {', '.join(where)}. Complete it with: holdfast vault copy")

    def human() -> None:
        for each in found:
            if each["erased"]:
                continue
            if moment is not None and not each["points"]:
                session.out.say(f"{each['system']}: no recovery point before {local(moment, session.plan.zone)}")
            else:
                _table(session, each["system"], each["points"])
            for line in each["ranges"]:
                first, last = (local(line[f"{end}_time"] or line[end], session.plan.zone) for end in ("from", "to"))
                session.out.say(f"  any moment from {first} to {last} (timeline {line['timeline']})")

    session.out.result({"systems": found}, human)
    return 0


def _table(session: Session, system: str, points: list[RecoveryPoint]) -> None:
    if not points:
        session.out.say(f"{system}: no recovery points yet. Take one: holdfast backup {system}")
        return
    zone = session.plan.zone
    rows = [
        (
            point.id[:14],
            point.committed_at.astimezone(zone).isoformat(timespec="seconds"),
            point.method,
            human_size(point.totals.bytes),
            human_size(point.totals.stored),
            Cell(f"{len(point.findings)} findings", "fail") if point.findings else Cell("clean", "ok"),
            point.label or "",
        )
        for point in reversed(points)
    ]
    session.out.table(("point", "committed", "method", "size", "stored", "state", "label"), rows, title=system, right=(3, 4))
