"""``holdfast runbook list``.

JSON: ``{"runbooks": [{"name", "title", "file", "systems", "steps", "rto", "hash", "sound", "rehearsed", "overdue",
"overdue_since"}], "uncovered": […]}``. ``rehearsed``: when a run of it last came to its good end; ``overdue``: by ``drill:`` of its systems
in the plan. Both are left out where the state cannot be read.
"""

import datetime as dt
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.interfaces.cli.commands.runbook.desk import Desk
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.terminal.tables import Cell
from holdfast.interfaces.cli.terminal.times import local
from holdfast.runbooks.engine.rehearsed import Rehearsal, rehearsal
from holdfast.runbooks.format.library import Found
from holdfast.runbooks.format.lint import coverage


def command(session: Session) -> int:
    """List the runbooks, when each was last followed to its end, and the systems of the plan that have none."""
    desk = Desk(session)
    found = desk.library.all()
    lacking = coverage(desk.promised(), found).uncovered
    rehearsed: dict[str, Rehearsal] = {}
    try:
        rehearsed = _rehearsed(desk, found)
    except HoldfastError as error:
        # The list is wanted most when other things are down.
        session.out.warn(f"when each was rehearsed is not known: {error.message}")

    def human() -> None:
        if not found:
            session.out.say(f"No runbook lies in {desk.library.folder}. Write one: holdfast runbook new NAME")
        else:
            rows = [
                (
                    each.name,
                    str(each.snapshot.document["title"]) if each.snapshot else "",
                    ", ".join(each.snapshot.document["systems"]) if each.snapshot else "",
                    str(len(each.snapshot.steps)) if each.snapshot else "",
                    str(each.snapshot.document["rto"] or "") if each.snapshot else "",
                    _when(rehearsed.get(each.name), desk),
                    Cell("sound", "ok") if each.snapshot else Cell("has errors: holdfast runbook lint", "fail"),
                )
                for each in found
            ]
            session.out.table(("name", "title", "systems", "steps", "rto", "rehearsed", ""), rows, right=(3,))
        if lacking:
            session.out.warn(f"without a runbook: {', '.join(lacking)}")
        if late := [name for name, one in rehearsed.items() if one.overdue]:
            session.out.warn(f"to be rehearsed: {', '.join(late)}")

    session.out.result({"runbooks": [_document(each, rehearsed.get(each.name)) for each in found], "uncovered": list(lacking)}, human)
    return 0


def _rehearsed(desk: Desk, found: list[Found]) -> dict[str, Rehearsal]:
    """By name, of those that are sound."""
    state = desk.records.state.runbooks
    if not state.lines(limit=1):
        desk.records.refill()
    now = desk.session.clock.now()
    made: dict[str, Rehearsal] = {}
    for each in found:
        if each.snapshot is not None:
            systems = [name for name in each.snapshot.document["systems"] if desk.plan and name in desk.plan.systems]
            schedules = [schedule for name in systems if desk.plan and (schedule := desk.plan.effective(name).drill)]
            at = state.last_done(each.name)
            made[each.name] = rehearsal(dt.datetime.fromisoformat(at) if at else None, schedules, desk.zone, now)
    return made


def _when(one: Rehearsal | None, desk: Desk) -> Cell:
    if one is None:
        return Cell("", "")
    text = local(one.last, desk.zone)[:10] if one.last else "never"
    if not one.overdue:
        return Cell(text, "ok" if one.last else "")
    return Cell(f"{text}, due since {local(one.since, desk.zone)[:10]}" if one.since else f"{text}, due", "warn")


def _document(found: Found, rehearsed: Rehearsal | None) -> dict[str, Any]:
    snapshot = found.snapshot
    if snapshot is None:
        return {"name": found.name, "file": found.path, "sound": False}
    said = snapshot.document
    return {
        "name": found.name,
        "title": said["title"],
        "file": found.path,
        "systems": said["systems"],
        "steps": len(snapshot.steps),
        "rto": said["rto"],
        "hash": snapshot.hash,
        "sound": True,
        **(_document_of(rehearsed) if rehearsed else {}),
    }


def _document_of(one: Rehearsal) -> dict[str, Any]:
    return {
        "rehearsed": one.last.isoformat() if one.last else None,
        "overdue": one.overdue,
        "overdue_since": one.since.isoformat() if one.since else None,
    }
