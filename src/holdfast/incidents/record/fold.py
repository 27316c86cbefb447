"""The state of an incident out of its entries. Pure and total: whatever two people on two hosts did at once, every entry is kept, and every
host that has the same entries sees the same state. What came too late to change anything stands in ``ignored`` and in the timeline.
"""

import contextlib
import datetime as dt
from collections.abc import Callable, Iterable, Sequence

from holdfast.incidents.record.events import Event
from holdfast.incidents.record.order import ordered
from holdfast.incidents.record.state import Action, Affected, Incident, Page, Round

COMMANDER = "commander"
MACHINE = "holdfast"
"""Who does what nobody did."""


def fold(events: Iterable[Event]) -> Incident | None:
    """Of one incident; None where its declaration is not here (yet)."""
    line = ordered(events)
    begin, found = _begun(line)
    if found is None:
        return None
    for one in line:
        if one is begin:
            continue
        if one.key and one.key in found.keys:
            found.repeated.add(one.name)
            continue
        if one.key:
            found.keys.add(one.key)
        change = _CHANGES.get(one.kind)
        if change is not None and not _changed(change, found, one):
            found.ignored.add(one.name)
    return found


_ODD = (AttributeError, KeyError, TypeError, ValueError)
"""What is raised by data of another shape than this version knows: it changes nothing, and keeps nobody from answering."""


def _begun(line: Sequence[Event]) -> tuple[Event | None, Incident | None]:
    for one in line:
        if one.kind == "declared":
            with contextlib.suppress(*_ODD):
                return one, _declared(one, line)
    return None, None


def _changed(change: Callable[[Incident, Event], bool], found: Incident, one: Event) -> bool:
    try:
        return change(found, one)
    except _ODD:
        return False


def _declared(one: Event, line: Sequence[Event]) -> Incident:
    data = one.data
    detected = data.get("detected")
    found = Incident(
        one.incident,
        list(line),
        str(data["title"]),
        str(data.get("description", "")),
        _level(data["severity"]),
        data.get("source", {}),
        str(data.get("key", "")),
        str(data.get("drill", "")),
        dt.datetime.fromisoformat(detected) if detected else one.at,
    )
    found.rounds.append(Round(one))
    found.roles |= {role: str(name) for role, name in data.get("roles", {}).items()}
    found.references |= data.get("references", {})
    if one.key:
        found.keys.add(one.key)
    for system, promise in data.get("systems", {}).items():
        found.affected[system] = Affected(system, one, promise)
    if data.get("page"):
        found.pages.append(Page(one, 0, tuple(data["page"]), "declared"))
    return found


def _again(found: Incident, one: Event) -> bool:
    """Declared by two hosts at once, or met again."""
    found.seen += 1
    if one.kind == "declared":
        for system, promise in one.data.get("systems", {}).items():
            found.affected.setdefault(system, Affected(system, one, promise))
    return found.open


def _acknowledged(found: Incident, one: Event) -> bool:
    _takes(found, one)
    if not found.open:
        return False
    found.round.acknowledged = found.round.acknowledged or one
    if found.state == "declared":
        found.state = "acknowledged"
    return True


def _takes(found: Incident, one: Event) -> None:
    """Somebody has to be in command; who answers first is, until somebody else takes it."""
    if one.by.name == MACHINE:
        return
    if one.by.name not in found.responders:
        found.responders.append(one.by.name)
    if found.open:
        found.roles.setdefault(COMMANDER, one.by.name)


def _mitigated(found: Incident, one: Event) -> bool:
    _takes(found, one)
    if found.state not in ("declared", "acknowledged"):
        return False
    found.round.acknowledged = found.round.acknowledged or one
    found.round.mitigated = one
    found.state = "mitigated"
    _recover(found, one, one.data.get("lost", {}))
    return True


def _resolved(found: Incident, one: Event) -> bool:
    _takes(found, one)
    if not found.open:
        return False
    found.round.acknowledged = found.round.acknowledged or one
    if found.round.mitigated is None:
        found.round.mitigated = one
        _recover(found, one, {})
    for system, lost in one.data.get("lost", {}).items():
        if system in found.affected:
            found.affected[system].lost = float(lost)
    found.round.resolved = one
    found.state = "resolved"
    return True


def _recover(found: Incident, one: Event, lost: dict[str, float]) -> None:
    for affected in found.affected.values():
        affected.recovered = affected.recovered or one
    for system, seconds in lost.items():
        if system in found.affected:
            found.affected[system].lost = float(seconds)


