"""What an incident's entries say to people, as messages of channels. Pure: the same entry makes the same message with the same key."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from holdfast.connect.channels import Kind, Message
from holdfast.incidents.policy import Policy
from holdfast.incidents.record.events import Event
from holdfast.incidents.record.state import Incident
from holdfast.plan.values.units import format_duration

KINDS: dict[str, Kind] = {
    "declared": "declared",
    "reopened": "declared",
    "acknowledged": "acknowledged",
    "escalated": "escalated",
    "resolved": "resolved",
    "closed": "resolved",
    "reminded": "reminder",
}


def messages(one: Incident, policy: Policy) -> Iterator[tuple[Event, str, Message]]:
    """(entry, channel, message), in the order of the entries; nothing for entries that came too late to change anything."""
    severity = str(one.declared.data["severity"])
    over, round_ = False, 1
    for event in one.events:
        if event.name in one.ignored or event.name in one.repeated:
            continue
        if event.kind == "severity":
            severity = str(event.data["to"])
        if event.kind == "reopened":
            over, round_ = False, round_ + 1
        for each in event.data.get("tell", ()):
            channel = str(each["channel"])
            yield event, channel, replace(_message(one, policy, event, channel, tuple(each["to"]), severity), over=over, round=round_)
        over = over or event.kind in ("resolved", "closed")


def key_of(event: Event, channel: str) -> str:
    """What the far side and the queue recognise a repetition by: of steps that any host may do, the step's own key. Several hosts may
    declare what has a key, and it is one incident.
    """
    shared = "declared" if event.kind == "declared" and event.data.get("key") else ""
    # Headers carry no more than this: a person's name is part of some keys.
    name = quote(event.key or shared or event.name, safe="/:@ +,.;=-_~", errors="replace")
    return f"{event.incident}/{name}/{channel}"


def keys_of(event: Event, channel: str) -> set[str]:
    """Its key, and the one that it had before declarations had one in common: what was told under it is told."""
    older = {f"{event.incident}/{event.name}/{channel}"} if event.kind == "declared" else set()
    return {key_of(event, channel), *older}


def _message(one: Incident, policy: Policy, event: Event, channel: str, to: tuple[str, ...], severity: str) -> Message:
    title, text = _said(one, event)
    facts: dict[str, str] = {"severity": f"{severity}: {policy.meaning(severity)}"}
    if event.kind in ("declared", "reopened", "escalated"):
        facts |= _promises(one)
        facts |= {name: str(value) for name, value in one.references.items() if isinstance(value, str)}
        facts["acknowledge"] = f"holdfast incident ack {one.id}"
    return Message(
        incident=one.id,
        key=key_of(event, channel),
        kind=KINDS.get(event.kind, "updated"),
        title=title,
        text=text,
        severity=severity,  # type: ignore[arg-type]  # checked when it was written
        drill=bool(one.drill),
        platform=policy.platform,
        by=event.by.name,
        at=event.at.isoformat(timespec="seconds"),
        facts=facts,
        to=to,
    )


def _promises(one: Incident) -> dict[str, str]:
    made = {}
    for affected in one.affected.values():
        promise = affected.promise
        said = [f"{name.upper()} {_span(promise[name])}" for name in ("rto", "mtd") if promise.get(name) is not None]
        if promise.get("rpo"):
            said.append(f"RPO {_span(min(promise['rpo'].values()))}")
        made[affected.system] = ", ".join(said) or "nothing was promised"
    return made


def _span(seconds: float) -> str:
    import datetime as dt

    return format_duration(dt.timedelta(seconds=seconds))


def _said(one: Incident, event: Event) -> tuple[str, str]:
    data: dict[str, Any] = dict(event.data)
    note = str(data.get("note", ""))
    match event.kind:
        case "declared":
            return one.title, str(data.get("description", ""))
        case "reopened":
            return f"Opened again: {one.title}", str(data.get("why", ""))
        case "escalated":
            whom = "everybody" if data.get("last") else ", ".join(data.get("page", ()))
            return f"{one.title}: {data.get('reason')}", f"Now asked: {whom}. {_asked_before(one, event)}".strip()
        case "severity":
            return f"{one.title}: now {data['to']}, was {data['from']}", str(data.get("why", ""))
        case "updated":
            return f"{one.title}: {data.get('state')}", str(data.get("internal", ""))
        case "reminded":
            return f"{one.title}: the post-mortem is overdue", f"It was due {data.get('due')}."
        case "mitigated":
            return f"{one.title}: mitigated", note
        case "resolved":
            return f"{one.title}: resolved", f"{note} {data.get('cause', '')}".strip()
        case "closed":
            return f"{one.title}: closed, {data.get('outcome')}", str(data.get("why", ""))
    return f"{one.title}: {event.kind}", note


def _asked_before(one: Incident, event: Event) -> str:
    names: list[str] = []
    for page in one.pages:
        if page.event.name == event.name:
            break
        names += [name for name in page.to if name not in names]
    return f"Asked before: {', '.join(names)}." if names else ""
