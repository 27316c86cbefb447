"""How far each location is behind the others: recovery points, packs, bytes, seconds of the log."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.errors import Damaged, HoldfastError
from holdfast.model import Increment
from holdfast.storage.contract import ObjectInfo, Storage
from holdfast.vault.copy.logs import lacking_increments
from holdfast.vault.format import envelope, names
from holdfast.vault.format.envelope import PACK_ENTRY
from holdfast.vault.format.text import from_time
from holdfast.vault.logs.names import increments


@dataclass(frozen=True, slots=True)
class Behind:
    """What a copy would bring to one location. ``log_seconds``: from the newest log there to the newest anywhere, by the times at which
    they were shipped; None where nothing is lacking. ``unknown``: why the location could not be asked.
    """

    points: int = 0
    packs: int = 0
    bytes: int = 0
    log_increments: int = 0
    log_bytes: int = 0
    log_seconds: float | None = None
    unknown: str = ""

    @property
    def level(self) -> bool:
        """Nothing is lacking, for all that is known."""
        return not self.points and not self.log_increments and not self.unknown

    def to_json(self) -> dict[str, Any]:
        return {
            "level": self.level,
            "points": self.points,
            "packs": self.packs,
            "bytes": self.bytes,
            "log_increments": self.log_increments,
            "log_bytes": self.log_bytes,
            "log_seconds": self.log_seconds,
            "unknown": self.unknown or None,
        }


@dataclass(slots=True)
class Held:
    """What one location lists. ``points``: ids; ``logs``: increments. ``packs`` (name → size) is filled when first needed."""

    storage: Storage
    points: frozenset[str]
    logs: Sequence[ObjectInfo]
    packs: Mapping[str, int] | None = field(default=None)

    def all_packs(self) -> Mapping[str, int]:
        if self.packs is None:
            self.packs = {info.name: info.size for info in self.storage.list(names.PACKS)}
        return self.packs


def ask(storage: Storage, logs: Collection[str] = (names.LOGS,)) -> Held:
    """List a location's points and logs (below the prefixes ``logs``). Raises Unreachable."""
    points = frozenset(
        parsed[0] for info in storage.list(names.POINTS) if (parsed := names.parse_point(info.name)) is not None and not parsed[1]
    )
    return Held(storage, points, [info for prefix in logs for info in storage.list(prefix)])


def behind(
    held: Sequence[Held],
    points: Collection[str],
    *,
    without: Mapping[str, Collection[str]] | None = None,
    tags: Mapping[str, Collection[str]] | None = None,
) -> dict[str, Behind]:
    """By address. ``points``: ids that count (aborted sessions bear such names too). By address, ``without``: points, and ``tags``: tags of
    systems, that do not belong there.

    Reads the lists of the points that some location lacks, and only then lists packs. Needs no key.
    """
    known = frozenset(points) & frozenset().union(*(one.points for one in held))
    found: dict[str, Behind] = {}
    needs: dict[str, tuple[str, ...]] = {}
    for one in held:
        others = [other for other in held if other is not one]
        lacking = known - one.points - frozenset((without or {}).get(one.storage.url, ()))
        for point in lacking:
            if point not in needs:
                needs[point] = _packs_of(point, [other for other in others if point in other.points])
        wanted = {pack for point in lacking for pack in needs[point]}
        packs = wanted - one.all_packs().keys() if wanted else set()
        left_out = frozenset((tags or {}).get(one.storage.url, ()))
        missing, _ = lacking_increments(
            [info for other in others for info in other.logs if info.name.split("/")[1] not in left_out], one.logs
        )
        found[one.storage.url] = Behind(
            points=len(lacking),
            packs=len(packs),
            bytes=sum(max((other.all_packs().get(pack, 0) for other in others), default=0) for pack in packs),
            log_increments=len(missing),
            log_bytes=sum(increment.size for increment in missing),
            log_seconds=_seconds(missing, one, others) if missing else None,
        )
    return found


def _packs_of(point: str, holders: Sequence[Held]) -> tuple[str, ...]:
    """The packs that a point's clear list names; none when no copy of it can be parsed (a check tells of that)."""
    name = names.point(point)
    for one in holders:
        try:
            packs = envelope.parse(name, one.storage.get(name)).packs
        except (HoldfastError, Damaged):
            continue
        return tuple(names.pack(packs[at : at + 16], packs[at + 16 : at + PACK_ENTRY]) for at in range(0, len(packs), PACK_ENTRY))
    return ()


def _seconds(missing: Sequence[Increment], one: Held, others: Sequence[Held]) -> float | None:
    """The largest distance, over the branches, between the newest increment that is lacking and the newest that is there."""
    own: dict[str, Increment] = {}
    for increment in increments(one.logs):
        folder = increment.name.rsplit("/", 1)[0]
        if folder not in own or increment.end > own[folder].end:
            own[folder] = increment
    newest: dict[str, Increment] = {}
    for increment in missing:
        newest[increment.name.rsplit("/", 1)[0]] = increment
    worst: float | None = None
    for folder, last in newest.items():
        there = own.get(folder)
        first = next(increment for increment in missing if increment.name.startswith(f"{folder}/"))
        until = _at(last, [other.storage for other in others])
        since = (
            _at(there, [one.storage]) if there is not None and there.end <= last.end else _at(first, [other.storage for other in others])
        )
        if until is not None and since is not None:
            worst = max(worst or 0.0, (until - since).total_seconds())
    return worst


def _at(increment: Increment, storages: Sequence[Storage]) -> dt.datetime | None:
    """The signed time in an increment's clear part; the store's own where no copy can be read."""
    for storage in storages:
        try:
            return from_time(str(envelope.parse(increment.name, storage.get(increment.name)).clear["at"]))
        except (HoldfastError, ValueError, KeyError):
            continue
    return increment.stored_at
