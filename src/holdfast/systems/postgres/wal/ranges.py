"""The stretches of its history that a cluster can be returned to."""

from typing import Any

from holdfast.systems.contract import History
from holdfast.systems.postgres import lsn as positions
from holdfast.systems.postgres.restore.planning.landmarks import Covered, holdings
from holdfast.systems.postgres.restore.planning.reach import ranges as reachable


def ranges(history: History, covered: Covered | None = None) -> list[dict[str, Any]]:
    """One entry for each unbroken stretch, in order of time: ``{"timeline", "branch", "from", "to", "from_time", "to_time", "points"}``.

    ``from`` and ``to`` are LSNs, times ISO 8601; every moment between can be reached from one of ``points``.
    """
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for one in reachable(holdings(history.points(), history.logs(), covered)):
        key = (one.path.branch, one.end)
        entry = found.setdefault(
            key,
            {
                "timeline": one.path.timeline,
                "branch": one.path.branch,
                "from": positions.show(one.start),
                "to": positions.show(one.end),
                "from_time": one.base.stopped.isoformat(),
                "to_time": one.known_until.isoformat(),
                "points": [],
            },
        )
        entry["points"].append(one.base.id)
    return list(found.values())
