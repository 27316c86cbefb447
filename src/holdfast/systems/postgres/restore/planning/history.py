"""What a vault holds of one cluster, reduced to what planning a restore needs: base backups, stretches of WAL, landmarks in them."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from holdfast.systems.postgres.restore.planning.timelines import Line, Piece, line
from holdfast.systems.postgres.wal.coverage import Mark

__all__ = ["Base", "BranchLog", "Cover", "Holdings", "Landmarks", "Mark", "Marks"]


@dataclass(frozen=True, slots=True)
class Base:
    """A base backup. Recovery begins at ``start`` on ``branch``; the data is consistent from ``stop`` on. Positions in bytes,
    times aware.
    """

    id: str
    branch: str
    timeline: int
    start: int
    stop: int
    started: dt.datetime
    stopped: dt.datetime
    committed: dt.datetime
    label: str | None = None
    bytes: int = 0
    findings: int = 0
    system_identifier: str = ""


class Landmarks(Protocol):
    """Finds commits and restore points in one branch's log, in order of position, ``start`` <= lsn < ``end``."""

    def first_after(self, time: dt.datetime, start: int, end: int, *, inclusive: bool) -> Mark | None:
        """The first commit whose time is later than ``time`` (``inclusive`` False: later or equal)."""
        ...

    def commit(self, xid: int, start: int, end: int) -> Mark | None: ...

    def named(self, name: str, start: int, end: int) -> Mark | None: ...

    def last(self, start: int, end: int) -> Mark | None:
        """The last commit."""
        ...


@dataclass(frozen=True, slots=True)
class Marks:
    """Landmarks from a plain sorted sequence; small logs and tests."""

    marks: tuple[Mark, ...] = ()

    def _within(self, start: int, end: int) -> Iterable[Mark]:
        return (mark for mark in self.marks if start <= mark.lsn < end)

    def first_after(self, time: dt.datetime, start: int, end: int, *, inclusive: bool) -> Mark | None:
        for mark in self._within(start, end):
            if mark.name is None and mark.time is not None and (mark.time > time or (not inclusive and mark.time == time)):
                return mark
        return None

    def commit(self, xid: int, start: int, end: int) -> Mark | None:
        return next((mark for mark in self._within(start, end) if mark.xid is not None and mark.xid & 0xFFFFFFFF == xid), None)

    def named(self, name: str, start: int, end: int) -> Mark | None:
        return next((mark for mark in self._within(start, end) if mark.name == name), None)

    def last(self, start: int, end: int) -> Mark | None:
        found = [mark for mark in self._within(start, end) if mark.name is None]
        return found[-1] if found else None


@dataclass(frozen=True, slots=True)
class BranchLog:
    """The WAL of one timeline in the vault. ``stretches`` are byte ranges without a gap, sorted, apart from one another.

    ``covered_until``: up to this moment the follower vouches that nothing was committed behind the last stretch's end.
    """

    name: str
    timeline: int
    history: bytes = b""
    stretches: tuple[tuple[int, int], ...] = ()
    covered_until: dt.datetime | None = None
    landmarks: Landmarks = field(default_factory=Marks)

    @property
    def system_identifier(self) -> str:
        return self.name.split("-", 1)[0]


@dataclass(frozen=True, slots=True)
class Cover:
    """How far a base reaches along a line: without a gap up to ``end``; ``gap`` is the missing part when more follows behind it."""

    end: int
    branch: str
    timeline: int
    complete: bool
    gap: tuple[int, int] | None = None


@dataclass(frozen=True)
class Holdings:
    """Everything there is. ``lines`` holds one history for each branch of log."""

    bases: tuple[Base, ...]
    logs: Mapping[str, BranchLog]

    def lines(self) -> tuple[Line, ...]:
        return tuple(self.line(log) for log in self.logs.values())

    def line(self, log: BranchLog) -> Line:
        try:
            found = line(log.system_identifier, log.timeline, log.history)
        except ValueError:
            found = None
        if found is None or found.branch != log.name:
            # Its history file was never seen: the branch stands for itself alone.
            return Line(log.name, log.timeline, (Piece(log.name, log.timeline, 0, None),), log.history)
        return found

    def cover(self, base: Base, path: Line) -> Cover:
        """Follow ``path`` from the base's start as long as WAL is there."""
        at = base.start
        index = next(number for number, piece in enumerate(path.pieces) if piece.branch == base.branch)
        while True:
            piece = path.pieces[index]
            log = self.logs.get(piece.branch)
            stretch = next((one for one in log.stretches if one[0] <= at < one[1]), None) if log else None
            reached = min(stretch[1], piece.end) if stretch and piece.end is not None else stretch[1] if stretch else at
            at = max(at, reached)
            if piece.end is not None and at >= piece.end and index + 1 < len(path.pieces):
                index += 1
                continue
            return Cover(at, piece.branch, piece.timeline, index + 1 == len(path.pieces), self._gap(path, index, at))

    def _gap(self, path: Line, index: int, at: int) -> tuple[int, int] | None:
        later = []
        for piece in path.pieces[index:]:
            log = self.logs.get(piece.branch)
            later += [
                start
                for start, end in (log.stretches if log else ())
                if end > at and start >= at and (piece.end is None or start < piece.end)
            ]
        return (at, min(later)) if later else None
