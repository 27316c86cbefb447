"""Joins many small increments into few large ones. Only adds: the small ones go with the next prune, which finds them doubled.

Every large one is read back from every location and compared before it counts; a reader takes whatever reaches furthest, so that both
may lie side by side at any moment.
"""

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from holdfast.model import Clock, Increment
from holdfast.storage.contract import ObjectExists, ObjectMissing, Storage
from holdfast.vault.errors import ObjectDamaged
from holdfast.vault.keys.notary import Notary
from holdfast.vault.locations import Locations, get_if_there
from holdfast.vault.lock.extend import hold_full
from holdfast.vault.logs import body, names
from holdfast.vault.logs.store import SystemLogs

SMALL = 4 << 20
TARGET = 32 << 20
FEWEST = 8
SETTLED = dt.timedelta(minutes=15)
"""The newest increments are left alone: a follower may just be comparing with them."""

Merge = Callable[[Sequence[Mapping[str, Any]]], Mapping[str, Any]]
"""One meta of the metas of joined increments, in order: what they mean is the system's own."""


@dataclass(frozen=True, slots=True)
class Compacted:
    """``made`` large increments out of ``joined`` small ones."""

    made: int
    joined: int
    bytes: int


def compact(
    storages: Sequence[Storage],
    notary: Notary,
    clock: Clock,
    *,
    system: str,
    branch: str,
    merge: Merge,
    fewest: int = FEWEST,
    settled: dt.timedelta = SETTLED,
) -> Compacted:
    """Join what is small, contiguous and settled in every one of ``storages``. Needs a key that reads content.

    Raises ObjectDamaged when an increment cannot be read in any of them, or a large one did not come back as it was put.
    """
    tags = notary.tag("system", system), notary.tag("branch", branch)
    prefix = names.folder(*tags)
    listed = [{one.name: one for one in names.increments(storage.list(prefix))} for storage in storages]
    common = set.intersection(*(set(found) for found in listed))
    needed = names.furthest(sorted((listed[0][name] for name in common), key=lambda one: (one.start, one.end)), 0)
    before = storages[0].now() - settled
    locations = Locations(storages)
    made = joined = size = 0
    for run in _runs(needed, before):
        if len(run) < fewest:
            continue
        try:
            opened = [locations.read(one.name, partial(body.open_, notary, one.name)) for one in run]
        except ObjectMissing:
            continue  # another compaction joined them meanwhile, and a prune removed them, or they were too old
        scope = opened[0].scope
        if any(one.scope != scope for one in opened):
            continue  # the system was moved to another scope in between: what is under one key stays under it
        if any(one.meta.get("island") for one in opened):
            continue  # nobody promised that the log goes on behind it, and of a joined one that could not be said
        data = b"".join(one.data for one in opened)
        name = names.increment(*tags, run[0].start, run[-1].end)
        meta = merge([one.meta for one in opened])
        sealed = body.seal(notary, name, system=system, branch=branch, data=data, meta=meta, at=clock.now(), scope=scope)
        holding = [storage for storage, found in zip(storages, listed, strict=True) if name in found]
        if holding:
            # Of a compaction that died between two locations. A prune may have found it inside a larger one since.
            sealed = get_if_there(holding[0], name) or sealed
        for storage in storages:
            # Two compactions at once may each have put their own: the same bytes of the log, sealed apart.
            with contextlib.suppress(ObjectExists):
                storage.put_if_absent(name, [sealed])
            back = get_if_there(storage, name)
            if back is None:
                break  # a prune found it inside a larger one
            if bytes(body.open_(notary, name, back).data) != data:
                raise ObjectDamaged(
                    f"{name} did not come back from {storage.url} as it was put.", hint="Run 'holdfast vault check --read all'."
                )
        else:
            # It stands for increments that are locked shortly: before one of those goes, it is locked for all days.
            hold_full(storages, [name])
            made, joined, size = made + 1, joined + len(run), size + len(data)
    return Compacted(made, joined, size)


def _runs(increments: Iterator[Increment], before: dt.datetime) -> Iterator[list[Increment]]:
    """Neighbours that join without gap or overlap, each small and stored ``before``, together at most TARGET bytes."""
    run: list[Increment] = []
    for one in increments:
        small = one.end - one.start < SMALL and one.stored_at < before
        if run and not (small and one.start == run[-1].end and one.end - run[0].start <= TARGET):
            yield run
            run = []
        if small:
            run.append(one)
    if run:
        yield run


def compact_system(
    storages: Sequence[Storage], notary: Notary, clock: Clock, *, system: str, merge: Merge, settled: dt.timedelta = SETTLED
) -> Compacted:
    """All branches of a system. What is joined goes with a later prune, which finds it doubled. Raises what ``compact`` raises."""
    done = [
        compact(storages, notary, clock, system=system, branch=branch, merge=merge, settled=settled)
        for branch in SystemLogs(Locations(storages), notary, clock, system).branches()
    ]
    return Compacted(sum(one.made for one in done), sum(one.joined for one in done), sum(one.bytes for one in done))
