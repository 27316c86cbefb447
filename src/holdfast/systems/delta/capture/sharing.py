"""A capture's data files cut into shards, which other processes store: the driver pins, asks the log, and takes on what they stored."""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from holdfast.model import Progress
from holdfast.systems.contract import Sharing
from holdfast.systems.delta.capture.copying import Copier
from holdfast.systems.delta.capture.pin import Wanted

FOR_EACH = 4
"""Shards for each process: for the sake of slow ones and lost ones."""
LARGEST = 1 << 30
"""Bytes of a shard, unless one file has more: what a lost process costs at most."""
MOST = 5000
"""Files of a shard."""


def share(sharing: Sharing, copier: Copier, files: Iterable[Wanted], progress: Progress) -> None:
    """Those that the point lacks and the base does not hold go to other processes, if they are worth it; what these could not read is left
    for ``Copier.copy``, which knows what it means.
    """
    fresh = [one for one in files if one.size is not None and copier.lacks(one)]
    if not fresh or sum(one.size or 0 for one in fresh) < sharing.least:
        return
    with sharing.open(progress) as pool:
        progress.phase("copy", sum(one.size or 0 for one in fresh))
        shards = cut(fresh, FOR_EACH * pool.width)
        answers = pool.store({"files": [asdict(one) for one in shard]} for shard in shards)
        for shard, done in zip(shards, answers, strict=True):
            copier.adopt(shard, done)
            progress.advance(sum(one.size or 0 for one in shard))


def cut(files: Sequence[Wanted], count: int) -> list[list[Wanted]]:
    """Shards of about equal size: each file, the largest first, goes to the one that is smallest by then. At least ``count``, if there are
    so many files; the same for the same files.
    """
    total = sum(one.size or 0 for one in files)
    count = min(len(files), max(count, -(-total // LARGEST), -(-len(files) // MOST)))
    shards: list[list[Wanted]] = [[] for _ in range(count)]
    smallest = [(0, number) for number in range(count)]
    heapq.heapify(smallest)
    for one in sorted(files, key=lambda one: (-(one.size or 0), one.path)):
        size, number = smallest[0]
        shards[number].append(one)
        heapq.heapreplace(smallest, (size + (one.size or 0) + 1, number))
    return shards
