"""What a vault's log of one branch covers, and where in it a moment, a transaction or a named restore point lies.

The meta of the increments narrows the search; the bytes decide. Commit times are not in the order of the log (each is taken before its
record is written), so a search by time begins ``SLACK`` earlier than the meta says.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from holdfast.model import Increment
from holdfast.systems.contract import LogReader, LogStore
from holdfast.systems.postgres import lsn as positions
from holdfast.systems.postgres.wal.format import Event, Kind
from holdfast.systems.postgres.wal.records import scanner
from holdfast.systems.postgres.wal.timeline import branch_parts

SLACK = dt.timedelta(seconds=60)
"""How far apart commit times and the order of the log are thought to be at most: a clock that is set back further hides commits."""
_READERS = 4
_LONGEST_COMMIT = 1 << 20
"""Bytes: a commit record of 200,000 subtransactions with its page headers."""
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Mark:
    """A commit or a named restore point: its record lies in [``lsn``, ``end``)."""

    lsn: int
    end: int
    time: dt.datetime | None = None
    xid: int | None = None
    name: str | None = None


class LogIndex:
    """One branch, as it was when first asked. All positions in bytes, all times aware. Searches look at start <= lsn < end."""

    def __init__(self, reader: LogReader) -> None:
        self.reader = reader
        self.branch = reader.branch
        self.system_identifier, self.timeline = branch_parts(reader.branch)
        self._metas: dict[str, Mapping[str, Any]] = {}

    # ------------------------------------------------------------ what is there

    @cached_property
    def increments(self) -> Sequence[Increment]:
        return tuple(self.reader.increments())

    @cached_property
    def stretches(self) -> tuple[tuple[int, int], ...]:
        """Ranges without a gap, sorted, apart from one another."""
        found: list[tuple[int, int]] = []
        for one in self.increments:
            if found and one.start <= found[-1][1]:
                found[-1] = (found[-1][0], max(found[-1][1], one.end))
            else:
                found.append((one.start, one.end))
        return tuple(found)

    @property
    def gaps(self) -> tuple[tuple[int, int], ...]:
        """Ranges that are missing between stretches."""
        return tuple((a[1], b[0]) for a, b in zip(self.stretches, self.stretches[1:], strict=False))

    @cached_property
    def history(self) -> bytes:
        """The timeline's history file; empty for timeline 1, or when the increment that carries it is gone."""
        for one in self.increments if self.timeline > 1 else ():
            text = self._meta(one).get("history")
            if text:
                content = str(text).encode("utf-8", "surrogateescape")
                if positions.branch(self.system_identifier, self.timeline, content) == self.branch:
                    return content
        return b""

    @cached_property
    def segment_size(self) -> int:
        return int(self._meta(self.increments[0]).get("segment_size", positions.SEGMENT)) if self.increments else positions.SEGMENT

    @cached_property
    def covered_until(self) -> dt.datetime | None:
        """The follower vouches that whatever was committed before this lies before the end of the last stretch. None: nothing known."""
        for one in reversed(self.increments):
            time = _time(self._meta(one), "server_time") or _time(self._meta(one), "last_commit")
            if time is not None:
                return time
        return None

    @cached_property
    def first_commit(self) -> dt.datetime | None:
        """The earliest commit time in the first increment that holds a commit."""
        return next((time for one in self.increments if (time := _time(self._meta(one), "first_commit"))), None)

    def restore_points(self, start: int = 0, end: int | None = None) -> list[Mark]:
        """Every named restore point, in order of position."""
        found = []
        for one, meta in self._read(self._within(start, end)):
            for point in meta.get("restore_points", ()):
                at = positions.parse(point["lsn"])
                if start <= at and (end is None or at < end):
                    stop = positions.parse(point["end"]) if "end" in point else one.end
                    found.append(Mark(at, stop, dt.datetime.fromisoformat(point["time"]), None, point["name"]))
        return found

    # ------------------------------------------------------------ where is …

    def first_after(self, time: dt.datetime, start: int, end: int, *, inclusive: bool = True) -> Mark | None:
        """The first commit whose time is later than ``time`` (``inclusive`` False: later or equal)."""

        def later(found: dt.datetime) -> bool:
            return found > time or (not inclusive and found == time)

        within = self._within(start, end)
        for one, meta in self._read(within[self._before(within, time - SLACK) :]):
            last = _time(meta, "last_commit")
            if last is None or not later(last):
                continue
            for mark in self._commits(one, start, end):
                if mark.time is not None and later(mark.time):
                    return mark
        return None

    def last_before(self, time: dt.datetime, start: int, end: int) -> Mark | None:
        """The commit just before the first one that is later than ``time``: where recovery to that time ends."""
        stop = self.first_after(time, start, end)
        return self.last(start, end if stop is None else stop.lsn)

    def commit(self, xid: int, start: int, end: int) -> Mark | None:
        """The commit of a transaction, by its 32-bit id (an epoch above is ignored)."""
        xid &= 0xFFFFFFFF
        for one, meta in self._read(self._within(start, end)):
            if meta.get("commits") and meta.get("xid_min", 0) <= xid <= meta.get("xid_max", -1):
                for mark in self._commits(one, start, end):
                    if mark.xid == xid:
                        return mark
        return None

    def named(self, name: str, start: int, end: int) -> Mark | None:
        """The first restore point of that name, as PostgreSQL takes it."""
        return next((mark for mark in self.restore_points(start, end) if mark.name == name), None)

    def last(self, start: int, end: int) -> Mark | None:
        """The last commit."""
        for one in reversed(self._within(start, end)):
            if self._meta(one).get("commits"):
                found = list(self._commits(one, start, end))
                if found:
                    return found[-1]
        return None

    def commits(self, start: int, end: int) -> Iterator[Mark]:
        """Every commit, in order of position; reads the log."""
        for one in self._within(start, end):
            if self._meta(one).get("commits"):
                yield from self._commits(one, start, end)

    # ------------------------------------------------------------ reading

    def _meta(self, one: Increment) -> Mapping[str, Any]:
        found = self._metas.get(one.name)
        if found is None:
            found = self._metas[one.name] = self.reader.meta(one)
        return found

    def _read(self, wanted: Sequence[Increment]) -> Iterator[tuple[Increment, Mapping[str, Any]]]:
        """Increments with their meta, read ahead in threads."""
        if all(one.name in self._metas for one in wanted):
            yield from ((one, self._metas[one.name]) for one in wanted)
            return
        with ThreadPoolExecutor(_READERS, thread_name_prefix="wal-index") as pool:
            for at in range(0, len(wanted), _READERS * 4):
                batch = wanted[at : at + _READERS * 4]
                yield from zip(batch, pool.map(self._meta, batch), strict=True)

    def _within(self, start: int, end: int | None) -> Sequence[Increment]:
        # A record that begins before ``end`` may end, and so be counted, in the increment behind it; one more is looked at.
        found = [one for one in self.increments if one.end > start]
        inside = sum(1 for one in found if end is None or one.start < end)
        return found[: inside + 1]

    def _before(self, within: Sequence[Increment], time: dt.datetime) -> int:
        """Index of an increment before which nothing is as late as ``time``, by bisection over the meta."""
        low, high = 0, len(within)
        while low < high:
            middle = (low + high) // 2
            known = None
            for one in within[middle:high]:
                meta = self._meta(one)
                known = _time(meta, "last_commit") or _time(meta, "server_time")
                if known is not None:
                    break
            if known is not None and known < time:
                low = middle + 1
            else:
                high = middle
        return max(0, low - 1)

    def _commits(self, one: Increment, start: int, end: int) -> Iterator[Mark]:
        """The commits whose records end in an increment. The scan begins earlier, since a record may."""
        stretch = next(low for low, high in self.stretches if low <= one.start < high)
        begin = max(stretch, one.start - _LONGEST_COMMIT)
        scan = scanner(begin, self.segment_size, full=True)
        for position, data in self.reader.stream(begin, one.end):
            for event in scan.feed(data):
                # Aligned, a record's end may lie up to seven bytes behind its increment's.
                counted = position + len(data) > one.start
                if counted and event.kind == Kind.COMMIT and start <= event.start < end:
                    yield _mark(event)


def indexes(logs: LogStore) -> dict[str, LogIndex]:
    """Every branch of a system."""
    return {branch: LogIndex(logs.reader(branch)) for branch in logs.branches()}


def _mark(event: Event) -> Mark:
    return Mark(event.start, event.end, _EPOCH + dt.timedelta(microseconds=event.time), event.xid or None)


def _time(meta: Mapping[str, Any], name: str) -> dt.datetime | None:
    text = meta.get(name)
    return dt.datetime.fromisoformat(text) if text else None
