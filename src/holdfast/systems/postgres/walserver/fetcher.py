"""Puts WAL segments together again out of increments, several ahead of the one asked for."""

import re
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from holdfast.model import Increment
from holdfast.systems.contract import LogReader, LogStore
from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.wal.coverage import LogIndex
from holdfast.systems.postgres.wal.timeline import Stretch, ancestry
from holdfast.systems.postgres.walserver.errors import WalIncomplete

SEGMENT_NAME = re.compile(r"[0-9A-F]{24}\Z")
HISTORY_NAME = re.compile(r"([0-9A-F]{8})\.history\Z")


def chain_of(logs: LogStore, branch: str) -> tuple[Stretch, ...]:
    """The history that leads to a branch, from what the vault holds of it."""
    index = LogIndex(logs.reader(branch))
    if index.timeline > 1 and not index.history:
        return (Stretch(branch, index.timeline, 0, None, b""),)
    return ancestry(index.system_identifier, index.timeline, index.history)


class WalFetcher:
    """Serves one history: the segments and history files of the timelines in ``chain``. Safe from many threads.

    ``limit``: WAL at and behind this position is not given out. ``ahead``: segments fetched beyond the one asked for (each as large in
    memory). Beyond the end of the log the last segment is filled with zeros, where PostgreSQL ends its replay properly.
    """

    def __init__(
        self,
        logs: LogStore,
        chain: Iterable[Stretch],
        *,
        segment_size: int = lsn.SEGMENT,
        limit: int | None = None,
        ahead: int = 4,
        threads: int = 3,
    ) -> None:
        self._logs = logs
        self.chain = tuple(chain)
        self.segment_size = segment_size
        self._limit = limit
        self._ahead = max(0, ahead)
        self._branches = {one.timeline: one for one in self.chain}
        self._lists: dict[str, tuple[LogReader, list[Increment], list[int]]] = {}
        self._lock = threading.Lock()
        self._ready: OrderedDict[str, Future[bytes | bytearray | None]] = OrderedDict()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="wal-fetch")

    @classmethod
    def for_branch(cls, logs: LogStore, branch: str, *, limit: int | None = None, ahead: int = 4, threads: int = 3) -> Self:
        """For the history that ends in ``branch``; the segment size is what its increments say."""
        size = LogIndex(logs.reader(branch)).segment_size
        return cls(logs, chain_of(logs, branch), segment_size=size, limit=limit, ahead=ahead, threads=threads)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def file(self, name: str) -> bytes | bytearray | None:
        """A segment or a history file by its name; None for what this history does not have."""
        history = HISTORY_NAME.match(name)
        if history:
            return self.history(int(history[1], 16))
        return self.segment(name) if SEGMENT_NAME.match(name) else None

    def history(self, timeline: int) -> bytes | None:
        """The content of a timeline's history file."""
        found = self._branches.get(timeline)
        return found.history if found is not None and timeline > 1 and found.history else None

    def segment(self, name: str) -> bytes | bytearray | None:
        """The whole segment, or None when it is proved to lie behind the end of the log, or on no timeline of this history.

        Raises WalIncomplete where it lies in a gap, and what the vault raises.
        """
        timeline, start = lsn.segment_start(name, self.segment_size)
        with self._lock:
            future = self._ready.pop(name, None)
        data = future.result() if future is not None else None
        if data is None:
            # Nothing there when it was fetched ahead: the log may have grown.
            data = self._fetch(timeline, start, fresh=True)
        if data is not None:
            self._prefetch(timeline, start)
        return data

    def _prefetch(self, timeline: int, start: int) -> None:
        with self._lock:
            for number in range(1, self._ahead + 1):
                position = start + number * self.segment_size
                name = lsn.segment_name(timeline, position, self.segment_size)
                if name not in self._ready:
                    self._ready[name] = self._pool.submit(self._fetch, timeline, position)
            while len(self._ready) > 2 * self._ahead:
                self._ready.popitem(last=False)[1].cancel()

    def _fetch(self, timeline: int, start: int, *, fresh: bool = False) -> bytes | bytearray | None:
        stretch = self._branches.get(timeline)
        end = start + self.segment_size
        if self._limit is not None:
            end = min(end, self._limit)
        if stretch is None or end <= start:
            return None
        reader, increments, starts = self._listed(stretch.branch, start, end, fresh=fresh)
        found = None
        position = start
        for one in increments[max(0, bisect_right(starts, start) - 1) :]:
            if one.end <= position:
                continue
            if one.start > position:
                # Only at the end of the log may something be missing.
                raise WalIncomplete(stretch.branch, position, one.start)
            whole = reader.read(one)
            stop = min(one.end, end)
            if position == one.start == start and stop == one.end == start + self.segment_size:
                return whole
            if found is None:
                found = bytearray(self.segment_size)
            data = memoryview(whole)
            found[position - start : stop - start] = data[position - one.start : stop - one.start]
            position = stop
            if position >= end:
                break
        return found

    def _listed(self, branch: str, start: int, end: int, *, fresh: bool) -> tuple[LogReader, list[Increment], list[int]]:
        """The branch's increments; listed again when what is asked for lies behind the end known so far."""
        with self._lock:
            known = self._lists.get(branch)
        if known is not None and (not fresh or (known[1] and known[1][-1].end >= end)):
            return known
        reader = known[0] if known is not None else self._logs.reader(branch)
        kept = [one for one in known[1] if one.end <= start] if known is not None else []
        listed = kept + list(reader.increments(kept[-1].end if kept else 0))
        found = (reader, listed, [one.start for one in listed])
        with self._lock:
            self._lists[branch] = found
        return found
