"""Whether the vault still holds the newest that was put into it: an older state of it, whole and signed, must not pass for the present."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from holdfast.model import RecoveryPoint
from holdfast.systems.contract import History
from holdfast.validation.results import Result


@dataclass(frozen=True, slots=True)
class Stored:
    """``position``: how far a branch of the log was durable in the vault at ``at``; ``text``: as the system shows it."""

    position: int
    at: dt.datetime
    text: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What this host saw become durable: the newest point, begun at ``at``, and how far the newest branch of the log reached."""

    point: str | None = None
    at: dt.datetime | None = None
    logs: Mapping[str, Stored] = field(default_factory=dict)


def fresh(history: History, known: Known) -> list[Result]:
    """One result for the point and one for each log; none where this host knows nothing."""
    points = history.points()
    found = []
    if known.point is not None and known.at is not None:
        found.append(_point(points, known.point, known.at))
    for branch, stored in known.logs.items():
        # What a later point made superfluous may be gone.
        if not any(point.committed_at > stored.at for point in points):
            found.append(_log(history, branch, stored))
    return found


def _point(points: Sequence[RecoveryPoint], wanted: str, at: dt.datetime) -> Result:
    newest = max(points, key=lambda one: one.committed_at, default=None)
    # By the beginnings of both: of two backups at a time the one that began later is the newer.
    there = any(one.id == wanted for one in points) or (newest is not None and newest.started_at > at)
    shown = None if newest is None else {"point": newest.id, "started_at": newest.started_at.isoformat()}
    expected = {"point": wanted, "started_at": at.isoformat()}
    detail = "" if there else "this host saw a newer point committed than the vault has: an older state of the vault, or it was removed"
    return Result("newest point", "fresh", "passed" if there else "failed", expected, shown, detail)


def _log(history: History, branch: str, stored: Stored) -> Result:
    logs = history.logs()
    ends = [end for _, end in logs.reader(branch).coverage()] if branch in logs.branches() else []
    end = max(ends, default=0)
    good = end >= stored.position
    lost = f"{stored.position - end} bytes of log that were durable in the vault are not there" if ends else "the log is not there"
    return Result(f"log {branch}", "fresh", "passed" if good else "failed", stored.text or stored.position, end, "" if good else lost)
