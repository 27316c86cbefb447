"""``holdfast drill list``.

JSON: ``{"scenarios": [{"name", "title", "kind", "file", "shipped", "sound", "hash", "last": {"run", "outcome", "ended"} | null}]}``.
"""

from typing import Any

from holdfast.drills.history import Ran, drills
from holdfast.drills.scenario.library import Found
from holdfast.interfaces.cli.commands.drill.desk import DrillDesk
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.terminal.tables import Cell


def command(session: Session) -> int:
    """List scenarios, the plan's own and the shipped ones, and how each went last."""
    desk = DrillDesk(session)
    found = desk.library.all()
    last: dict[str, Ran] = {}
    if desk.library.folder is not None:
        last = {one.scenario: one for one in drills(desk.desk.journal) if one.ended is not None}

    def human() -> None:
        rows = [
            (
                one.name,
                one.snapshot.scenario.title if one.snapshot else "",
                one.snapshot.scenario.kind if one.snapshot else "",
                "shipped" if one.shipped else one.file,
                _last(one, last.get(one.name)),
            )
            for one in found
        ]
        session.out.table(("name", "title", "kind", "file", "last"), rows)

    session.out.result({"scenarios": [_document(one, last.get(one.name)) for one in found]}, human)
    return 0


def _last(found: Found, ran: Ran | None) -> Cell:
    if found.snapshot is None:
        return Cell("has errors: holdfast drill lint", "fail")
    if ran is None or ran.ended is None:
        return Cell("never", "warn")
    return Cell(f"{ran.outcome} {ran.ended.date().isoformat()}", "ok" if ran.outcome == "ok" else "fail")


def _document(found: Found, ran: Ran | None) -> dict[str, Any]:
    return {
        "name": found.name,
        "title": found.snapshot.scenario.title if found.snapshot else None,
        "kind": found.snapshot.scenario.kind if found.snapshot else None,
        "file": found.file,
        "shipped": found.shipped,
        "sound": found.snapshot is not None,
        "hash": found.snapshot.hash if found.snapshot else None,
        "last": None if ran is None else {"run": ran.run, "outcome": ran.outcome, "ended": ran.ended},
    }
