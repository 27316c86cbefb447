"""One order of the entries that several hosts wrote. Pure.

An entry stands behind those of its own chain with smaller numbers and behind those that it cites; what neither order decides is decided by
wall clock, then by chain and number. So every host that has the same entries gets the same order, whatever their clocks say and in
whatever order they were read.
"""

import datetime as dt
import heapq
from collections.abc import Iterable, Sequence

from holdfast.incidents.record.events import Event, Id

SLACK = 2.0
"""Seconds by which the clocks of two hosts, or the two clocks of one, may differ without being told."""


def ordered(events: Iterable[Event]) -> list[Event]:
    """All of them, once each."""
    known = {one.id: one for one in events}
    before: dict[Id, set[Id]] = {one: set() for one in known}
    last: dict[str, Id] = {}
    for here in sorted(known):
        chain, _ = here
        if chain in last:
            before[here].add(last[chain])
        last[chain] = here
        before[here] |= {(tag, n) for tag, n, _ in known[here].cites if (tag, n) in known and (tag, n) != here}
    behind: dict[Id, list[Id]] = {one: [] for one in known}
    for here, earlier in before.items():
        for one in earlier:
            behind[one].append(here)
    waiting = {here: len(earlier) for here, earlier in before.items()}
    ready = [(known[here].at, here) for here, count in waiting.items() if not count]
    heapq.heapify(ready)
    found: list[Event] = []
    while ready:
        _, here = heapq.heappop(ready)
        found.append(known[here])
        for one in behind[here]:
            waiting[one] -= 1
            if not waiting[one]:
                heapq.heappush(ready, (known[one].at, one))
    # Citing in a circle needs a forged hash; whatever it is, nothing is dropped.
    left = sorted(set(known) - {one.id for one in found}, key=lambda here: (known[here].at, here))
    return found + [known[here] for here in left]


def heads(events: Sequence[Event]) -> list[tuple[str, int, str]]:
    """What the next entry cites: those that no other one stands behind."""
    newest: dict[str, Event] = {}
    for one in events:
        if one.chain not in newest or newest[one.chain].n < one.n:
            newest[one.chain] = one
    covered = {(tag, n) for one in events for tag, n, _ in one.cites if tag != one.chain}
    return sorted((one.chain, one.n, one.hash) for one in newest.values() if one.id not in covered)


def missing(events: Sequence[Event]) -> list[str]:
    """Entries that are cited and not here: another host's journal was not copied yet, or is lost."""
    known = {one.id: one for one in events}
    cited = {(tag, n) for one in events for tag, n, _ in one.cites}
    return [f"{tag}:{n}" for tag, n in sorted(cited - set(known))]


def forged(events: Sequence[Event]) -> list[str]:
    """Entries that are not the ones that others cite: a journal was written anew."""
    known = {one.id: one for one in events}
    return sorted({f"{tag}:{n}" for one in events for tag, n, digest in one.cites if (tag, n) in known and known[(tag, n)].hash != digest})


def disagreements(events: Sequence[Event]) -> list[str]:
    """Sentences on where clocks disagree: an entry dated before one that it follows, a clock that was set while it was counted."""
    known = {one.id: one for one in events}
    found: list[str] = []
    last: dict[str, Event] = {}
    for here in sorted(known):
        one = known[here]
        for tag, n, _ in one.cites:
            earlier = known.get((tag, n))
            if earlier is not None and earlier.chain != one.chain and (earlier.at - one.at).total_seconds() > SLACK:
                found.append(
                    f"{one.by.host} wrote '{one.kind}' at {_text(one.at)}, after it had read '{earlier.kind}' of {earlier.by.host} dated"
                    f" {_text(earlier.at)}: their clocks differ by {(earlier.at - one.at).total_seconds():.0f} s at least"
                )
        before = last.get(one.chain)
        if before is not None:
            wall = (one.at - before.at).total_seconds()
            if before.boot and before.boot == one.boot:
                apart = wall - (one.mono - before.mono)
                if abs(apart) > max(SLACK, 0.01 * (one.mono - before.mono)):
                    step = "back" if apart < 0 else "forward"
                    found.append(
                        f"the clock of {one.by.host} was set {step} by {abs(apart):.0f} s between '{before.kind}' and '{one.kind}'"
                    )
            elif wall < -SLACK:
                found.append(f"the clock of {one.by.host} went back by {-wall:.0f} s between '{before.kind}' and '{one.kind}'")
        last[one.chain] = one
    return found


def _text(moment: dt.datetime) -> str:
    return moment.isoformat(timespec="seconds")
