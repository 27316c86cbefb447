"""The clocks of an incident: how long it took, what was promised, what of it was kept. Pure. Times of systems run from the declaration."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.incidents.record.events import Event, between
from holdfast.incidents.record.state import Affected, Incident
from holdfast.journal import boot
from holdfast.model import Clock


@dataclass(frozen=True, slots=True)
class Standing:
    """One promise of one system, in seconds. ``state``: running, missed, kept, unknown."""

    system: str
    promise: str
    promised: float
    measured: float | None
    state: str

    def document(self) -> dict[str, Any]:
        return {
            "system": self.system,
            "promise": self.promise,
            "promised_seconds": self.promised,
            "measured_seconds": None if self.measured is None else round(self.measured, 1),
            "left_seconds": round(self.promised - self.measured, 1) if self.state == "running" and self.measured is not None else None,
            "state": self.state,
        }


def elapsed(since: Event, clock: Clock) -> dt.timedelta:
    """Until now: by the monotonic clock on the host and in the boot that wrote ``since``, else by the wall clock, never below zero."""
    if since.boot and since.boot == boot():
        return dt.timedelta(seconds=max(clock.monotonic() - since.mono, 0.0))
    return max(clock.now() - since.at, dt.timedelta(0))


def standings(found: Incident, clock: Clock, losses: Mapping[str, float] | None = None) -> list[Standing]:
    """RTO and MTD of each affected system, and its tightest RPO where it is known what was lost. ``losses``: seconds of data, at the most,
    by what linked restores measured; what a person said goes before them.
    """
    made: list[Standing] = []
    for affected in found.affected.values():
        took = _took(found, affected, clock)
        for name in ("rto", "mtd"):
            promised = affected.promise.get(name)
            if promised is not None:
                over = took > promised
                state = "missed" if over else "kept" if affected.recovered else "running"
                made.append(Standing(affected.system, name, float(promised), took, state))
        rpo = affected.promise.get("rpo") or {}
        if rpo:
            lost = affected.lost if affected.lost is not None else (losses or {}).get(affected.system)
            tightest = float(min(rpo.values()))
            state = "unknown" if lost is None else "kept" if lost <= tightest else "missed"
            made.append(Standing(affected.system, "rpo", tightest, lost, state))
    return made


def _took(found: Incident, affected: Affected, clock: Clock) -> float:
    begun = found.declared
    if affected.recovered is not None:
        return between(begun, affected.recovered).total_seconds()
    return elapsed(begun, clock).total_seconds()


def durations(found: Incident) -> dict[str, float | None]:
    """Seconds between the stations, None where one is not reached. ``detect``: from the beginning, as far as it is known, to the
    declaration; what was opened again counts from its first declaration to its last resolution.
    """
    first = found.rounds[0]
    last = found.round

    def span(one: Event | None, other: Event | None) -> float | None:
        return None if one is None or other is None else round(between(one, other).total_seconds(), 3)

    return {
        "detect_to_declare": round(max((found.declared.at - found.detected).total_seconds(), 0.0), 3),
        "declare_to_acknowledge": span(first.began, first.acknowledged),
        "declare_to_mitigate": span(first.began, last.mitigated),
        "declare_to_resolve": span(first.began, last.resolved),
    }
