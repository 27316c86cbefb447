"""WAL of one planned recovery by name: exactly the bytes that would have been laid into ``pg_wal``, fetched when they are asked for."""

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from holdfast.model import Increment
from holdfast.systems.contract import LogReader, LogStore
from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.restore.wal import Span
from holdfast.systems.postgres.walserver.errors import WalIncomplete
from holdfast.systems.postgres.walserver.fetcher import HISTORY_NAME, SEGMENT_NAME
from holdfast.systems.postgres.walserver.server import Files

AHEAD = 6
"""Segments fetched beyond the one asked for; each as large in memory."""
READERS = 8
"""Increments read at once: one alone waits for its storage most of the time."""


class SpanWal:
    """``spans`` say what goes into the segments of each timeline; ``histories``: timeline → the content of its file.

    Nothing outside the spans is given out, but what ``beyond`` (a standby's: whatever the vault holds later) knows. Safe from many threads.
    """

    def __init__(
        self, logs: LogStore, spans: Sequence[Span], segment_size: int, histories: Mapping[int, bytes], *, beyond: Files | None = None
    ) -> None:
        self._logs, self._spans, self._size, self._histories, self._beyond = logs, tuple(spans), segment_size, histories, beyond
        self._lists: dict[str, tuple[LogReader, list[Increment], list[int]]] = {}
        self._lock = threading.Lock()
        self._ready: OrderedDict[tuple[int, int], Future[bytearray | None]] = OrderedDict()
        self._segments = ThreadPoolExecutor(3, thread_name_prefix="wal-segment")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="wal-read")

    def close(self) -> None:
        self._segments.shutdown(wait=True, cancel_futures=True)
        self._readers.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def file(self, name: str) -> bytes | bytearray | None:
        """A segment or history file; None for what this recovery is not to have. Raises WalIncomplete, and what the vault raises."""
        history = HISTORY_NAME.match(name)
        found: bytes | bytearray | None = None
        if history:
            found = self._histories.get(int(history[1], 16))
        elif SEGMENT_NAME.match(name):
            found = self._segment(*lsn.segment_start(name, self._size))
        return found if found is not None or self._beyond is None else self._beyond.file(name)

    def _segment(self, timeline: int, start: int) -> bytearray | None:
        with self._lock:
            future = self._ready.pop((timeline, start), None)
        data = future.result() if future is not None else self._fetch(timeline, start)
        if data is not None:
            self._prefetch(timeline, start)
        return data

    def _prefetch(self, timeline: int, start: int) -> None:
        with self._lock:
            for number in range(1, AHEAD + 1):
                key = (timeline, start + number * self._size)
                if key not in self._ready and self._wanted(*key):
                    self._ready[key] = self._segments.submit(self._fetch, *key)
            while len(self._ready) > 2 * AHEAD:
                self._ready.popitem(last=False)[1].cancel()

    def _wanted(self, timeline: int, start: int) -> list[Span]:
        return [one for one in self._spans if one.timeline == timeline and one.start < start + self._size and one.end > start]

    def _fetch(self, timeline: int, start: int) -> bytearray | None:
        wanted = self._wanted(timeline, start)
        if not wanted:
            return None
        found = bytearray(self._size)
        for span in wanted:
            self._fill(found, span.branch, start, max(span.start, start), min(span.end, start + self._size))
        return found

    def _fill(self, found: bytearray, branch: str, start: int, low: int, high: int) -> None:
        """Bytes [low, high) of a branch into the segment that begins at ``start``."""
        reader, increments, starts = self._listed(branch)
        pieces: list[tuple[Increment, int, int, Future[bytes]]] = []
        at = low
        for one in increments[max(0, bisect_right(starts, low) - 1) :]:
            if at >= high or one.start > at:
                break
            if one.end > at:
                stop = min(one.end, high)
                pieces.append((one, at, stop, self._readers.submit(reader.read, one)))
                at = stop
        for one, begin, stop, future in pieces:
            found[begin - start : stop - start] = memoryview(future.result())[begin - one.start : stop - one.start]
        if at < high:
            raise WalIncomplete(branch, at, high)

    def _listed(self, branch: str) -> tuple[LogReader, list[Increment], list[int]]:
        """The increments that the spans need of a branch: listed once, for what is planned does not grow."""
        with self._lock:
            known = self._lists.get(branch)
        if known is None:
            reader = self._logs.reader(branch)
            own = [span for span in self._spans if span.branch == branch]
            end = max(span.end for span in own)
            listed = []
            for one in reader.increments(min(span.start for span in own)):
                if one.start >= end:
                    break
                listed.append(one)
            known = (reader, listed, [one.start for one in listed])
            with self._lock:
                self._lists[branch] = known
        return known
