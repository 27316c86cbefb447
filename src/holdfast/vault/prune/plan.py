"""What a prune would do, as data. Nothing is changed here."""

import contextlib
import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from holdfast.errors import Damaged, Unreachable
from holdfast.model import RecoveryPoint
from holdfast.storage.contract import ObjectInfo, Storage
from holdfast.vault import lock
from holdfast.vault.errors import RoleLacking
from holdfast.vault.format import names
from holdfast.vault.packs import condemned
from holdfast.vault.points import holds
from holdfast.vault.points.retention import Candidate, Decision, Keep, decide
from holdfast.vault.prune import sessions
from holdfast.vault.prune.errors import PruneTooMuch, PruneUnsure
from holdfast.vault.prune.logs import Begins, doubled, list_logs, too_old
from holdfast.vault.prune.mark import Marked, PackLists, mark, stored_packs
from holdfast.vault.vault import Vault

GRACE = dt.timedelta(days=1)
"""What no point needs stays this long: a backup that was killed finds the packs that it had stored when it is run again."""
MOST = 0.5


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """``drop`` and ``abort`` are session ids; ``packs``, ``logs`` are object names; ``spared`` packs are unneeded but too young.

    ``bytes`` and ``freed`` count one copy. ``live``: running sessions; what is condemned beside them is deleted by the first prune after
    they have ended. ``unruled``: systems without a policy, kept whole. ``silent``: locations that did not answer, told with the reason;
    they are pruned another time, and until then no log is trimmed anywhere. ``locked``: packs that nobody needs and that some location
    still locks, the last of them until ``locked_until``.
    """

    decisions: Mapping[str, Sequence[Decision]]
    drop: tuple[str, ...]
    packs: tuple[str, ...]
    logs: tuple[str, ...]
    abort: tuple[str, ...]
    live: tuple[str, ...]
    unruled: tuple[str, ...]
    silent: Mapping[str, str]
    bytes: int
    freed: int
    spared: int
    locked: int
    locked_until: dt.datetime | None
    grace: dt.timedelta
    policies: Mapping[str, Keep]
    begins: Begins | None = None
    lists: PackLists = field(default_factory=PackLists, repr=False, compare=False)

    @property
    def share(self) -> float:
        """Of the vault's stored bytes that would go, 0 to 1."""
        return self.freed / self.bytes if self.bytes else 0.0

    def require_allowed(self, most: float = MOST) -> None:
        """Raises PruneTooMuch over the share ``most``."""
        if self.share > most:
            raise PruneTooMuch(
                f"This prune would delete {self.freed} of {self.bytes} bytes ({self.share:.0%}); at most {most:.0%} go at once.",
                hint="Look at 'holdfast vault prune --dry-run'; if it is right, allow more with --most.",
                freed=self.freed,
                bytes=self.bytes,
            )

    def to_json(self) -> dict[str, Any]:
        """For --dry-run --json."""
        return {
            "points": {
                system: [{"id": one.id, "at": one.at.isoformat(), "keep": one.keep, "reasons": list(one.reasons)} for one in decisions]
                for system, decisions in self.decisions.items()
            },
            "drop": list(self.drop),
            "packs": len(self.packs),
            "log_increments": len(self.logs),
            "abort_sessions": list(self.abort),
            "running_sessions": list(self.live),
            "systems_without_policy": list(self.unruled),
            "silent_locations": dict(self.silent),
            "bytes": self.bytes,
            "freed": self.freed,
            "share": round(self.share, 4),
            "spared_packs": self.spared,
            "locked_packs": self.locked,
            "locked_until": None if self.locked_until is None else self.locked_until.isoformat(),
        }


