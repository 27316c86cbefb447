"""Platforms beside the plan's own: an empty machine, a location less, another key, a vault of its own, packs that end in their middle."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.assembly.platform import Platform
from holdfast.drills.errors import DrillUsage
from holdfast.model import Clock
from holdfast.plan import Location, Plan
from holdfast.storage.contract import ObjectInfo, Storage
from holdfast.storage.wrappers.base import Wrapper

if TYPE_CHECKING:
    from holdfast.plan.values.secret import KeyRef
    from holdfast.systems.postgres.recovery import PostgresRecovery

CACHES = "drill-cache-"


class Elsewhere(Platform):
    """A plan as another machine would have it: with a cache of its own that is empty. ``cut``: every pack ends in its middle."""

    def __init__(self, plan: Plan, *, clock: Clock, environ: Mapping[str, str], cut: bool = False, own_plan: bool = True) -> None:
        super().__init__(plan, clock=clock, environ=environ)
        self._cut, self._own_plan = cut, own_plan

    def storage(self, location: Location, *, create: bool = False, one_of_several: bool = False) -> Storage:
        found = super().storage(location, create=create, one_of_several=one_of_several)
        return Cut(found) if self._cut else found

    def postgres_recovery(self, name: str) -> "PostgresRecovery":
        found = super().postgres_recovery(name)
        if self._cut or not self._own_plan:
            # A restored server would fetch its WAL by the plan's file, and so from where this drill must not read.
            found.plan_file = None
        return found


class Cut(Wrapper):
    """Reads of packs end in the middle of the pack, as after an upload that was torn. Nothing is changed where they lie."""

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        if not name.startswith("packs/"):
            return self.inner.get(name, start, length)
        info = self.inner.head(name)
        end = (info.size if info is not None else 0) // 2
        wanted = end - start if length is None else min(length, end - start)
        return self.inner.get(name, start, wanted) if wanted > 0 else b""

    def head(self, name: str) -> ObjectInfo | None:
        found = self.inner.head(name)
        return replace(found, size=found.size // 2) if found is not None and name.startswith("packs/") else found

    def list(self, prefix: str = "", after: str = "") -> Iterator[ObjectInfo]:
        for one in self.inner.list(prefix, after):
            yield replace(one, size=one.size // 2) if one.name.startswith("packs/") else one


@contextlib.contextmanager
def elsewhere(like: Platform, plan: Plan | None = None, *, cut: bool = False, own_state: bool = False) -> Iterator[Elsewhere]:
    """A platform with an empty cache, gone on leaving. ``plan``: another one than that of ``like``. ``own_state``: what is done there is no
    part of the platform's own history.
    """
    folder = like.state_folder / "drills"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    cache = Path(tempfile.mkdtemp(prefix=CACHES, dir=folder))
    environ = {**like.environ, "HOLDFAST_CACHE": str(cache), **({"HOLDFAST_STATE": str(cache / "state")} if own_state else {})}
    try:
        with Elsewhere(plan or like.plan, clock=like.clock, environ=environ, cut=cut, own_plan=plan is None) as made:
            made.told = like.told
            yield made
    finally:
        shutil.rmtree(cache, ignore_errors=True)


def sweep(like: Platform) -> list[str]:
    """Caches that killed drills left. Only for whoever knows that none is at work."""
    found = []
    for folder in sorted((like.state_folder / "drills").glob(f"{CACHES}*")):
        shutil.rmtree(folder, ignore_errors=True)
        found.append(str(folder))
    return found


def without(plan: Plan, name: str) -> Plan:
    """The plan whose vault has lost a location. Raises DrillUsage where a system would have none left."""
    left = tuple(one for one in plan.document.vault.locations if one.name != name)
    lost = _changed(plan, vault=plan.document.vault.model_copy(update={"locations": left}))
    for system in plan.systems:
        if left and not lost.effective(system).locations:
            raise DrillUsage(
                f"{system} is kept in {name} alone: with it everything is lost, and there is nothing to rehearse.",
                hint="Give its tier a second location, or leave it out with --system.",
                system=system,
                location=name,
            )
    if not left:
        raise DrillUsage(f"{name} is the vault's only location.", hint="Add a second one to the plan.", location=name)
    return lost


def with_key(plan: Plan, key: "KeyRef") -> Plan:
    """The plan whose vault is opened by another key."""
    return _changed(plan, vault=plan.document.vault.model_copy(update={"key": key}))


def in_place(plan: Plan, location: Location) -> Plan:
    """The plan whose vault lies in one other place, for all systems."""
    alone: dict[str, Any] = {"locations": None, "min_copies": None, "rpo": None}
    document = plan.document
    tiers = {name: tier.model_copy(update=alone) for name, tier in document.tiers.items()}
    systems = {name: spec.model_copy(update=alone) for name, spec in document.systems.items()}
    return _changed(plan, vault=document.vault.model_copy(update={"locations": (location,)}), tiers=tiers, systems=systems)


def _changed(plan: Plan, **parts: Any) -> Plan:
    return replace(plan, document=plan.document.model_copy(update=parts))