def _reopened(found: Incident, one: Event) -> bool:
    """Somebody has to answer anew; the promises of what is not well again run on from the first declaration."""
    if found.state in ("declared", "acknowledged"):
        return False
    found.rounds.append(Round(one))
    found.state = "declared"
    found.outcome = ""
    found.finished = None
    for system in one.data.get("systems", found.affected):
        if system in found.affected:
            found.affected[system].recovered = None
    found.pages.append(Page(one, 0, tuple(one.data.get("page", ())), "reopened"))
    return True


def _closed(found: Incident, one: Event) -> bool:
    if found.state == "closed" or (found.state != "resolved" and not one.data.get("outcome")):
        return False
    if found.round.resolved is None:
        found.round.resolved = one
        _recover(found, one, {})
    found.outcome = str(one.data.get("outcome", "learnt"))
    found.state = "closed"
    return True


def _assigned(found: Incident, one: Event) -> bool:
    role, person = str(one.data["role"]), str(one.data.get("person") or "")
    if person:
        found.roles[role] = person
    else:
        found.roles.pop(role, None)
    return True


def _severity(found: Incident, one: Event) -> bool:
    found.severity = _level(one.data["to"])
    return True


def _level(said: object) -> str:
    if said not in ("P1", "P2", "P3", "P4"):
        raise ValueError("no severity")
    return str(said)


def _systems(found: Incident, one: Event) -> bool:
    for system, promise in one.data.get("add", {}).items():
        found.affected.setdefault(system, Affected(system, one, promise))
    for system in one.data.get("remove", ()):
        found.affected.pop(system, None)
    for system in one.data.get("recovered", ()):
        if system in found.affected:
            found.affected[system].recovered = found.affected[system].recovered or one
    for system, lost in one.data.get("lost", {}).items():
        if system in found.affected:
            found.affected[system].lost = float(lost)
    return True


def _referred(found: Incident, one: Event) -> bool:
    found.references |= one.data["references"]
    return True


def _linked(found: Incident, one: Event) -> bool:
    run = str(one.data["run"])
    if not run:
        return False
    found.runs.setdefault(run, one)
    return True


def _updated(found: Incident, one: Event) -> bool:
    found.update = one
    return True


def _escalated(found: Incident, one: Event) -> bool:
    found.pages.append(
        Page(one, int(one.data["step"]), tuple(one.data["page"]), str(one.data.get("reason", "")), bool(one.data.get("last")))
    )
    return found.state == "declared"


def _written(found: Incident, one: Event) -> bool:
    """A newer text of a section takes the older one's place; what was finished is open again when its text changes."""
    sections = {str(name): str(text) for name, text in one.data["sections"].items()}
    if all(found.sections.get(name) == text for name, text in sections.items()):
        return True
    found.sections |= sections
    found.finished = None
    return True


def _finished(found: Incident, one: Event) -> bool:
    if found.open or found.finished is not None:
        return False
    found.finished = one
    return True


def _action(found: Incident, one: Event) -> bool:
    name = str(one.data["action"])
    action = found.actions.setdefault(name, Action(name, str(one.data.get("text", "")), since=one))
    for field in ("text", "owner", "due"):
        if one.data.get(field) is not None:
            setattr(action, field, str(one.data[field]))
    if one.data.get("evidence"):
        action.closed, action.evidence = one, str(one.data["evidence"])
    elif one.data.get("open"):
        action.closed, action.evidence = None, ""
    return True


def _delivered(found: Incident, one: Event) -> bool:
    found.delivered[str(one.data["message"])] = one
    if one.data.get("reference"):
        found.references[str(one.data["channel"])] = one.data["reference"]
    return True


def _undelivered(found: Incident, one: Event) -> bool:
    if one.data["state"] == "dropped":
        found.dropped.add(str(one.data["message"]))
    return True


_CHANGES: dict[str, Callable[[Incident, Event], bool]] = {
    "declared": _again,
    "seen": _again,
    "acknowledged": _acknowledged,
    "mitigated": _mitigated,
    "resolved": _resolved,
    "reopened": _reopened,
    "closed": _closed,
    "assigned": _assigned,
    "severity": _severity,
    "systems": _systems,
    "referred": _referred,
    "linked": _linked,
    "updated": _updated,
    "escalated": _escalated,
    "written": _written,
    "finished": _finished,
    "action": _action,
    "delivered": _delivered,
    "undelivered": _undelivered,
}
