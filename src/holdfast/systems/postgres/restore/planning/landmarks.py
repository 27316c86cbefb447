"""A vault's points and WAL log as planning sees them."""

import datetime as dt
from collections.abc import Callable, Sequence

from holdfast.model import RecoveryPoint
from holdfast.systems.contract import LogStore
from holdfast.systems.postgres.restore.planning.history import BranchLog, Holdings
from holdfast.systems.postgres.restore.planning.plan import bases
from holdfast.systems.postgres.wal.coverage import LogIndex, indexes

Covered = Callable[[str], dt.datetime | None]
"""What a follower's heartbeat vouches for beyond the stored log: a branch, and until when nothing more was committed on it."""


def branch_log(index: LogIndex, covered: Covered | None = None) -> BranchLog:
    """One branch. ``covered`` adds what a follower of an idle server knows and has no increment to write into."""
    moments = [time for time in (index.covered_until, covered(index.branch) if covered else None) if time is not None]
    return BranchLog(index.branch, index.timeline, index.history, index.stretches, max(moments, default=None), index)


def holdings(points: Sequence[RecoveryPoint], logs: LogStore, covered: Covered | None = None) -> Holdings:
    """Everything that a vault holds of one cluster, as it is now."""
    return Holdings(bases(points), {name: branch_log(index, covered) for name, index in indexes(logs).items()})
