"""Which increments of a system's logs no kept point can need."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence

from holdfast.errors import Damaged
from holdfast.model import Increment, RecoveryPoint
from holdfast.storage.contract import ObjectInfo, Storage
from holdfast.vault.errors import RoleLacking
from holdfast.vault.format import names
from holdfast.vault.keys.notary import Notary
from holdfast.vault.logs import body
from holdfast.vault.logs.names import increments

MARGIN = dt.timedelta(minutes=10)
"""Clocks of hosts and stores may differ by five minutes."""
Begins = Callable[[RecoveryPoint], int | None]
Listing = Mapping[str, ObjectInfo]
"""Of one location: the objects of a system's logs by name."""


def list_logs(storages: Sequence[Storage], notary: Notary, system: str) -> list[Listing]:
    """One listing a location, in their order."""
    prefix = f"{names.LOGS}{notary.tag('system', system)}/"
    return [{info.name: info for info in storage.list(prefix)} for storage in storages]


def too_old(
    listings: Sequence[Listing], notary: Notary, kept: Sequence[RecoveryPoint], begins: Begins, margin: dt.timedelta
) -> dict[str, ObjectInfo]:
    """Increments that lie before everything that a kept point's replay reads; by name.

    What was stored before the oldest kept point was begun holds only log from before it, unless a point's replay begins further back. The
    earliest time that any location gives a copy counts: a rebuilt location has all of them from one day.
    """
    if not kept:
        return {}
    stored: dict[str, ObjectInfo] = {}
    for listing in listings:
        for name, info in listing.items():
            if name not in stored or info.modified < stored[name].modified:
                stored[name] = info
    floor = min(point.started_at for point in kept) - max(MARGIN, margin)
    first = _first_needed(notary, kept, begins)
    ends = {one.name: one.end for one in increments(stored.values())}
    return {
        name: info
        for name, info in stored.items()
        if info.modified < floor and ends.get(name, 0) <= first.get(name.rsplit("/", 1)[0], 1 << 64)
    }


def doubled(storage: Storage, notary: Notary, listing: Listing, grace: dt.timedelta) -> dict[str, ObjectInfo]:
    """Increments of one location that lie wholly inside a longer one there, which is ``grace`` old and holds the very same bytes.

    Both are opened: a longer one that is damaged, or says something else (whoever signed it), stands for none. ``grace``: who began to read
    the log before the longer one was there finds what it listed.
    """
    gone: dict[str, ObjectInfo] = {}
    before = storage.now() - grace
    by_longer: dict[str, list[str]] = {}
    for name, by in _inside(sorted(listing.values(), key=lambda info: info.name)):
        if listing[by].modified <= before:
            by_longer.setdefault(by, []).append(name)
    for by, inside in by_longer.items():
        longer = _opened(storage, notary, by)
        for name in inside if longer is not None else ():
            assert longer is not None
            one = _opened(storage, notary, name)
            if one is not None and one.data == longer.data[one.start - longer.start : one.end - longer.start]:
                gone[name] = listing[name]
    return gone


def _first_needed(notary: Notary, kept: Sequence[RecoveryPoint], begins: Begins) -> dict[str, int]:
    """By the folder of a branch: the smallest position at which the replay of a kept point begins."""
    first: dict[str, int] = {}
    for point in kept:
        position = begins(point)
        if point.logs is not None and position is not None:
            folder = f"{names.LOGS}{notary.tag('system', point.system)}/{notary.tag('branch', point.logs)}"
            first[folder] = min(position, first.get(folder, position))
    return first


def _opened(storage: Storage, notary: Notary, name: str) -> body.Opened | None:
    """None for one that is damaged, not believed, or of a scope whose key is not open."""
    try:
        return body.open_(notary, name, storage.get(name))
    except (Damaged, RoleLacking):
        return None


def _inside(found: Sequence[ObjectInfo]) -> list[tuple[str, str]]:
    """(name, name of the longer increment that it lies wholly inside of)."""
    inside = []
    by_branch: dict[str, list[ObjectInfo]] = {}
    for info in found:
        by_branch.setdefault(info.name.rsplit("/", 1)[0], []).append(info)
    for infos in by_branch.values():
        longest: Increment | None = None
        for one in sorted(increments(infos), key=lambda one: (one.start, -one.end)):
            if longest is not None and one.end <= longest.end:
                inside.append((one.name, longest.name))
            else:
                longest = one
    return inside
