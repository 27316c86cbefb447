"""``holdfast status``.

JSON: ``{"platform", "at", "state": "ok" | "missed" | "unknown", "systems": [{"system", "kind", "tier", "state", "reasons": [{"state",
"text", "hint"}], "exposure": [{"location", "promised_seconds", "as_of", "exposure_seconds", "source", "state", "why",
"behind"}], "rto": {"promised_seconds", "measured_seconds", "worst_seconds", "samples", "holds"}, "rpo": {"holds"}, "last_backup",
"next_backup", "points", "proofs", "due", "paused", "running"}], "notices", "incidents": {"open", "due", "messages", "unanswered",
"schedule": {"last_run", "host", "usual_seconds", "limit_seconds", "late"}, "stalled"}}``, where ``holds`` is null or
``{"promised_seconds", "samples", "kept", "at_least", "confidence", "method", "median_seconds", "worst_seconds", "trend_seconds"}``, and
``schedule`` tells of 'due --run'. Exit status 1 unless the state is ok, while nobody answers an incident, while a post-mortem is overdue,
and while ``stalled``: somebody is to be paged or told, and no 'due --run' does it.
"""

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option, Systems
from holdfast.interfaces.cli.terminal.tables import Cell
from holdfast.plan import format_duration

if TYPE_CHECKING:
    from holdfast.protection.status import PlatformStatus, SystemStatus

STYLES = {"ok": "ok", "missed": "fail", "unknown": "fail"}


def command(
    session: Session,
    systems: Systems = (),
    *,
    prometheus: Annotated[Path | None, Option("write it for the node exporter's textfile collector as well", metavar="FILE")] = None,
) -> int:
    """Show the promise, the actual exposure now and the last proof of each system.

    Fails (1) when a promise is missed, and when nobody knows: an unknown status is a failure. So is an incident that nobody answers,
    a post-mortem that is overdue, and a page or a message that is due while no 'due --run' runs to send it.
    """
    plan = session.plan
    names = session.select(systems)
    session.import_ahead(names, "status")
    past = {name: session.platform.past(name) for name in names if plan.effective(name).available}
    from holdfast.protection.status import status

    found = status(plan.platform, [plan.effective(name) for name in names], plan.document.windows, plan.zone, past, now=session.clock.now())
    if prometheus is not None:
        from holdfast.interfaces.cli.commands.incident.schedule import Schedule
        from holdfast.protection import prometheus as metrics

        metrics.write(prometheus, metrics.text(found) + Schedule(session).metrics())
    notices = [{"at": at, "text": text} for at, text in session.platform.state.database.notices()]
    from holdfast.interfaces.cli.commands.incident.schedule import standing, tell

    incidents = standing(session)

    def human() -> None:
        _show(session, found)
        tell(session, incidents)

    session.out.result({**found.document(), "notices": notices, "incidents": incidents}, human)
    troubled = incidents["unanswered"] or incidents["stalled"] or any(each["what"] == "postmortem" for each in incidents["due"])
    return 0 if found.state == "ok" and not troubled else 1


def _show(session: Session, found: "PlatformStatus") -> None:
    rows: list[tuple[str | Cell, ...]] = []
    for system in found.systems:
        for number, exposure in enumerate(system.exposures):
            lost = (
                "unknown"
                if exposure.lost is None and exposure.state == "unknown"
                else "everything"
                if exposure.lost is None
                else _span(exposure.lost)
            )
            rows.append(
                (
                    system.system.name if number == 0 else "",
                    Cell(system.state, STYLES[system.state]) if number == 0 else "",
                    exposure.location,
                    _span(exposure.promised) if exposure.promised is not None else "-",
                    Cell(lost, STYLES[exposure.state]),
                    (exposure.source or "-"),
                    _ago(system.last_backup, found.at) if number == 0 else "",
                    last_proofs(system) if number == 0 else "",
                )
            )
        if not system.exposures:
            rows.append((system.system.name, Cell(system.state, STYLES[system.state]), "-", "-", "-", "-", "-", "-"))
    session.out.table(("system", "state", "location", "promised", "would lose", "from", "last backup", "last proof"), rows)
    for system in found.systems:
        for reason in system.reasons:
            hint = f" ({reason.hint})" if reason.hint else ""
            session.out.say(f"{system.system.name}: {reason.text}{hint}")
        for promise, holds in (("RTO", system.rto_holds), ("RPO", system.rpo_holds)):
            if holds is not None:
                session.out.say(f"{system.system.name}: {promise} {_span(dt.timedelta(seconds=holds.promised))}: {holds.sentence}")


def last_proofs(system: "SystemStatus") -> Cell:
    """The last one of each depth: a look at the vault that is an hour old is no restore."""
    if not system.proofs:
        return Cell("never", "fail")
    told = []
    for tier, proof in system.proofs.items():
        alone = " (not compared)" if proof.detail.get("compared") == "no" else ""
        told.append(f"{tier.replace('_', ' ')} {'ok' if proof.ok else 'FAILED'} {_ago(proof.at, system.now)}{alone}")
    return Cell(", ".join(told), "ok" if all(proof.ok for proof in system.proofs.values()) else "fail")


def _ago(moment: dt.datetime | None, now: dt.datetime) -> str:
    return "never" if moment is None else f"{_span(now - moment)} ago"


def _span(value: dt.timedelta) -> str:
    """Two units at most are worth reading."""
    total = value.total_seconds()
    if total < 10:
        return f"{total:.1f}s"
    step = 1 if total < 600 else 60 if total < 86400 else 3600
    return format_duration(dt.timedelta(seconds=round(total / step) * step))
