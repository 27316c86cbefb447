"""Puts the WAL that a recovery replays into ``pg_wal``, straight from the vault's log."""

import concurrent.futures
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from holdfast.model import Increment, Progress
from holdfast.systems.contract import LogReader, LogSpan, LogStore
from holdfast.systems.postgres import lsn as positions
from holdfast.systems.postgres.restore.errors import NotRestorable
from holdfast.systems.postgres.restore.files import write_file
from holdfast.systems.postgres.restore.planning.history import Holdings
from holdfast.systems.postgres.restore.planning.reach import Reach
from holdfast.systems.postgres.running.binaries import Account

READERS = 4
"""Increments fetched at once, ahead of the one being written."""


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes [start, end) of a branch's log go into segment files named after ``timeline``."""

    branch: str
    timeline: int
    start: int
    end: int


def spans(reach: Reach, segment_size: int, start: int | None = None) -> list[Span]:
    """What to fetch, oldest first. The segment in which a timeline was left is needed under both names: the new timeline's copy
    begins with the
    old one's bytes, as PostgreSQL itself copies them.
    """
    begin = reach.base.start if start is None else start
    begin -= begin % segment_size
    found: list[Span] = []
    for piece in reach.path.pieces:
        low, high = max(piece.start, begin), min(reach.end, piece.end if piece.end is not None else reach.end)
        if low >= high:
            continue
        lead = low - low % segment_size
        if lead < low:
            for older in reach.path.pieces:
                from_, to = max(older.start, lead), min(low, older.end if older.end is not None else low)
                if from_ < to:
                    found.append(Span(older.branch, piece.timeline, from_, to))
        found.append(Span(piece.branch, piece.timeline, low, high))
    return found


def log_spans(reach: Reach, segment_size: int) -> tuple[LogSpan, ...]:
    """The same without the doubled beginnings: what is read."""
    begin = reach.base.start - reach.base.start % segment_size
    found = []
    for piece in reach.path.pieces:
        low, high = max(piece.start, begin), min(reach.end, piece.end if piece.end is not None else reach.end)
        if low < high:
            found.append(LogSpan(piece.branch, low, high))
    return tuple(found)


def _chunks(reader: LogReader, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """(position, bytes) covering [start, end) without a gap; fetched ahead. Raises NotRestorable where something is missing."""
    at = start
    waiting: deque[tuple[Increment, concurrent.futures.Future[bytes]]] = deque()
    increments = iter(reader.increments(start))
    with concurrent.futures.ThreadPoolExecutor(READERS, thread_name_prefix="wal") as pool:
        more = True
        while more or waiting:
            while more and len(waiting) < READERS:
                increment = next(increments, None)
                if increment is None or increment.start >= end:
                    more = False
                    break
                if increment.end > at:
                    waiting.append((increment, pool.submit(reader.read, increment)))
            if not waiting:
                break
            increment, future = waiting.popleft()
            data = future.result()
            if increment.start > at:
                break
            if increment.end <= at:
                continue
            low, high = at - increment.start, min(end, increment.end) - increment.start
            if len(data) < high:
                raise NotRestorable(
                    f"The log increment {increment.name} holds {len(data)} bytes; its name promises {increment.end - increment.start}."
                )
            yield at, data[low:high]
            at = increment.start + high
            if at >= end:
                return
    if at < end:
        raise NotRestorable(
            f"WAL of branch {reader.branch} from {positions.show(at)} to {positions.show(end)} is not in the "
            "vault (it was when the restore was planned).",
            hint="Was the vault pruned meanwhile? Plan the restore again.",
        )


class Segments:
    """Writes positions into segment files of one folder; each file is made whole, of zeros, before the first byte goes in."""

    def __init__(self, folder: Path, size: int, who: Account) -> None:
        self._folder, self._size, self._who = folder, size, who
        self._open: tuple[str, int] | None = None

    def write(self, timeline: int, position: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            offset = position % self._size
            part = view[: self._size - offset]
            self._write_one(positions.segment_name(timeline, position, self._size), offset, part)
            view, position = view[len(part) :], position + len(part)

    def _write_one(self, name: str, offset: int, part: memoryview) -> None:
        if self._open is None or self._open[0] != name:
            self.close()
            descriptor = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._open = (name, descriptor)
            os.ftruncate(descriptor, self._size)
            if self._who.switch:
                os.fchown(descriptor, self._who.uid, self._who.gid)
        descriptor = self._open[1]
        done = 0
        while done < len(part):
            done += os.pwrite(descriptor, part[done:], offset + done)

    def close(self) -> None:
        if self._open is not None:
            os.close(self._open[1])
            self._open = None


def place(reach: Reach, logs: LogStore, folder: Path, segment_size: int, who: Account, progress: Progress, start: int | None = None) -> int:
    """Write every needed segment into ``folder``; returns the bytes of WAL written. ``start``: from there on only (moving a
    copy forward).
    """
    written = 0
    segments = Segments(folder, segment_size, who)
    try:
        for span in spans(reach, segment_size, start):
            for position, data in _chunks(logs.reader(span.branch), span.start, span.end):
                segments.write(span.timeline, position, data)
                written += len(data)
                progress.advance(len(data))
    finally:
        segments.close()
    return written


def place_histories(reach: Reach, holdings: Holdings, folder: Path, who: Account) -> list[str]:
    """History files of the line, and of every other timeline known, so that a promotion takes a number that nobody used.

    Not synced: what is restored is synced as a whole. Returns their names.
    """
    chosen: dict[int, bytes] = {}
    for log in holdings.logs.values():
        if log.timeline > 1 and log.history and log.system_identifier == reach.base.system_identifier:
            chosen.setdefault(log.timeline, log.history)
    for piece in reach.path.pieces:
        own = holdings.logs.get(piece.branch)
        if own is not None and own.timeline > 1 and own.history:
            chosen[piece.timeline] = own.history
    if reach.path.timeline > 1 and reach.path.history:
        chosen[reach.path.timeline] = reach.path.history
    for timeline, content in chosen.items():
        write_file(folder / f"{timeline:08X}.history", content, who, sync=False)
    return sorted(f"{timeline:08X}.history" for timeline in chosen)
