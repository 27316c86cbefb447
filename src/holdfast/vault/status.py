"""What lies in a vault: counts and sizes by location and by system."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from holdfast.errors import HoldfastError, Unreachable
from holdfast.model import RecoveryPoint
from holdfast.storage.contract import ObjectInfo, Storage
from holdfast.vault.copy import Behind, Held, behind
from holdfast.vault.errors import RoleLacking
from holdfast.vault.format.names import parse_point
from holdfast.vault.logs.names import parse
from holdfast.vault.vault import Vault


@dataclass(frozen=True, slots=True)
class LocationStatus:
    """``kinds``: (objects, bytes) by the first part of the name. ``behind``: what the others have and this one lacks."""

    url: str
    kinds: Mapping[str, tuple[int, int]]
    behind: Behind = field(default_factory=Behind)

    @property
    def objects(self) -> int:
        return sum(count for count, _ in self.kinds.values())

    @property
    def bytes(self) -> int:
        return sum(size for _, size in self.kinds.values())


@dataclass(frozen=True, slots=True)
class SystemStatus:
    """``protected``: bytes of the newest point; ``all_points``: of all, as if each were full. ``log_bytes`` as stored, in one location."""

    name: str
    points: int
    oldest: dt.datetime | None
    newest: dt.datetime | None
    protected: int
    all_points: int
    log_increments: int
    log_bytes: int


@dataclass(frozen=True, slots=True)
class VaultStatus:
    """``deduplication``: bytes of all points over bytes of packs (None for an empty vault). ``damaged``: points that cannot be read."""

    id: str
    role: str
    locations: Sequence[LocationStatus]
    systems: Sequence[SystemStatus]
    slots: int
    deduplication: float | None
    damaged: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        return {
            "vault": self.id,
            "role": self.role,
            "slots": self.slots,
            "deduplication": self.deduplication,
            "damaged": list(self.damaged),
            "locations": [
                {
                    "url": one.url,
                    "objects": one.objects,
                    "bytes": one.bytes,
                    "kinds": {kind: {"objects": count, "bytes": size} for kind, (count, size) in one.kinds.items()},
                    "behind": one.behind.to_json(),
                }
                for one in self.locations
            ],
            "systems": [
                {
                    "name": one.name,
                    "points": one.points,
                    "oldest": one.oldest.isoformat() if one.oldest else None,
                    "newest": one.newest.isoformat() if one.newest else None,
                    "protected_bytes": one.protected,
                    "all_points_bytes": one.all_points,
                    "log_increments": one.log_increments,
                    "log_bytes": one.log_bytes,
                }
                for one in self.systems
            ],
        }


def status(vault: Vault, elsewhere: Mapping[str, Collection[str]] | None = None) -> VaultStatus:
    """Lists every location once. One that does not answer is told of in its ``behind``; Unreachable when none does.

    ``elsewhere``: by address of a location, the names of systems that are not kept there.
    """
    logs: dict[str, tuple[int, int]] = {}
    listed: dict[str, tuple[LocationStatus, Held] | HoldfastError] = {}
    for storage in vault.locations.storages:
        try:
            listed[storage.url] = _location(storage, logs if not logs else {})
        except Unreachable as error:
            listed[storage.url] = error
    held = [found[1] for found in listed.values() if isinstance(found, tuple)]
    if not held:
        raise next(found for found in listed.values() if isinstance(found, HoldfastError))
    points = vault.points()
    not_here = {url: [one.id for one in points if one.system in names] for url, names in (elsewhere or {}).items()}
    left_out = {url: [tag for name in names for tag in vault.tags(name)] for url, names in (elsewhere or {}).items()}
    far = behind(held, [one.id for one in points], without=not_here, tags=left_out)
    locations = [
        replace(found[0], behind=far[url]) if isinstance(found, tuple) else LocationStatus(url, {}, Behind(unknown=found.message))
        for url, found in listed.items()
    ]
    by_system: dict[str, list[RecoveryPoint]] = {}
    for point in points:
        by_system.setdefault(point.system, []).append(point)
    try:
        known = {tag: system for system in by_system for tag in vault.tags(system)}
    except RoleLacking:
        known = {}
    tags = {known.get(tag, f"(hidden {tag})"): counted for tag, counted in logs.items()}
    systems = [_system(name, by_system.get(name, []), tags.get(name, (0, 0))) for name in sorted(by_system.keys() | tags.keys())]
    packs = next(one for one in locations if not one.behind.unknown).kinds.get("packs", (0, 0))[1]
    return VaultStatus(
        id=vault.id,
        role=vault.role,
        locations=locations,
        systems=systems,
        slots=len(vault.slots()),
        deduplication=round(sum(one.all_points for one in systems) / packs, 2) if packs else None,
        damaged=[error.message for error in vault.damaged],
    )


def _location(storage: Storage, logs: dict[str, tuple[int, int]]) -> tuple[LocationStatus, Held]:
    """One listing; ``logs`` is filled with (increments, bytes) by the system's tag."""
    kinds: dict[str, tuple[int, int]] = {}
    points: set[str] = set()
    packs: dict[str, int] = {}
    increments: list[ObjectInfo] = []
    for info in storage.list():
        kind = info.name.split("/", 1)[0]
        count, size = kinds.get(kind, (0, 0))
        kinds[kind] = count + 1, size + info.size
        if kind == "logs" and (parsed := parse(info.name)) is not None:
            increments.append(info)
            count, size = logs.get(parsed[0], (0, 0))
            logs[parsed[0]] = count + 1, size + info.size
        elif kind == "packs":
            packs[info.name] = info.size
        elif (point := parse_point(info.name)) is not None and not point[1]:
            points.add(point[0])
    return LocationStatus(storage.url, kinds), Held(storage, frozenset(points), increments, packs)


def _system(name: str, points: Sequence[RecoveryPoint], logs: tuple[int, int]) -> SystemStatus:
    return SystemStatus(
        name=name,
        points=len(points),
        oldest=points[0].committed_at if points else None,
        newest=points[-1].committed_at if points else None,
        protected=points[-1].totals.bytes if points else 0,
        all_points=sum(point.totals.bytes for point in points),
        log_increments=logs[0],
        log_bytes=logs[1],
    )
