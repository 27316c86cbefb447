"""Reads one branch, with read-ahead for replay."""

import threading
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from holdfast.errors import Damaged
from holdfast.model import Increment
from holdfast.vault.keys.notary import Notary
from holdfast.vault.locations import Locations
from holdfast.vault.logs import body, names
from holdfast.vault.logs.body import Opened
from holdfast.vault.logs.errors import gap
from holdfast.vault.logs.marker import Marker

_KEPT_BYTES = 64 << 20
_KEPT_METAS = 1024


class BranchReader:
    """Safe from many threads. Each object is read from the first location whose copy is sound."""

    def __init__(self, locations: Locations, notary: Notary, system: str, branch: str, marker: Marker | None = None) -> None:
        self._marker = marker
        self.system = system
        self.branch = branch
        self._locations = locations
        self._notary = notary
        self._folder = names.folder(notary.tag("system", system), notary.tag("branch", branch))
        self._kept: OrderedDict[str, Opened] = OrderedDict()
        self._metas: OrderedDict[str, Mapping[str, Any]] = OrderedDict()
        self._lock = threading.Lock()
        self._refused: set[str] = set()
        """Names whose objects nobody believes: planted to reach further than the real ones, or rotten in every location."""

    def increments(self, start: int = 0) -> Iterator[Increment]:
        """In order of position, beginning with the one that holds ``start``; where several cover a position, the one that reaches furthest.

        They may overlap, and a gap shows as a start behind the end of the one before: ``stream`` and ``coverage`` deal with both.
        """
        after = f"{self._folder}{max(0, start - names.LONGEST):016x}" if start else ""
        found = names.increments(self._locations.list(self._folder, after))
        yield from names.furthest((one for one in found if one.name not in self._refused), start)

    def coverage(self, start: int = 0) -> Sequence[tuple[int, int]]:
        """The ranges (start, end) held from ``start`` on, joined; more than one means gaps."""
        ranges: list[tuple[int, int]] = []
        for found in self.increments(start):
            if ranges and found.start <= ranges[-1][1]:
                ranges[-1] = (ranges[-1][0], found.end)
            else:
                ranges.append((max(found.start, start), found.end))
        return ranges

    def remembered(self) -> Sequence[tuple[int, int]]:
        """As ``coverage``, from where this machine's memory of earlier listings ends; what was trimmed elsewhere since may still be told.

        For who goes on behind the newest byte; a restore asks for ``coverage``.
        """
        if self._marker is None:
            return self.coverage()
        urls = [storage.url for storage in self._locations.storages]
        known = self._marker.ranges(urls)
        if known:
            low, high = known.pop()
            newer = self.coverage(high - 1)
            if newer and newer[0][0] < high:
                ranges = [*known, (low, newer[0][1]), *newer[1:]]
                self._marker.set_ranges(urls, ranges)
                return ranges
        ranges = list(self.coverage())
        self._marker.set_ranges(urls, ranges)
        return ranges

    def require(self, start: int, end: int) -> None:
        """Raises LogGap, naming the first missing range, unless everything from ``start`` to ``end`` is held."""
        position = start
        for found_start, found_end in self.coverage(start):
            if position >= end:
                return
            if found_start > position:
                raise gap(self.branch, position, min(found_start, end))
            position = found_end
        if position < end:
            raise gap(self.branch, position, end)

    def meta(self, increment: Increment) -> Mapping[str, Any]:
        """Without expanding the increment's bytes."""
        with self._lock:
            kept = self._kept.get(increment.name)
            known = kept.meta if kept is not None else self._metas.get(increment.name)
        if known is not None:
            return known
        meta = self._locations.read(increment.name, partial(body.open_head, self._notary, increment.name)).meta
        with self._lock:
            self._metas[increment.name] = meta
            while len(self._metas) > _KEPT_METAS:
                self._metas.popitem(last=False)
        return meta

    def read(self, increment: Increment) -> bytes:
        return bytes(self._open(increment).data)

    def stream(self, start: int, end: int | None = None, *, ahead: int = 4, threads: int = 2) -> Iterator[tuple[int, memoryview]]:
        """(position, bytes) without gap or overlap from ``start`` to ``end`` (None: as far as the log reaches).

        ``ahead`` increments are fetched and opened in ``threads`` beyond the one handed out. Raises LogGap where the log does not join,
        or ends before ``end``; what lies before the gap has been handed out by then. An increment that is damaged or not believed in every
        location is passed over where others cover its range, else its error is raised.
        """
        position = start
        refused: Damaged | None = None
        wanted = self.increments(start)
        pending: deque[tuple[Increment, Future[Opened]]] = deque()
        with ThreadPoolExecutor(threads, thread_name_prefix="log") as pool:
            try:
                while True:
                    while len(pending) <= ahead and (found := next(wanted, None)) is not None and (end is None or found.start < end):
                        pending.append((found, pool.submit(self._fetch, found)))
                    if not pending:
                        break
                    found, future = pending.popleft()
                    if found.start > position:
                        raise refused or gap(self.branch, position, found.start)
                    try:
                        data = future.result().data
                    except Damaged as error:
                        refused = error
                        self._refused.add(found.name)
                        pending.clear()
                        wanted = self.increments(position)
                        continue
                    stop = found.end if end is None else min(found.end, end)
                    if (position, stop) != (found.start, found.end):
                        data = data[position - found.start : stop - found.start]
                    yield position, data
                    position = stop
                    if end is not None and position >= end:
                        return
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        if refused is not None and (end is None or position < end):
            raise refused
        if end is not None and position < end:
            raise gap(self.branch, position, end)

    def _fetch(self, increment: Increment) -> Opened:
        return self._locations.read(increment.name, partial(body.open_, self._notary, increment.name))

    def _open(self, increment: Increment) -> Opened:
        """With a small memory: neighbouring reads ask for one increment again."""
        with self._lock:
            opened = self._kept.get(increment.name)
            if opened is not None:
                self._kept.move_to_end(increment.name)
                return opened
        opened = self._fetch(increment)
        with self._lock:
            self._kept[increment.name] = opened
            while len(self._kept) > 1 and sum(len(kept.data) for kept in self._kept.values()) > _KEPT_BYTES:
                self._kept.popitem(last=False)
        return opened
