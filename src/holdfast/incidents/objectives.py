"""Promises that are missed, and proofs that failed, declare incidents by themselves. Pure but for the declaration."""

import datetime as dt
from collections.abc import Iterable, Sequence

from holdfast.incidents.policy import LEVELS, Policy
from holdfast.incidents.record.state import Incident
from holdfast.incidents.room import Declaration, Room
from holdfast.protection.status import PlatformStatus, Reason, SystemStatus
from holdfast.runbooks.engine.people import Person


def missed(status: PlatformStatus, policy: Policy) -> list[Declaration]:
    """What the plan wants declared, at most one declaration for each system and kind of trouble. A system that somebody paused is passed
    over: its promise is missed with open eyes.
    """
    if policy.rules is None:
        return []
    made: list[Declaration] = []
    for system in status.systems:
        if system.past.pause is not None:
            continue
        for trigger in policy.rules.declare:
            reasons = [reason for reason in system.reasons if _trigger(reason) == trigger]
            if reasons:
                made.append(_declaration(system, trigger, reasons, policy))
    return made


def declare(found: Iterable[Declaration], room: Room, by: Person) -> list[Incident]:
    """Those that are new."""
    made = [room.declare(one, by) for one in found]
    return [incident for incident, new in made if new]


def failed_drill(scenario: str, run: str, systems: Sequence[str], ended: dt.datetime, policy: Policy) -> Declaration | None:
    """What a drill that failed shows in earnest: one would not come back as promised. None where the plan does not want it declared."""
    if policy.rules is None or "drill" not in policy.rules.declare:
        return None
    return Declaration(
        f"the drill {scenario} failed",
        tuple(name for name in systems if name in policy.promises),
        _less(policy.severity(systems)),
        f"holdfast report {run}",
        source={"kind": "drill", "run": run},
        key=f"drill/{scenario}",
        detected=ended,
        since=ended,
    )


def _less(severity: str) -> str:
    """Nothing is lost yet; but nobody knows whether it would come back."""
    return LEVELS[min(LEVELS.index(severity) + 1, len(LEVELS) - 1)]


def _trigger(reason: Reason) -> str:
    if reason.state == "missed":
        return "verify" if reason.about == "proof" else "missed"
    return reason.state


def _declaration(system: SystemStatus, trigger: str, reasons: list[Reason], policy: Policy) -> Declaration:
    name = system.system.name
    severity = policy.severity([name])
    if trigger != "missed":
        severity = _less(severity)
    known = [reason.since for reason in reasons if reason.since is not None]
    since: dt.datetime | None = max(known) if known else None
    return Declaration(
        f"{name}: {reasons[0].text}",
        (name,),
        severity,
        "\n".join(f"{reason.text}{f' ({reason.hint})' if reason.hint else ''}" for reason in reasons),
        source={"kind": trigger, "reasons": [reason.text for reason in reasons]},
        key=f"{trigger}/{name}",
        detected=min(known) if known else None,
        since=since,
    )
