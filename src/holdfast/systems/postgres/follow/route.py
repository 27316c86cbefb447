"""Where to go on: from what the vault holds and what the server says, the legs to stream. Pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.follow.errors import OtherSystem, ServerBehind
from holdfast.systems.postgres.link.replication import Identity
from holdfast.systems.postgres.wal.timeline import Stretch, ancestry, branch_parts

Ranges = Sequence[tuple[int, int]]
"""What is stored of a branch: (start, end), sorted, apart from one another."""


@dataclass(frozen=True, slots=True)
class Leg:
    """Stream ``timeline`` from ``start`` into ``branch``, to where the timeline was left (``until``) or without end.

    ``stored``: the end of what the vault holds before ``start``, None where the leg begins a branch. ``fill``: the leg closes a gap, and
    ends at ``until`` because the vault holds what comes next.
    """

    branch: str
    timeline: int
    start: int
    until: int | None
    history: bytes
    stored: int | None
    fill: bool = False


def held_on(stretches: Sequence[Stretch], held: Mapping[str, Ranges]) -> list[tuple[int, int]]:
    """What the vault holds along a history, joined: each branch counts where its timeline was the history's."""
    found: list[tuple[int, int]] = []
    for one in stretches:
        for low, high in held.get(one.branch, ()):
            start, end = max(low, one.start), high if one.end is None else min(high, one.end)
            if start >= end:
                continue
            if found and start <= found[-1][1]:
                found[-1] = (found[-1][0], max(found[-1][1], end))
            else:
                found.append((start, end))
    return found


def stretches_of(name: str, server: Identity, history: bytes, held: Mapping[str, Ranges]) -> tuple[Stretch, ...]:
    """The server's history. Raises OtherSystem, and ServerBehind where the vault's log went on without it."""
    for branch in held:
        known = branch_parts(branch)[0]
        if known != server.system_identifier:
            raise OtherSystem(name, server.system_identifier, known)
    stretches = ancestry(server.system_identifier, server.timeline, history)
    own = held.get(stretches[-1].branch)
    newer = [branch for branch, ranges in held.items() if ranges and branch_parts(branch)[1] > server.timeline]
    if newer and own:
        raise ServerBehind(
            f"The server is on timeline {server.timeline}; the log of '{name}' already went on to timeline "
            f"{max(branch_parts(branch)[1] for branch in newer)}.",
            hint="An old primary that still runs? Fence it, and name the new one in the plan.",
            timeline=server.timeline,
        )
    if own and own[-1][1] > server.position:
        raise ServerBehind(
            f"The server has flushed WAL up to {lsn.show(server.position)} on timeline {server.timeline}; the vault holds it up to "
            f"{lsn.show(own[-1][1])}.",
            hint="Is it a standby that lags (wait), or a server that was rolled back to an older copy (give it a new name in the plan)?",
            timeline=server.timeline,
            server=lsn.show(server.position),
            vault=lsn.show(own[-1][1]),
        )
    return stretches


def legs(
    stretches: Sequence[Stretch], held: Mapping[str, Ranges], *, segment_size: int, fresh: int, since: int | None = None
) -> tuple[Leg, ...]:
    """``fresh``: where to begin when there is nothing yet. Gaps that begin at ``since`` or later are filled on the way; by default none is:
    it goes on behind the newest byte.
    """
    known = held_on(stretches, held)
    if not known:
        last = stretches[-1]
        return (Leg(last.branch, last.timeline, fresh - fresh % segment_size, None, last.history, None),)
    gaps: list[tuple[int, int | None]] = [(a[1], b[0]) for a, b in pairwise(known) if since is not None and a[1] >= since]
    found = []
    for low, high in [*gaps, (known[-1][1], None)]:
        for one in stretches:
            start = max(low, one.start)
            until = one.end if high is None else high if one.end is None else min(high, one.end)
            if until is not None and start >= until:
                continue
            begins = start == one.start
            fill = high is not None and until == high and high != one.end
            at = start - start % segment_size if begins else start
            found.append(Leg(one.branch, one.timeline, at, until, one.history, None if begins else start, fill))
    return tuple(found)