def make(
    vault: Vault,
    policies: Mapping[str, Keep],
    *,
    zone: dt.tzinfo,
    proved: Collection[str] = (),
    grace: dt.timedelta = GRACE,
    begins: Begins | None = None,
) -> PrunePlan:
    """``policies`` by system's name; ``proved``: ids of points that a verification restored and found right.

    ``begins`` tells from which position of its log (``RecoveryPoint.logs``) a point must be replayed, None where it does not know: taken
    on a replica, that lies before the time when the point was begun.

    Needs an owner's key. Raises PruneUnsure when a point or hold cannot be read in some location, PolicyEmpty, NothingProvedLeft;
    Unreachable when no location answers.
    """
    if vault.role != "owner":
        raise RoleLacking(f"A key of role {vault.role!r} cannot prune.", hint="Use an owner's passphrase or the recovery key.")
    lists = PackLists()
    marked, silent = _mark_all(vault, lists)
    storages = [storage for storage in vault.locations.storages if storage.url in marked]
    now = storages[0].now()
    by_system = _points(vault, marked.values())
    held = {hold.point for hold in holds.current(vault.locations, vault.notary)}
    decisions = {
        system: decide(
            [Candidate(one.id, one.committed_at, one.id in proved, one.id in held, one.keep_until) for one in found],
            policies[system],
            now=now,
            zone=zone,
            system=system,
        )
        for system, found in by_system.items()
        if system in policies
    }
    decisions = _with_locks(storages, decisions, zone)
    drop = {one.id for some in decisions.values() for one in some if not one.keep} | _erased(vault, storages, marked.values(), held)
    needed = set().union(*(mark(storage, vault.notary, lists, without=drop).packs for storage in storages))
    present: dict[bytes, ObjectInfo] = {}
    unneeded: dict[bytes, ObjectInfo] = {}
    young: set[bytes] = set()
    abort: set[str] = set()
    live: set[str] = set()
    waits: dict[str, dt.datetime] = {}
    for storage in storages:
        due: dict[str, tuple[bytes, ObjectInfo]] = {}
        listed = condemned.read(storage, vault.notary).going
        clock = storage.now()
        for entry, info in stored_packs(storage).items():
            present[entry] = info
            if entry not in needed:
                if entry in listed or clock - info.modified >= grace:
                    due[info.name] = entry, info
                else:
                    young.add(entry)
        held_here = lock.locked([storage], due)
        waits.update({name: max(until, waits.get(name, until)) for name, until in held_here.items()})
        unneeded.update({entry: info for name, (entry, info) in due.items() if name not in held_here})
        for one in sessions.seen(storage, vault.notary).values():
            if not one.decided:
                (live if one.alive else abort).add(one.id)
    kept = {system: [one for one in found if one.id not in drop] for system, found in by_system.items()}
    logs, log_bytes = _logs(vault, storages, policies, kept, begins, grace, trim=not silent)
    return PrunePlan(
        decisions=decisions,
        drop=tuple(sorted(drop)),
        packs=tuple(sorted(info.name for info in unneeded.values())),
        logs=tuple(sorted(logs)),
        abort=tuple(sorted(abort - live)),
        live=tuple(sorted(live)),
        unruled=tuple(sorted(by_system.keys() - policies.keys())),
        silent=silent,
        bytes=sum(info.size for info in present.values()) + log_bytes,
        freed=sum(info.size for info in unneeded.values()) + sum(logs.values()),
        spared=len(young),
        locked=len(waits),
        locked_until=max(waits.values(), default=None),
        grace=grace,
        policies=policies,
        begins=begins,
        lists=lists,
    )


def _with_locks(storages: Sequence[Storage], decisions: Mapping[str, Sequence[Decision]], zone: dt.tzinfo) -> dict[str, Sequence[Decision]]:
    """What no rule keeps, but a lock does."""
    held = lock.locked(storages, [names.point(one.id) for some in decisions.values() for one in some if not one.keep])

    def told(one: Decision) -> Decision:
        until = held.get(names.point(one.id))
        if until is None or one.keep:
            return one
        return replace(one, reasons=(f"locked until {until.astimezone(zone).isoformat(timespec='seconds')}",))

    return {system: [told(one) for one in some] for system, some in decisions.items()}


