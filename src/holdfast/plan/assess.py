"""What is promised beside what is configured, measured and paid. What was not measured is said to be so, never guessed."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.plan.effective import EffectiveSystem
from holdfast.plan.plan import Plan
from holdfast.plan.shape.operations import Prices
from holdfast.plan.values.units import format_duration

NOT_MEASURED = "not measured yet"


@dataclass(frozen=True)
class Measured:
    """From the history of one system: the newest figures that were seen, None where none was. ``stored`` in bytes by location."""

    exposure: dt.timedelta | None = None
    restore: dt.timedelta | None = None
    proved_at: dt.datetime | None = None
    stored: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Assessment:
    """One system. ``gaps`` are sentences: what the plan leaves open. Costs are in the plan's currency, None where a figure is missing."""

    system: str
    tier: str | None
    promised: Mapping[str, Any]
    configured: Mapping[str, Any]
    measured: Mapping[str, Any]
    cost: Mapping[str, Any]
    gaps: tuple[str, ...]


def assess(plan: Plan, measured: Mapping[str, Measured] | None = None) -> list[Assessment]:
    """Every system, in the plan's order; ``measured`` by system's name."""
    seen = measured or {}
    return [_one(plan, plan.effective(name), seen.get(name, Measured())) for name in plan.systems]


def _one(plan: Plan, system: EffectiveSystem, seen: Measured) -> Assessment:
    worst = None if system.backup is None else system.backup.longest_gap
    return Assessment(
        system=system.name,
        tier=system.tier,
        promised={
            "rpo": {place: format_duration(value) for place, value in system.rpo.items()},
            "rto": _text(system.rto),
            "mtd": _text(system.mtd),
        },
        configured={
            "between_backups": _text(worst),
            "follows_log": system.continuous,
            "locations": [location.name for location in system.locations],
            "failure_domains": sorted({location.failure_domain for location in system.locations if location.failure_domain}),
            "min_copies": system.min_copies,
            "protected_by_this_version": system.available,
        },
        measured={
            "exposure": _text(seen.exposure) or NOT_MEASURED,
            "restore": _text(seen.restore) or NOT_MEASURED,
            "proved_at": seen.proved_at.isoformat() if seen.proved_at else NOT_MEASURED,
            "stored_bytes": dict(seen.stored) or NOT_MEASURED,
        },
        cost=_cost(plan.document.prices, system, seen),
        gaps=tuple(_gaps(system, seen)),
    )


def _text(value: dt.timedelta | None) -> str | None:
    return None if value is None else format_duration(value)


def _cost(prices: Prices | None, system: EffectiveSystem, seen: Measured) -> dict[str, Any]:
    """Only what prices are given for: storage a month by location (GiB and month), an outage as long as RTO and MTD allow."""
    if prices is None:
        return {}
    found: dict[str, Any] = {}
    priced = {place: price for place, price in prices.storage.items() if place in {location.name for location in system.locations}}
    if priced:
        costs = {place: round(price * seen.stored[place] / 2**30, 2) for place, price in priced.items() if place in seen.stored}
        found["storage_per_month"] = costs or NOT_MEASURED
    hourly = prices.downtime_per_hour.get(system.tier or "")
    if hourly is not None:
        for key, length in (("outage_of_rto", system.rto), ("outage_of_mtd", system.mtd)):
            if length is not None:
                found[key] = round(hourly * length.total_seconds() / 3600, 2)
        if seen.restore is not None:
            found["outage_as_measured"] = round(hourly * seen.restore.total_seconds() / 3600, 2)
    return found


def _gaps(system: EffectiveSystem, seen: Measured) -> Iterator[str]:
    if not system.available:
        yield f"kind {system.kind} is not there yet: nothing is protected"
    if not system.rpo:
        yield "no rpo is promised"
    if system.rto is None:
        yield "no rto is promised"
    if system.verify.restore is None:
        yield "restores are never proved: verify.restore is not scheduled"
    if not system.spec.checks:
        yield "no checks: a restore is proved by structure alone"
    if system.drill is None:
        yield "no drill is scheduled"
    domains = {location.failure_domain for location in system.locations}
    if len(system.locations) == 1:
        yield f"one copy only, in {system.locations[0].name}"
    elif len(domains) == 1 and None not in domains:
        yield f"every copy is in one failure domain, {next(iter(domains))}"
    if not any(location.lock for location in system.locations):
        yield "no copy is locked: who holds the store's credentials can destroy all of them"
    if seen.exposure is not None and system.tightest_rpo is not None and seen.exposure > max(system.rpo.values()):
        yield f"exposure {format_duration(seen.exposure)} is above the rpo"
    if seen.restore is not None and system.rto is not None and seen.restore > system.rto:
        yield f"the last restore took {format_duration(seen.restore)}, longer than the rto"
