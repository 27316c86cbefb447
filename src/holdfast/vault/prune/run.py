"""Carries out a prune beside whoever works: points first, then each location by itself (``place``), then logs.

A crash at any call loses nothing, and the next prune goes on. Two prunes at once do no harm.
"""

import contextlib
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.errors import Unreachable
from holdfast.model import Progress, RecoveryPoint, Silent
from holdfast.storage.contract import ObjectInfo, Storage
from holdfast.vault import lock
from holdfast.vault.format import names
from holdfast.vault.prune import sessions
from holdfast.vault.prune.drop import drop_points
from holdfast.vault.prune.errors import PruneUnsure
from holdfast.vault.prune.logs import MARGIN, doubled, list_logs, too_old
from holdfast.vault.prune.mark import mark
from holdfast.vault.prune.place import Place, PlaceDone
from holdfast.vault.prune.plan import MOST, PrunePlan
from holdfast.vault.vault import Vault


@dataclass(frozen=True, slots=True)
class Pruned:
    """What went. ``bytes`` counts one copy; ``pardoned``: condemned packs that a point turned out to need after all.

    ``waiting``: condemned packs that the next prune deletes, once the sessions ``behind`` have ended. ``places``: location by location.
    ``packs`` counts the location of which most went.
    """

    points: int
    packs: int
    logs: int
    indexes: int
    aborted: int
    pardoned: int
    bytes: int
    waiting: int
    behind: tuple[str, ...]
    places: tuple[PlaceDone, ...]


def run(vault: Vault, plan: PrunePlan, *, most: float = MOST, progress: Progress | None = None) -> Pruned:
    """Raises PruneTooMuch, PruneUnsure before anything is deleted that could be needed; Unreachable when a location falls silent."""
    plan.require_allowed(most)
    progress = progress or Silent()
    storages = [storage for storage in vault.locations.storages if storage.url not in plan.silent]
    progress.phase("removing recovery points", len(plan.drop), "points")
    dropped = drop_points(vault, storages, plan.drop, plan.lists)
    since = _oldest_running(vault, storages) if plan.grace else None
    done: list[PlaceDone] = []
    for storage in storages:
        others = [other for other in storages if other is not storage]

        def elsewhere(others: Sequence[Storage] = others) -> set[bytes]:
            return _needed(vault, others, plan)

        progress.phase(f"marking what is needed in {storage.url}")
        place = Place(vault, storage, grace=plan.grace, elsewhere=elsewhere, since=since, lists=plan.lists, progress=progress)
        done.append(place.prune())
    logs = _prune_logs(vault, storages, plan, progress)
    return Pruned(
        points=dropped,
        packs=max(one.packs for one in done),
        logs=len(logs),
        indexes=max(one.indexes for one in done),
        aborted=max(one.aborted for one in done),
        pardoned=max(one.pardoned for one in done),
        bytes=max(one.bytes for one in done) + sum(logs.values()),
        waiting=max(one.waiting for one in done),
        behind=tuple(sorted(set().union(*(one.behind for one in done)))),
        places=tuple(done),
    )


def _oldest_running(vault: Vault, storages: Sequence[Storage]) -> dt.datetime | None:
    """When the oldest session that runs in any location began, less what clocks may differ."""
    alive = [one.id for storage in storages for one in sessions.seen(storage, vault.notary).values() if one.alive]
    return names.session_start(min(alive)) - MARGIN if alive else None


def _needed(vault: Vault, storages: Sequence[Storage], plan: PrunePlan) -> set[bytes]:
    """What points of other locations need. Who does not answer is not asked: nothing rests on it but a copy's work."""
    needed: set[bytes] = set()
    for storage in storages:
        with contextlib.suppress(Unreachable, PruneUnsure):
            needed |= mark(storage, vault.notary, plan.lists).packs
    return needed


def _prune_logs(vault: Vault, storages: Sequence[Storage], plan: PrunePlan, progress: Progress) -> dict[str, int]:
    """Name and size of the increments that went, oldest first, so that no gap opens in the middle.

    What is old is asked again now that the points are gone: one that was held meanwhile keeps its log. Of a system whose backup runs
    nothing is trimmed: nobody knows yet how far back its replay begins.
    """
    running: set[str] = set()
    for storage in storages:
        running |= {one.system for one in sessions.seen(storage, vault.notary).values() if not one.decided}
    marked = [mark(storage, vault.notary, plan.lists) for storage in storages]
    kept: dict[str, list[RecoveryPoint]] = {}
    unseen = set().union(*(one.points | one.coming for one in marked))
    for point in vault.points():
        kept.setdefault(point.system, []).append(point)
        unseen.discard(point.id)
    gone: dict[str, int] = {}
    for system in plan.policies:
        listings = list_logs(storages, vault.notary, system)
        busy = "" in running or vault.notary.tag("system", system) in running
        old: dict[str, ObjectInfo] = {}
        # A point that one location is giving up may stay in another one whose prune never comes to it; one that is coming has not come.
        if not plan.silent and not busy and not unseen:
            old = too_old(listings, vault.notary, kept.get(system, ()), plan.begins or (lambda _: None), plan.grace)
        for storage, listing in zip(storages, listings, strict=True):
            going = {name: info.size for name, info in listing.items() if name in old}
            going |= {name: info.size for name, info in doubled(storage, vault.notary, listing, plan.grace).items()}
            free = lock.removable(storage, {name: listing[name] for name in going})
            going = {name: going[name] for name in free}
            progress.phase(f"deleting old logs in {storage.url}", len(going), "increments")
            for name in sorted(going):
                storage.delete(name)
                progress.advance(1)
            gone |= going
    return gone
