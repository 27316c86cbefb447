"""``holdfast runbook list``.

JSON: ``{"runbooks": [{"name", "title", "file", "systems", "steps", "rto", "hash", "sound"}], "uncovered": […]}``.
"""

from typing import Any

from holdfast.interfaces.cli.commands.runbook.desk import Desk
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.tables import Cell
from holdfast.runbooks.format.library import Found
from holdfast.runbooks.format.lint import coverage


def command(session: Session) -> int:
    """List the runbooks, and the systems of the plan that have none."""
    desk = Desk(session)
    found = desk.library.all()
    lacking = coverage(desk.promised(), found).uncovered

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
                    Cell("sound", "ok") if each.snapshot else Cell("has errors: holdfast runbook lint", "fail"),
                )
                for each in found
            ]
            session.out.table(("name", "title", "systems", "steps", "rto", ""), rows, right=(3,))
        if lacking:
            session.out.warn(f"without a runbook: {', '.join(lacking)}")

    session.out.result({"runbooks": [_document(each) for each in found], "uncovered": list(lacking)}, human)
    return 0


def _document(found: Found) -> dict[str, Any]:
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
    }
