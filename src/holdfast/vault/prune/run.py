"""Carries out a prune, in an order in which a crash at any point loses nothing.

1. Sessions whose lease ended are aborted at the one name by which they could commit.
2. Points go: removed in every location, and an abort takes their name, so that a commit repeated by a host that slept cannot bring one
   back whose packs are gone.
3. A fresh mark over all locations says what is unneeded; it is condemned: from then on no new session reuses it.
4. No session may be alive after that: one that began later reads the list. If one is, the list is withdrawn and the prune refused.
5. Another mark; what is condemned and still unneeded is deleted, then index objects that speak of nothing else, then old logs (oldest
   first, so that no gap opens in the middle), then sessions that were decided, and at last the list itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.errors import Damaged
from holdfast.model import Progress, Silent
from holdfast.storage.contract import Storage
from holdfast.vault import holds, names
from holdfast.vault.capture.session import decide
from holdfast.vault.index import objects
from holdfast.vault.locations import Locations
from holdfast.vault.prune import sessions
from holdfast.vault.prune.mark import Marked, everywhere, mark, stored_packs
from holdfast.vault.prune.plan import MOST, PrunePlan
from holdfast.vault.vault import Vault


@dataclass(frozen=True, slots=True)
class Pruned:
    """What went. ``bytes`` counts one copy; ``pardoned``: packs that a point turned out to need after all."""

    points: int
    packs: int
    logs: int
    indexes: int
    aborted: int
    pardoned: int
    bytes: int


def run(vault: Vault, plan: PrunePlan, *, most: float = MOST, progress: Progress | None = None) -> Pruned:
    """Raises PruneBeside, PruneTooMuch, PruneUnsure before anything is deleted that could be needed."""
    plan.require_allowed(most)
    progress = progress or Silent()
    storages = vault.locations.storages
    aborted = _abort_expired(vault)
    progress.phase("removing recovery points", len(plan.drop), "points")
    dropped = _drop_points(vault, plan)
    progress.phase("marking what is needed")
    marked = mark(storages, vault.notary)
    now = storages[0].now()
    unneeded = {
        entry: info for entry, info in stored_packs(storages).items() if entry not in marked.packs and now - info.modified >= plan.grace
    }
    own, condemned = _condemn(vault, sorted(unneeded))
    _require_no_session(vault, plan, own)
    needed = mark(storages, vault.notary).packs
    going = [info for entry, info in sorted(unneeded.items()) if entry not in needed]
    progress.phase("deleting packs", sum(info.size for info in going))
    for info in going:
        _delete(storages, info.name)
        progress.advance(info.size)
    indexes = _delete_indexes(vault)
    progress.phase("deleting old logs", len(plan.logs), "increments")
    log_bytes = _delete_logs(storages, plan.logs)
    _delete_sessions(vault, marked)
    for name in condemned:
        _delete(storages, name)
    return Pruned(
        points=dropped,
        packs=len(going),
        logs=len(plan.logs),
        indexes=indexes,
        aborted=aborted,
        pardoned=len(unneeded) - len(going),
        bytes=sum(info.size for info in going) + log_bytes,
    )


def _abort_expired(vault: Vault) -> int:
    count = 0
    for session in sessions.seen(vault.locations.storages, vault.notary).values():
        if not session.decided and not session.alive:
            count += decide(vault.locations, f"{names.POINTS}{session.id}", _abort(vault, session.id))
    return count


def _abort(vault: Vault, session: str) -> bytes:
    return vault.notary.make(f"{names.POINTS}{session}", "abort", vault.now(), {"session": session})


def _drop_points(vault: Vault, plan: PrunePlan) -> int:
    held = {hold.point for hold in holds.current(vault.locations, vault.notary)}
    storages = vault.locations.storages
    leftovers = mark(storages, vault.notary).leftovers
    count = 0
    for session in plan.drop:
        if session in held:
            continue
        name = f"{names.POINTS}{session}"
        for storage in storages:
            storage.delete(name)
            # Where a commit is repeated at this moment it wins, and the next mark finds its packs needed.
            decide(Locations([storage]), name, _abort(vault, session))
        count += 1
    for session in sorted(leftovers - held):
        for storage in storages[1:]:
            storage.delete(f"{names.POINTS}{session}")
            decide(Locations([storage]), f"{names.POINTS}{session}", storages[0].get(f"{names.POINTS}{session}"))
    return count


def _condemn(vault: Vault, entries: Sequence[bytes]) -> tuple[str | None, list[str]]:
    """The names of our condemned list, and of all."""
    name = None
    if entries:
        name = f"{names.CONDEMNED}{vault.notary.random(16).hex()}"
        vault.locations.put(name, [vault.notary.make(name, "condemned", vault.now(), packs=b"".join(entries))])
    return name, list(everywhere(vault.locations.storages, names.CONDEMNED))


def _require_no_session(vault: Vault, plan: PrunePlan, condemned: str | None) -> None:
    alive = tuple(sorted(one.id for one in sessions.seen(vault.locations.storages, vault.notary).values() if one.alive))
    if alive:
        # Nothing on our list was deleted yet: withdrawn, it stops no writer from reusing what it names.
        if condemned is not None:
            _delete(vault.locations.storages, condemned)
        PrunePlan(
            decisions={}, drop=(), packs=(), logs=(), abort=(), live=alive, unruled=(), bytes=0, freed=0, spared=0, grace=plan.grace
        ).require_allowed()


def _delete(storages: Sequence[Storage], name: str) -> None:
    for storage in storages:
        storage.delete(name)


def _delete_indexes(vault: Vault) -> int:
    """Index objects none of whose packs are stored. One that cannot be read stays: ``check`` tells of it."""
    present = {entry[:16] for entry in stored_packs(vault.locations.storages)}
    count = 0
    for name in everywhere(vault.locations.storages, names.INDEX):
        try:
            checked = vault.locations.read(name, lambda data, name=name: vault.notary.check(name, data, "index"))  # type: ignore[misc]
            packs = objects.decode(name, vault.notary.open(checked))
        except Damaged:
            continue
        if not any(pack.id in present for pack in packs):
            _delete(vault.locations.storages, name)
            count += 1
    return count


def _delete_logs(storages: Sequence[Storage], gone: Sequence[str]) -> int:
    sizes = {info.name: info.size for info in everywhere(storages, names.LOGS).values()} if gone else {}
    for name in gone:
        _delete(storages, name)
    return sum(sizes.get(name, 0) for name in gone)


def _delete_sessions(vault: Vault, marked: Marked) -> None:
    """Sessions that were decided need no object any more; ``marked`` is older than they, so a commit of this moment keeps its own."""
    for session in sessions.seen(vault.locations.storages, vault.notary).values():
        if session.id in marked.points | marked.aborted:
            for name in session.objects:
                _delete(vault.locations.storages, name)
