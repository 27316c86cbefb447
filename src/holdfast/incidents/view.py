"""An incident for machines: everything that ``incident show --json`` gives, and one line of a list. Pure but for the clock."""

from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.incidents.page import internal_text, public_text, state_of
from holdfast.incidents.policy import Policy
from holdfast.incidents.postmortem.rules import due_at, lacks
from holdfast.incidents.promises import durations, standings
from holdfast.incidents.record.order import disagreements, forged, missing
from holdfast.incidents.record.state import Incident
from holdfast.incidents.timeline import RunSeen, losses, timeline
from holdfast.model import Clock


def summary(one: Incident) -> dict[str, Any]:
    """JSON-ready but for moments."""
    return {
        "incident": one.id,
        "title": one.title,
        "severity": one.severity,
        "state": one.state,
        "drill": one.drill or None,
        "outcome": one.outcome or None,
        "declared_at": one.declared.at,
        "resolved_at": one.resolved.at if one.resolved else None,
        "systems": list(one.affected),
        "commander": one.roles.get("commander"),
        "unanswered": one.exhausted,
        "open_actions": len(one.open_actions),
    }


def document(
    one: Incident, policy: Policy, clock: Clock, seen: Sequence[RunSeen], lines: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """``lines``: messages of the outbox."""
    moment = due_at(one, policy.said.postmortem)
    clocks = standings(one, clock, losses(seen))
    return {
        **summary(one),
        "meaning": policy.meaning(one.severity),
        "description": one.description or None,
        "source": dict(one.source),
        "key": one.key or None,
        "seen": one.seen,
        "detected_at": one.detected,
        "declared_by": one.declared.by.name,
        "acknowledged_at": one.round.acknowledged.at if one.round.acknowledged else None,
        "acknowledged_by": one.round.acknowledged.by.name if one.round.acknowledged else None,
        "mitigated_at": one.round.mitigated.at if one.round.mitigated else None,
        "roles": dict(one.roles),
        "responders": list(one.responders),
        "affected": [
            {
                "system": each.system,
                "tier": each.promise.get("tier"),
                "recovered_at": each.recovered.at if each.recovered else None,
                "lost_seconds": each.lost,
                "promises": [standing.document() for standing in clocks if standing.system == each.system],
            }
            for each in one.affected.values()
        ],
        "durations": durations(one),
        "references": dict(one.references),
        "escalation": [
            {"step": page.step, "at": page.event.at, "asked": list(page.to), "reason": page.reason, "everybody": page.last}
            for page in one.pages
        ],
        "status_page": {"state": state_of(one), "internal": internal_text(one), "public": _public(one, policy)},
        "runs": [run.document() for run in seen],
        "timeline": [line.document() for line in timeline(one, seen)],
        "messages": list(lines),
        "actions": [action.document() for action in one.actions.values()],
        "postmortem": {
            "due_at": moment,
            "overdue": moment is not None and moment <= clock.now(),
            "finished_at": one.finished.at if one.finished else None,
            "finished_by": one.finished.by.name if one.finished else None,
            "lacks": lacks(one),
        },
        "clocks": disagreements(one.events),
        "missing": missing(one.events),
        "forged": forged(one.events),
        "rounds": len(one.rounds),
    }


def _public(one: Incident, policy: Policy) -> str:
    said = str(one.update.data.get("public", "")) if one.update else ""
    # What was said is shown as long as the incident has not moved on.
    if said and one.update is not None and one.update.data.get("state") == state_of(one):
        return f"[DRILL] {said}" if one.drill else said
    return public_text(one, policy)
