"""Carries out a prune, in an order in which a crash at any point loses nothing.

1. Sessions whose lease ended are aborted at the one name by which they could commit.
2. Points go (see ``drop``): a commit repeated by a host that slept cannot bring one back whose packs are gone.
3. A fresh mark over all locations says what is unneeded; it is condemned: from then on no new session reuses it. What an earlier prune
   condemned and did not delete is condemned again.
4. No session may be alive after that: one that began later reads the list. If one is, the list is withdrawn and the prune refused.
   Sessions whose lease ended since step 1 are aborted, so that none commits with what it chose before the list stood.
5. Another mark; what is condemned and still unneeded is deleted, each pack only while our list still stands: a prune that slept while
   another one finished its work and withdrew the list deletes nothing more. Then index objects that speak of nothing else, then old logs
   (oldest first, so that no gap opens in the middle), then sessions that were decided, and at last the lists.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from holdfast.errors import Damaged
from holdfast.model import Progress, Silent
from holdfast.storage.contract import Storage
from holdfast.vault import names
from holdfast.vault.capture.session import decide
from holdfast.vault.index import objects
from holdfast.vault.locations import Locations
from holdfast.vault.prune import sessions
from holdfast.vault.prune.drop import drop_points, make_abort
from holdfast.vault.prune.errors import PruneUnsure
from holdfast.vault.prune.mark import Marked, entries, everywhere, mark, stored_packs
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
    dropped = drop_points(vault, plan.drop)
    progress.phase("marking what is needed")
    marked = mark(storages, vault.notary)
    lists, listed = _lists(vault)
    now = storages[0].now()
    unneeded = {
        entry: info
        for entry, info in stored_packs(storages).items()
        if entry not in marked.packs and (entry in listed or now - info.modified >= plan.grace)
    }
    own = _condemn(vault, sorted(unneeded))
    aborted += _settle_sessions(vault, plan, own)
    needed = mark(storages, vault.notary)
    going = [info for entry, info in sorted(unneeded.items()) if entry not in needed.packs]
    progress.phase("deleting packs", sum(info.size for info in going))
    for info in going:
        _require_list(storages, own)
        _delete(storages, info.name)
        progress.advance(info.size)
    indexes = _delete_indexes(vault)
    logs = _loggable(vault, plan, needed)
    progress.phase("deleting old logs", len(logs), "increments")
    log_bytes = _delete_logs(storages, logs)
    _delete_sessions(vault, marked)
    for name in [*lists, *([own] if own else [])]:
        _delete(storages, name)
    return Pruned(
        points=dropped,
        packs=len(going),
        logs=len(logs),
        indexes=indexes,
        aborted=aborted,
        pardoned=len(unneeded) - len(going),
        bytes=sum(info.size for info in going) + log_bytes,
    )


def _abort_expired(vault: Vault) -> int:
    """Where the session's own first location decides; returns how many were aborted and did not commit meanwhile."""
    return _abort(vault, sessions.seen(vault.locations.storages, vault.notary).values())


def _abort(vault: Vault, found: Iterable[sessions.SessionSeen]) -> int:
    return sum(
        decide(Locations(one.storages), names.point(one.id), make_abort(vault, one.id))
        for one in found
        if not one.decided and not one.alive
    )


def _lists(vault: Vault) -> tuple[list[str], set[bytes]]:
    """(names of the lists of other prunes, the pack entries on them). One that cannot be believed speaks for nothing, and goes."""
    found = list(everywhere(vault.locations.storages, names.CONDEMNED))
    listed: set[bytes] = set()
    for name in found:
        try:
            listed.update(entries(vault.locations.read(name, lambda data, name=name: vault.notary.check(name, data, "condemned"))))  # type: ignore[misc]
        except Damaged:
            continue
    return found, listed


def _condemn(vault: Vault, unneeded: Sequence[bytes]) -> str | None:
    """The name of our list, None for nothing to delete."""
    if not unneeded:
        return None
    name = f"{names.CONDEMNED}{vault.notary.random(16).hex()}"
    vault.locations.put(name, [vault.notary.make(name, "condemned", vault.now(), packs=b"".join(unneeded))])
    return name


def _settle_sessions(vault: Vault, plan: PrunePlan, own: str | None) -> int:
    """None is alive, or PruneBeside; those whose lease ended since the beginning are aborted, or have committed in time."""
    found = sessions.seen(vault.locations.storages, vault.notary).values()
    alive = tuple(sorted(one.id for one in found if one.alive))
    if alive:
        # Nothing on our list was deleted yet: withdrawn, it stops no writer from reusing what it names.
        if own is not None:
            _delete(vault.locations.storages, own)
        PrunePlan(
            decisions={}, drop=(), packs=(), logs=(), abort=(), live=alive, unruled=(), bytes=0, freed=0, spared=0, grace=plan.grace
        ).require_allowed()
    # Of the same look: one that was seen as ended is aborted even if it renews its lease at this moment.
    return _abort(vault, found)


def _require_list(storages: Sequence[Storage], own: str | None) -> None:
    if own is None or any(storage.head(own) is None for storage in storages):
        raise PruneUnsure(
            "Another prune finished meanwhile and removed this one's list of what goes.",
            hint="Nothing that is needed was deleted. Run it again; let one host prune at a time.",
        )


def _delete(storages: Sequence[Storage], name: str) -> None:
    for storage in storages:
        storage.delete(name)


def _delete_indexes(vault: Vault) -> int:
    """Index objects none of whose packs are stored. One that cannot be read stays: ``check`` tells of it."""
    # Indexes first: a pack is stored before the index that tells of it, so a running session's is never taken for an old one.
    listed = list(everywhere(vault.locations.storages, names.INDEX))
    present = {entry[:16] for entry in stored_packs(vault.locations.storages)}
    count = 0
    for name in listed:
        try:
            checked = vault.locations.read(name, lambda data, name=name: vault.notary.check(name, data, "index"))  # type: ignore[misc]
            packs = objects.decode(name, vault.notary.open(checked))
        except Damaged:
            continue
        if not any(pack.id in present for pack in packs):
            _delete(vault.locations.storages, name)
            count += 1
    return count


def _loggable(vault: Vault, plan: PrunePlan, needed: Marked) -> list[str]:
    """The plan's logs, but those of systems of which a point stayed that the plan meant to drop (it was held meanwhile)."""
    stayed = [system for system, some in plan.decisions.items() if any(not one.keep and one.id in needed.points for one in some)]
    spared = tuple(f"{names.LOGS}{vault.notary.tag('system', system)}/" for system in stayed)
    return [name for name in plan.logs if not name.startswith(spared)] if spared else list(plan.logs)


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
