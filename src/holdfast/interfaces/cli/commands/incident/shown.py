"""An incident for people."""

import datetime as dt
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from holdfast.incidents.record.state import Incident
from holdfast.interfaces.cli.commands.runbook.runs.watching import harmless
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.terminal.tables import Cell
from holdfast.interfaces.cli.terminal.times import local
from holdfast.model import counted
from holdfast.plan.values.units import format_duration

STYLES = {"declared": "fail", "acknowledged": "warn", "mitigated": "warn", "resolved": "ok", "closed": "dim"}


def span(seconds: float) -> str:
    """Whole seconds; nothing else is read at night."""
    return format_duration(dt.timedelta(seconds=round(seconds)))


def show(session: Session, found: Incident, shown: Mapping[str, Any], zone: ZoneInfo, *, brief: bool) -> None:
    """``brief``: what somebody has to know who has just done something."""
    out = session.out

    def say(text: str) -> None:
        out.say(harmless(text))

    drill = "[DRILL] " if found.drill else ""
    say(f"{drill}{found.id}  {found.severity}  {found.state}  {found.title}")
    if found.exhausted:
        say("  NOBODY ANSWERS: everybody was told, and nobody has acknowledged")
    _clocks(say, shown)
    if brief:
        _next(say, found, shown)
        return
    say(f"  declared {local(found.declared.at, zone)[:19]} by {found.declared.by.name}, because: {found.source.get('kind', 'person')}")
    if found.description:
        say(f"  {found.description}")
    for role, name in found.roles.items():
        say(f"  {role}: {name}")
    for name, value in found.references.items():
        say(f"  {name}: {value if isinstance(value, str) else value.get('url') or ', '.join(value.get('ids', {}).values())}")
    for page in found.pages:
        if page.to or page.last:
            say(f"  asked {local(page.event.at, zone)[:19]}: {'everybody' if page.last else ', '.join(page.to)} ({page.reason})")
    page = shown["status_page"]
    say(f"  outside ({page['state']}): {page['public']}")
    _messages(say, shown)
    _timeline(session, shown, zone)
    for action in found.actions.values():
        state = f"done: {action.evidence}" if action.closed else "open"
        say(f"  action {action.id}: {action.text}, {action.owner or 'no owner'}, due {action.due or 'never'} ({state})")
    _doubts(session, shown)
    _next(say, found, shown)


def _clocks(say: Any, shown: Mapping[str, Any]) -> None:
    for each in shown["affected"]:
        parts = []
        for one in each["promises"]:
            if one["state"] == "running":
                parts.append(f"{one['promise'].upper()} {span(one['promised_seconds'])}: {span(one['left_seconds'])} left")
            elif one["state"] == "unknown":
                parts.append(f"RPO {span(one['promised_seconds'])}: not known what is lost")
            else:
                parts.append(f"{one['promise'].upper()} {span(one['promised_seconds'])} {one['state']} ({span(one['measured_seconds'])})")
        back = " (back)" if each["recovered_at"] else ""
        say(f"  {each['system']}{back}: {'; '.join(parts) or 'nothing was promised'}")


def _messages(say: Any, shown: Mapping[str, Any]) -> None:
    waiting = [one for one in shown["messages"] if one["state"] != "sent"]
    sent = len(shown["messages"]) - len(waiting)
    if sent:
        say(f"  {counted(sent, 'message was', 'messages were')} delivered")
    for one in waiting:
        error = f": {one['error']}" if one["error"] else ""
        say(f"  message to {one['channel']} ({one['kind']}) {one['state']}, {counted(one['attempts'], 'attempt')}{error}")


def _timeline(session: Session, shown: Mapping[str, Any], zone: ZoneInfo) -> None:
    rows = [
        (local(line["at"], zone)[:19], line["by"], Cell(harmless(line["text"]) + (" (came too late)" if line["late"] else ""), ""))
        for line in shown["timeline"]
    ]
    session.out.table(("when", "who", "what"), rows)


def _doubts(session: Session, shown: Mapping[str, Any]) -> None:
    for text in shown["clocks"]:
        session.out.warn(text)
    if shown["missing"]:
        lacking = counted(len(shown["missing"]), "entry of other hosts is", "entries of other hosts are")
        session.out.warn(f"{lacking} not here yet: {', '.join(shown['missing'][:3])}")
    if shown["forged"]:
        session.out.warn(f"entries are not those that others cite: {', '.join(shown['forged'])}: see holdfast log")


def _next(say: Any, found: Incident, shown: Mapping[str, Any]) -> None:
    post = shown["postmortem"]
    match found.state:
        case "declared":
            say(f"  take it: holdfast incident ack {found.id}")
        case "acknowledged":
            say(f"  when the harm is stopped: holdfast incident mitigate {found.id}")
        case "mitigated":
            say(f"  when it is over: holdfast incident resolve {found.id}")
        case "resolved":
            overdue = "OVERDUE" if post["overdue"] else "due"
            when = f"{overdue} {str(post['due_at'])[:16]}" if post["due_at"] else "finished"
            say(f"  post-mortem {when}: holdfast incident postmortem {found.id} --write FILE")
