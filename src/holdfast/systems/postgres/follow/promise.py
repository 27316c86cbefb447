"""Where somebody had undertaken to leave nothing out, and where not.

A follower promises that its log goes on. A backup that ships its own WAL without a follower promises nothing beyond its stop: its
increments say ``island``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.systems.contract import LogStore
from holdfast.systems.postgres.wal.timeline import Stretch

ISLAND = "island"
"""Key of the meta of WAL that a backup shipped for itself alone."""


def island(meta: Mapping[str, Any]) -> bool:
    return bool(meta.get(ISLAND))


def promised(logs: LogStore, stretches: Sequence[Stretch], known: Sequence[tuple[int, int]]) -> int | None:
    """The end of the newest of the ``known`` ranges of a history that was to go on; None when all are islands."""
    for _, end in reversed(known):
        branch = next(one.branch for one in stretches if one.start < end and (one.end is None or end <= one.end))
        reader = logs.reader(branch)
        last = next(one for one in reader.increments(end - 1) if one.start < end <= one.end)
        if not island(reader.meta(last)):
            return end
    return None
