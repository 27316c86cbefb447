"""Commits and restore points in a vault's WAL log: found by what is recorded beside each increment, told exactly by scanning that one."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from holdfast.model import Increment
from holdfast.systems.contract import LogReader, LogStore
from holdfast.systems.postgres import lsn as positions
from holdfast.systems.postgres.restore.history import BranchLog, Holdings, Mark
from holdfast.systems.postgres.restore.plan import bases
from holdfast.systems.postgres.wal.format import Event, Kind
from holdfast.systems.postgres.wal.records import scanner
from holdfast.systems.postgres.wal.timeline import branch_parts


def moment(microseconds: int) -> dt.datetime:
    """Microseconds since the Unix epoch, aware."""
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=microseconds)


class LogMarks:
    """Landmarks of one branch. Metas are read once and kept; WAL is read only where an exact position is asked for."""

    def __init__(self, reader: LogReader, segment_size: int = positions.SEGMENT) -> None:
        self._reader = reader
        self._segment = segment_size
        self._increments: list[Increment] | None = None
        self._metas: dict[int, Mapping[str, Any]] = {}

    def increments(self) -> Sequence[Increment]:
        if self._increments is None:
            self._increments = list(self._reader.increments())
        return self._increments

    def meta(self, increment: Increment) -> Mapping[str, Any]:
        if increment.start not in self._metas:
            self._metas[increment.start] = self._reader.meta(increment)
        return self._metas[increment.start]

    def first_after(self, time: dt.datetime, start: int, end: int, *, inclusive: bool) -> Mark | None:
        def later(meta: Mapping[str, Any]) -> bool:
            last = meta.get("last_commit")
            return meta.get("commits") != 0 and (last is None or _reaches(dt.datetime.fromisoformat(last), time, inclusive=inclusive))

        def wanted(event: Event) -> bool:
            return event.kind == Kind.COMMIT and bool(event.time) and _reaches(moment(event.time), time, inclusive=inclusive)

        return self._first(start, end, later, wanted)

    def commit(self, xid: int, start: int, end: int) -> Mark | None:
        def within(meta: Mapping[str, Any]) -> bool:
            low, high = meta.get("xid_min"), meta.get("xid_max")
            return meta.get("commits") != 0 and (low is None or high is None or low > high or low <= xid <= high)

        return self._first(start, end, within, lambda event: event.kind in (Kind.COMMIT, Kind.ABORT) and event.xid == xid)

    def named(self, name: str, start: int, end: int) -> Mark | None:
        def holds(meta: Mapping[str, Any]) -> bool:
            points = meta.get("restore_points")
            return "commits" not in meta or any(point["name"] == name for point in points or ())

        return self._first(
            start, end, holds, lambda event: event.kind == Kind.RESTORE_POINT and event.name.decode("utf-8", "replace") == name
        )

    def last(self, start: int, end: int) -> Mark | None:
        for increment in reversed(self.increments()):
            if increment.start >= end or increment.end <= start:
                continue
            meta = self.meta(increment)
            if meta.get("commits") == 0:
                continue
            low, high = max(start, increment.start), min(end, increment.end)
            # A commit record that begins in the increment before may end in this one: it is counted here.
            found = [event for event in self._events(low, high) if event.kind == Kind.COMMIT and start <= event.start < end]
            if found:
                return _mark(found[-1])
        return None

    def commits(self, start: int, end: int) -> Iterator[Mark]:
        """Every commit in order, by reading all of it."""
        for event in self._events(start, end):
            if event.kind == Kind.COMMIT and start <= event.start < end:
                yield _mark(event)

    def _first(self, start: int, end: int, worth: Callable[[Mapping[str, Any]], bool], wanted: Callable[[Event], bool]) -> Mark | None:
        for increment in self.increments():
            if increment.end <= start:
                continue
            if increment.start >= end:
                return None
            if not worth(self.meta(increment)):
                continue
            for event in self._events(max(start, increment.start), min(end, increment.end)):
                if event.start >= start and event.start < end and wanted(event):
                    return _mark(event)
        return None

    def _events(self, start: int, end: int) -> Iterator[Event]:
        """Records that end in [start, end), and the last one that begins there. The scan begins at the segment before: a record may lead in."""
        begin = max(0, start - 1)
        begin -= begin % self._segment
        scan, at = None, begin
        for increment in self.increments():
            if increment.end <= at:
                continue
            if scan is None or increment.start > at:
                # A gap: what follows is scanned anew.
                at = max(begin, increment.start)
                scan = scanner(at, self._segment, full=True)
            data = memoryview(self._reader.read(increment))[at - increment.start :]
            at = increment.end
            for event in scan.feed(data):
                if event.end > start:
                    yield event
            if at >= end:
                return


def _reaches(time: dt.datetime, target: dt.datetime, *, inclusive: bool) -> bool:
    return time > target or (not inclusive and time == target)


def _mark(event: Event) -> Mark:
    name = event.name.decode("utf-8", "replace") if event.kind == Kind.RESTORE_POINT else None
    return Mark(event.start, event.end, moment(event.time) if event.time else None, event.xid if name is None else None, name)


def branch_log(reader: LogReader, covered: Callable[[str], dt.datetime | None] | None = None) -> BranchLog:
    """One branch of a vault's log as planning sees it. ``covered``: what else is known of how far a follower vouches (its heartbeat)."""
    marks = LogMarks(reader)
    increments = marks.increments()
    stretches: list[tuple[int, int]] = []
    for one in increments:
        if stretches and one.start <= stretches[-1][1]:
            stretches[-1] = (stretches[-1][0], max(stretches[-1][1], one.end))
        else:
            stretches.append((one.start, one.end))
    timeline = branch_parts(reader.branch)[1]
    history, until = b"", covered(reader.branch) if covered else None
    if increments:
        first, last = marks.meta(increments[0]), marks.meta(increments[-1])
        marks = LogMarks(reader, int(first.get("segment_size") or positions.SEGMENT))
        if timeline > 1:
            history = _history(marks, increments)
        told = [dt.datetime.fromisoformat(last[name]) for name in ("server_time", "last_commit") if last.get(name)]
        until = max([*told, *([until] if until else [])], default=None)
    return BranchLog(reader.branch, timeline, history, tuple(stretches), until, marks)


def _history(marks: LogMarks, increments: Sequence[Increment]) -> bytes:
    for increment in increments:
        text = marks.meta(increment).get("history")
        if text:
            return str(text).encode("utf-8", "surrogateescape")
    return b""


def holdings(points: Sequence[Any], logs: LogStore, covered: Callable[[str], dt.datetime | None] | None = None) -> Holdings:
    """Everything that a vault holds of one cluster."""
    return Holdings(bases(points), {name: branch_log(logs.reader(name), covered) for name in logs.branches()})
