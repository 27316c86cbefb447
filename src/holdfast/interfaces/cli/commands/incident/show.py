"""``holdfast incident show``.

JSON: ``{"incident", "title", "severity", "meaning", "state": "declared" | "acknowledged" | "mitigated" | "resolved" | "closed", "drill",
"declared_at", "detected_at", "acknowledged_at", "mitigated_at", "resolved_at", "roles", "affected": [{"system", "promises": [{"promise",
"promised_seconds", "measured_seconds", "left_seconds", "state": "running" | "kept" | "missed" | "unknown"}]}], "durations",
"references", "escalation", "unanswered", "status_page": {"state", "internal", "public"}, "runs", "timeline", "messages", "actions",
"postmortem": {"due_at", "overdue", "finished_at", "lacks"}, "clocks", "missing", "forged", …}``.
"""

from typing import Annotated

from holdfast.interfaces.cli.commands.incident.desk import Desk, Id
from holdfast.interfaces.cli.commands.incident.shown import show
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option


def command(
    session: Session, incident: Id, *, sync: Annotated[bool, Option("first ask the vault what other hosts have written")] = False
) -> int:
    """Show everything about an incident: clocks, people, messages and whether they arrived, runs, the timeline."""
    desk = Desk(session)
    if sync:
        desk.pull()
    found = desk.incidents.log.load(desk.find(incident))
    shown = desk.document(found)
    session.out.result(shown, lambda: show(session, found, shown, desk.bench.zone, brief=False))
    return 0
