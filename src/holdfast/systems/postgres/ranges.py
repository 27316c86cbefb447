"""The stretches of its history that one PostgreSQL cluster can be returned to."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from holdfast.model import RecoveryPoint
from holdfast.systems.contract import History
from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.wal.coverage import LogIndex


def ranges(history: History) -> list[dict[str, Any]]:
    """One for each gap-free stretch of log that a recovery point begins on; JSON-ready.

    ``from`` and ``to`` are LSNs, ``from_time`` when the oldest usable point was consistent, ``to_time`` up to when nothing is missing
    (None: the log holds no time), ``restore_points`` by name. A stretch that only continues an earlier timeline begins at its first byte.
    """
    points = [point for point in history.points() if point.logs]
    logs = history.logs()
    found = []
    for branch in logs.branches():
        index = LogIndex(logs.reader(branch))
        for start, end in index.stretches:
            usable = [
                point
                for point in points
                if point.logs == branch and start <= lsn.parse(point.start["lsn"]) and lsn.parse(point.stop["lsn"]) <= end
            ]
            if not usable and index.timeline == 1:
                continue  # a log without a base to begin on restores nothing
            first = min(usable, key=lambda point: lsn.parse(point.stop["lsn"]), default=None)
            last_stretch = (start, end) == index.stretches[-1]
            found.append(
                {
                    "branch": branch,
                    "timeline": index.timeline,
                    "from": first.stop["lsn"] if first else lsn.show(start),
                    "to": lsn.show(end),
                    "from_time": _stopped(first) if first else _iso(index.first_commit),
                    "to_time": _iso(index.covered_until) if last_stretch else None,
                    "points": [point.id for point in usable],
                    "restore_points": [
                        {"name": mark.name, "lsn": lsn.show(mark.lsn), "time": _iso(mark.time)} for mark in _named(index, start, end)
                    ],
                }
            )
    return found


def _named(index: LogIndex, start: int, end: int) -> Sequence[Any]:
    return index.restore_points(start, end)


def _stopped(point: RecoveryPoint) -> str:
    return str(point.stop.get("time") or point.committed_at.isoformat())


def _iso(moment: dt.datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
