"""The sum for one system: what it says itself, over its tier, over the rest of the plan."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.plan.errors import KindNotThereYet
from holdfast.plan.shape.document import Document
from holdfast.plan.shape.promise import EVERYWHERE, Keep, Verify
from holdfast.plan.shape.systems import AVAILABLE, SystemSpec
from holdfast.plan.shape.vault import Location
from holdfast.plan.values.cron import Schedule


@dataclass(frozen=True)
class EffectiveSystem:
    """Everything that holds for one system. ``rpo`` has a duration for each of its locations, and is empty when none is promised.
    ``locations`` are in the order in which they are written (the vault's). ``spec`` is the system as in the plan, defaults applied.
    """

    name: str
    kind: str
    spec: SystemSpec
    tier: str | None
    labels: Mapping[str, str]
    rpo: Mapping[str, dt.timedelta]
    rto: dt.timedelta | None
    mtd: dt.timedelta | None
    backup: Schedule | None
    continuous: bool
    verify: Verify
    drill: Schedule | None
    keep: Keep
    locations: tuple[Location, ...]
    min_copies: int

    @property
    def available(self) -> bool:
        """Whether this version can protect this kind."""
        return self.kind in AVAILABLE

    def require_available(self) -> None:
        """Raises KindNotThereYet where ``available`` is false."""
        if not self.available:
            raise KindNotThereYet(
                f"System '{self.name}' is of kind {self.kind}, which is not there yet: the plan is checked, nothing is protected.",
                hint=f"Kinds there now: {', '.join(sorted(AVAILABLE))}. Name those systems; until then protect it by other means.",
                system=self.name,
                kind=self.kind,
            )

    @property
    def tightest_rpo(self) -> dt.timedelta | None:
        return min(self.rpo.values(), default=None)

    def document(self) -> dict[str, Any]:
        """JSON-ready, in the plan's own notation."""
        from holdfast.plan.values.units import format_duration

        own = self.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
        promise = {
            "rpo": {name: format_duration(value) for name, value in self.rpo.items()},
            "rto": None if self.rto is None else format_duration(self.rto),
            "mtd": None if self.mtd is None else format_duration(self.mtd),
            "backup": None if self.backup is None else str(self.backup),
            "continuous": self.continuous,
            "verify": self.verify.model_dump(mode="json", exclude_none=True),
            "drill": None if self.drill is None else str(self.drill),
            "keep": self.keep.model_dump(mode="json", exclude_none=True),
            "locations": [location.name for location in self.locations],
            "min_copies": self.min_copies,
        }
        head = {"kind": self.kind, "tier": self.tier}
        return {**head, **{key: value for key, value in own.items() if key not in promise and key not in head}, **promise}


def effective(document: Document, name: str) -> EffectiveSystem:
    """The sum for the system ``name`` of the document. References to tiers and locations that do not exist count as absent here."""
    spec = document.systems[name]
    tier = document.tiers.get(spec.tier) if spec.tier else None

    def pick(key: str) -> Any:
        own = getattr(spec, key)
        return own if own is not None else getattr(tier, key, None)

    wanted = pick("locations")
    locations = tuple(location for location in document.vault.locations if wanted is None or location.name in wanted)
    rpo = pick("rpo") or {}
    everywhere = rpo.get(EVERYWHERE)
    by_location = {location.name: rpo.get(location.name, everywhere) for location in locations}
    return EffectiveSystem(
        name=name,
        kind=spec.kind,
        spec=spec,
        tier=spec.tier,
        labels=spec.labels,
        rpo={place: value for place, value in by_location.items() if value is not None},
        rto=pick("rto"),
        mtd=pick("mtd"),
        backup=pick("backup"),
        continuous=bool(pick("continuous")) and type(spec).continuous_possible,
        verify=pick("verify") or Verify.model_construct(),
        drill=pick("drill"),
        keep=pick("keep") or Keep.model_construct(),
        locations=locations,
        min_copies=pick("min_copies") or 1,
    )
