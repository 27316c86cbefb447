"""Where to go on: from what the vault holds and what the server says, the legs to stream. A pure function."""

from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.follow.errors import OtherSystem, ServerBehind
from holdfast.systems.postgres.replication import Identity
from holdfast.systems.postgres.wal.timeline import Stretch, ancestry, branch_parts


@dataclass(frozen=True, slots=True)
class Leg:
    """Stream ``timeline`` from ``start`` into ``branch``, to where the timeline was left (``until``) or without end.

    ``stored``: the end of what the vault holds of the branch, None for a new one.
    """

    branch: str
    timeline: int
    start: int
    until: int | None
    history: bytes
    stored: int | None


def legs(name: str, server: Identity, history: bytes, ends: Mapping[str, int | None], *, segment_size: int, fresh: int) -> tuple[Leg, ...]:
    """``ends``: the vault's branches of this system with the end of each. ``fresh``: where to begin when there is nothing yet.

    Raises OtherSystem and ServerBehind.
    """
    for branch in ends:
        known = branch_parts(branch)[0]
        if known != server.system_identifier:
            raise OtherSystem(name, server.system_identifier, known)
    stretches = ancestry(server.system_identifier, server.timeline, history)
    current = stretches[-1]
    newer = [branch for branch, end in ends.items() if end is not None and branch_parts(branch)[1] > server.timeline]
    if newer and ends.get(current.branch) is not None:
        raise ServerBehind(
            f"The server is on timeline {server.timeline}; the log of '{name}' already went on to timeline "
            f"{max(branch_parts(branch)[1] for branch in newer)}.",
            hint="An old primary that still runs? Fence it, and name the new one in the plan.",
            timeline=server.timeline,
        )
    at = _resume(stretches, ends)
    if at is None:
        start = fresh - fresh % segment_size
        return (Leg(current.branch, current.timeline, start, None, current.history, None),)
    found = []
    for number, stretch in enumerate(stretches[at:]):
        stored = ends.get(stretch.branch)
        if number == 0 and stored is not None and stretch.end is not None and stored >= stretch.end:
            continue
        begin = stretch.start - stretch.start % segment_size
        found.append(Leg(stretch.branch, stretch.timeline, begin if stored is None else stored, stretch.end, stretch.history, stored))
    last = found[-1]
    if last.stored is not None and last.stored > server.position:
        raise ServerBehind(
            f"The server has flushed WAL up to {lsn.show(server.position)} on timeline {server.timeline}; the vault holds it up to "
            f"{lsn.show(last.stored)}.",
            hint="Is it a standby that lags (wait), or a server that was rolled back to an older copy (give it a new name in the plan)?",
            timeline=server.timeline,
            server=lsn.show(server.position),
            vault=lsn.show(last.stored),
        )
    return tuple(found)


def _resume(stretches: tuple[Stretch, ...], ends: Mapping[str, int | None]) -> int | None:
    for number in range(len(stretches) - 1, -1, -1):
        if ends.get(stretches[number].branch) is not None:
            return number
    return None
