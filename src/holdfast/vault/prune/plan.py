"""What a prune would do, as data. Nothing is changed here."""

import datetime as dt
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.errors import Damaged
from holdfast.model import Increment, RecoveryPoint
from holdfast.storage.contract import ObjectInfo
from holdfast.vault import holds, names, points
from holdfast.vault.errors import RoleLacking
from holdfast.vault.logs import body
from holdfast.vault.logs.names import increments
from holdfast.vault.prune import sessions
from holdfast.vault.prune.errors import PruneBeside, PruneTooMuch, PruneUnsure
from holdfast.vault.prune.mark import everywhere, mark, stored_packs
from holdfast.vault.retention import Candidate, Decision, Keep, decide
from holdfast.vault.vault import Vault

GRACE = dt.timedelta(days=1)
"""Packs that no point needs stay this long: a backup that was killed finds what it had stored when it is run again."""
LOG_MARGIN = dt.timedelta(minutes=10)
"""Clocks of hosts and stores may differ by five minutes."""
MOST = 0.5
Begins = Callable[[RecoveryPoint], int | None]


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """``drop`` and ``abort`` are session ids; ``packs``, ``logs`` are object names; ``spared`` packs are unneeded but too young.

    ``bytes`` and ``freed`` count one copy. ``live``: sessions that stand in the way. ``unruled``: systems without a policy, kept whole.
    """

    decisions: Mapping[str, Sequence[Decision]]
    drop: tuple[str, ...]
    packs: tuple[str, ...]
    logs: tuple[str, ...]
    abort: tuple[str, ...]
    live: tuple[str, ...]
    unruled: tuple[str, ...]
    bytes: int
    freed: int
    spared: int
    grace: dt.timedelta

    @property
    def share(self) -> float:
        """Of the vault's stored bytes that would go, 0 to 1."""
        return self.freed / self.bytes if self.bytes else 0.0

    def require_allowed(self, most: float = MOST) -> None:
        """Raises PruneBeside beside a running backup, PruneTooMuch over the share ``most``."""
        if self.live:
            raise PruneBeside(
                f"{len(self.live)} backup{'s are' if len(self.live) > 1 else ' is'} running (session {self.live[0]}).",
                hint="Wait until it ends; the lease of a killed one ends within the hour.",
                sessions=list(self.live),
            )
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
            "bytes": self.bytes,
            "freed": self.freed,
            "share": round(self.share, 4),
            "spared_packs": self.spared,
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

    Needs an owner's key. Raises PruneUnsure when a point or hold cannot be read in some location, PolicyEmpty, NothingProvedLeft,
    Unreachable.
    """
    if vault.role != "owner":
        raise RoleLacking(f"A key of role {vault.role!r} cannot prune.", hint="Use an owner's passphrase or the recovery key.")
    storages = vault.locations.storages
    now = storages[0].now()
    marked = mark(storages, vault.notary)
    by_system: dict[str, list[RecoveryPoint]] = {}
    for session in sorted(marked.points):
        _, point, _ = points.read(vault.locations, vault.notary, f"{names.POINTS}{session}")
        if point is None:
            raise PruneUnsure(
                f"points/{session} is a recovery point in one location and aborted in another.",
                hint="Run it again. If it stays so, remove one of the two objects by hand: see 'holdfast vault check'.",
                object=names.point(session),
            )
        by_system.setdefault(point.system, []).append(point)
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
    drop = {one.id for some in decisions.values() for one in some if not one.keep}
    needed = mark(storages, vault.notary, without=drop).packs
    present = stored_packs(storages)
    young = {entry for entry, info in present.items() if entry not in needed and now - info.modified < grace}
    unneeded = [info for entry, info in present.items() if entry not in needed and entry not in young]
    kept = {system: [one for one in found if one.id not in drop] for system, found in by_system.items()}
    logs = _logs(vault, policies, kept, begins or (lambda _: None))
    every_log = everywhere(storages, names.LOGS)
    known = sessions.seen(storages, vault.notary)
    return PrunePlan(
        decisions=decisions,
        drop=tuple(sorted(drop)),
        packs=tuple(info.name for info in unneeded),
        logs=tuple(info.name for info in logs),
        abort=tuple(sorted(one.id for one in known.values() if not one.decided and not one.alive)),
        live=tuple(sorted(one.id for one in known.values() if one.alive)),
        unruled=tuple(sorted(by_system.keys() - policies.keys())),
        bytes=sum(info.size for info in present.values()) + sum(info.size for info in every_log.values()),
        freed=sum(info.size for info in unneeded) + sum(info.size for info in logs),
        spared=len(young),
        grace=grace,
    )


def _logs(vault: Vault, policies: Mapping[str, Keep], kept: Mapping[str, Sequence[RecoveryPoint]], begins: Begins) -> list[ObjectInfo]:
    """Increments that no kept point can need, oldest first.

    An increment that was stored before the oldest kept point was begun holds only log from before it, unless a point's replay begins
    further back. (A copied or compacted one bears a later time and stays longer: the safe side.) And one that lies wholly inside a longer
    one, in every location, is doubled.
    """
    gone: dict[str, ObjectInfo] = {}
    storages = vault.locations.storages
    for system in policies:
        tag = vault.notary.tag("system", system)
        prefix = f"{names.LOGS}{tag}/"
        found = everywhere(storages, prefix)
        if kept.get(system):
            floor = min(point.started_at for point in kept[system]) - LOG_MARGIN
            first = _first_needed(vault, kept[system], begins)
            ends = {one.name: one.end for one in increments(found.values())}
            gone |= {
                name: info
                for name, info in found.items()
                if info.modified < floor and ends.get(name, 0) <= first.get(name.rsplit("/", 1)[0], 1 << 64)
            }
        common = set.intersection(*({info.name for info in storage.list(prefix)} for storage in storages))
        sound: dict[str, bool] = {}
        for name, by in _doubled([found[name] for name in sorted(common & found.keys())]):
            if by not in sound:
                sound[by] = _sound(vault, by)
            if sound[by]:
                gone[name] = found[name]
    return [gone[name] for name in sorted(gone)]


def _first_needed(vault: Vault, kept: Sequence[RecoveryPoint], begins: Begins) -> dict[str, int]:
    """By the folder of a branch: the smallest position at which the replay of a kept point begins."""
    first: dict[str, int] = {}
    for point in kept:
        position = begins(point)
        if point.logs is not None and position is not None:
            folder = f"{names.LOGS}{vault.notary.tag('system', point.system)}/{vault.notary.tag('branch', point.logs)}"
            first[folder] = min(position, first.get(folder, position))
    return first


def _sound(vault: Vault, name: str) -> bool:
    """Every copy of an increment is believed and opens: only then may it stand for others."""
    try:
        for storage in vault.locations.storages:
            body.open_(vault.notary, name, storage.get(name))
    except Damaged:
        return False
    return True


def _doubled(found: Sequence[ObjectInfo]) -> list[tuple[str, str]]:
    """(name, name of the longer increment that it lies wholly inside of)."""
    doubled = []
    by_branch: dict[str, list[ObjectInfo]] = {}
    for info in found:
        by_branch.setdefault(info.name.rsplit("/", 1)[0], []).append(info)
    for infos in by_branch.values():
        longest: Increment | None = None
        for one in sorted(increments(infos), key=lambda one: (one.start, -one.end)):
            if longest is not None and one.end <= longest.end:
                doubled.append((one.name, longest.name))
            else:
                longest = one
    return doubled