def _mark_all(vault: Vault, lists: PackLists) -> tuple[dict[str, Marked], dict[str, str]]:
    """(by address what each location that answers needs, by address why the others did not). Unreachable when none answers."""
    marked: dict[str, Marked] = {}
    silent: dict[str, str] = {}
    first: Unreachable | None = None
    for storage in vault.locations.storages:
        try:
            marked[storage.url] = mark(storage, vault.notary, lists)
        except Unreachable as error:
            first = first or error
            silent[storage.url] = error.message
    if first is not None and not marked:
        raise first
    return marked, silent


def _points(vault: Vault, marked: Collection[Marked]) -> dict[str, list[RecoveryPoint]]:
    """By system, all points of the locations that answer, but those that a prune is removing."""
    wanted = set().union(*(one.points for one in marked)) - set().union(*(one.dropped for one in marked))
    found: dict[str, list[RecoveryPoint]] = {}
    for point in vault.points():
        if point.id in wanted:
            wanted.remove(point.id)
            found.setdefault(point.system, []).append(point)
    # One that another prune drops at this moment is asked for again.
    unknown = wanted & _still(vault, wanted) if wanted else set()
    unknown -= set(_closed(vault, unknown))
    if unknown:
        session = min(unknown)
        raise PruneUnsure(
            f"{names.point(session)} stands in a location, and nobody can tell what it is.",
            hint="Run 'holdfast vault check' (it heals from another location); then prune again.",
            object=names.point(session),
        )
    return found


def _closed(vault: Vault, sessions: Collection[str]) -> dict[str, str]:
    """Those of these points that belong to a scope whose key is not open here, with the scope: they are kept whole, whatever they are."""
    found = {}
    for session in sessions:
        name = names.point(session)
        with contextlib.suppress(Damaged):
            envelope = vault.locations.read(name, lambda data, name=name: vault.notary.check(name, data, "point"))  # type: ignore[misc]
            scope = str(envelope.clear.get("scope"))
            if scope not in vault.notary.bundle.identity:
                found[session] = scope
    return found


def _erased(vault: Vault, storages: Sequence[Storage], marked: Collection[Marked], held: Collection[str]) -> set[str]:
    """Points of scopes whose keys were destroyed: nobody can read them any more. Holds and locks keep them all the same."""
    ring = vault.notary.ring
    if ring is None or not ring.erased:
        return set()
    every = set().union(*(one.points for one in marked)) - set().union(*(one.dropped for one in marked))
    gone = {session for session, scope in _closed(vault, every).items() if scope in ring.erased and session not in held}
    locked = lock.locked(storages, [names.point(session) for session in gone])
    return {session for session in gone if names.point(session) not in locked}


def _still(vault: Vault, wanted: set[str]) -> set[str]:
    """Those of ``wanted`` that are points in some location yet, and are not being removed."""
    found: set[str] = set()
    for storage in vault.locations.storages:
        with contextlib.suppress(Unreachable):
            marked = mark(storage, vault.notary)
            found |= marked.points
            wanted -= marked.dropped
    return found


def _logs(
    vault: Vault,
    storages: Sequence[Storage],
    policies: Mapping[str, Keep],
    kept: Mapping[str, Sequence[RecoveryPoint]],
    begins: Begins | None,
    grace: dt.timedelta,
    *,
    trim: bool,
) -> tuple[dict[str, int], int]:
    """(increments that would go: name and size; bytes of all logs, one copy)."""
    every: dict[str, int] = {}
    for storage in storages:
        every.update({info.name: info.size for info in storage.list(names.LOGS)})
    gone: dict[str, int] = {}
    for system in policies:
        listings = list_logs(storages, vault.notary, system)
        if trim:
            old = too_old(listings, vault.notary, kept.get(system, ()), begins or (lambda _: None), grace)
            for storage, listing in zip(storages, listings, strict=True):
                gone |= {name: old[name].size for name in lock.removable(storage, {one: listing[one] for one in old if one in listing})}
        for storage, listing in zip(storages, listings, strict=True):
            inside = doubled(storage, vault.notary, listing, grace)
            gone |= {name: inside[name].size for name in lock.removable(storage, inside)}
    return gone, sum(every.values())
