"""The scanner of WAL in pure Python: the way without a compiler, and the reference that the C one is tested against."""

import struct
from enum import IntEnum

from holdfast.systems.postgres.wal import format as f
from holdfast.systems.postgres.wal.format import Event, Kind, Summary

_PAGE_HEADER = struct.Struct("<HHIQI")
_RECORD_HEADER = struct.Struct("<IIQBB")
_PG_EPOCH_US = 946_684_800_000_000


class _Phase(IntEnum):
    RECORD = 0
    """At or in a record."""
    SKIP = 1
    """In the rest of a record whose beginning was not seen."""
    PAGE = 2
    """Nothing is known until the next page."""
    SEGMENT = 3
    """Nothing more in this segment: it was switched, or its rest is zero."""


class Scanner:
    """Walks contiguous WAL from ``position``, however it is cut.

    ``at_record``: a record begins at ``position`` (else the scan finds its feet at the next page). ``full`` yields every commit and abort,
    not only what is rare.
    """

    def __init__(self, position: int, segment_size: int, full: bool = False, at_record: bool = False) -> None:
        self.position = position
        self.record_end = position if at_record else 0
        self._segment = segment_size
        self._full = full
        self._phase = _Phase.RECORD if at_record else _Phase.PAGE
        self._header = bytearray()
        self._header_due = position % f.PAGE == 0
        self._record = bytearray()
        self._start = 0
        self._total = 0
        self._got = 0
        self._keep = False
        self._skip = 0
        self._magic = 0
        self._sampled = 0
        self._events: list[Event] = []
        self._sum = [0, 0, 0, 0, 0, 0, 0]

    def feed(self, data: bytes | bytearray | memoryview) -> list[Event]:
        """Take the next bytes; returns the events of records that end in them."""
        view = memoryview(data).cast("B")
        at, size = 0, len(view)
        while at < size:
            # The rest of a segment that was switched, or never written, has no page headers.
            if self.position % f.PAGE == 0 and not (self._phase is _Phase.SEGMENT and self.position % self._segment):
                self._header_due = True
            if self._header_due:
                at = self._page_header(view, at)
                continue
            room = min(size - at, f.PAGE - self.position % f.PAGE)
            if self._phase is _Phase.SEGMENT:
                n = min(size - at, self._segment - self.position % self._segment)
                self._move(n)
                if self.position % self._segment == 0:
                    self._phase = _Phase.PAGE
            elif self._phase is _Phase.PAGE:
                n = room
                self._move(n)
            elif self._phase is _Phase.SKIP:
                n = min(self._skip, room)
                self._skip -= n
                self._move(n)
                if not self._skip:
                    self._begin()
            else:
                n = self._in_record(view, at, room)
            at += n
        found, self._events = self._events, []
        return found

    def summary(self) -> Summary:
        """Of all commits since the last call."""
        found = Summary(*self._sum)
        self._sum = [0, 0, 0, 0, 0, 0, 0]
        return found

    def _move(self, n: int) -> None:
        self.position += n

    def _begin(self) -> None:
        self._phase, self._total, self._got, self._keep = _Phase.RECORD, 0, 0, False
        self._record.clear()

    def _page_header(self, view: memoryview, at: int) -> int:
        need = 40 if len(self._header) >= 4 and self._header[2] & f.LONG_HEADER else f.SHORT_HEADER
        n = min(need - len(self._header), len(view) - at)
        self._header += view[at : at + n]
        self._move(n)
        if len(self._header) < need or (need == f.SHORT_HEADER and self._header[2] & f.LONG_HEADER and self._header[0:2] != b"\0\0"):
            return at + n
        self._header_due = False
        magic, info, _, address, left = _PAGE_HEADER.unpack_from(self._header)
        self._header.clear()
        page = (self.position - 1) // f.PAGE * f.PAGE
        if magic == 0:
            self._phase = _Phase.SEGMENT
        elif magic >> 8 != 0xD1 or address != page:
            self._events.append(Event(Kind.BAD, page, self.position, 0, 0, b"", magic, address))
            self._phase = _Phase.PAGE
        elif info & f.FIRST_IS_CONTRECORD:
            self._magic = magic
            if not (self._phase is _Phase.RECORD and self._got >= 4 and left == self._total - self._got):
                self._phase, self._skip = _Phase.SKIP, left
        else:
            # A record that was being read was never finished: the server wrote over it after a crash.
            self._magic = magic
            self._begin()
        return at + n

    def _in_record(self, view: memoryview, at: int, room: int) -> int:
        if self._got == 0:
            pad = -self.position % 8
            if pad:
                n = min(pad, room)
                self._move(n)
                return n
            self._start = self.position
        if self._got < f.RECORD_HEADER:
            want = (4 if self._got < 4 else f.RECORD_HEADER) - self._got
            n = min(want, room)
            self._record += view[at : at + n]
            self._got += n
            self._move(n)
            if self._got == 4:
                self._total = int.from_bytes(self._record[:4], "little")
                if self._total == 0:
                    self._phase = _Phase.SEGMENT
                elif self._total < f.RECORD_HEADER:
                    self._events.append(Event(Kind.BAD, self._start, self.position, 0, 0, b"", self._total, 0))
                    self._phase = _Phase.PAGE
            elif self._got == f.RECORD_HEADER:
                self._keep = self._wanted() and self._total <= f.LONGEST_KEPT
                self._finish()
            return n
        n = min(self._total - self._got, room)
        if self._keep:
            self._record += view[at : at + n]
        self._got += n
        self._move(n)
        self._finish()
        return n

    def _wanted(self) -> bool:
        rmid, info = self._record[17], self._record[16]
        if rmid == f.RM_XACT:
            return info & f.XACT_OPMASK in {f.XACT_COMMIT, f.XACT_ABORT, f.XACT_COMMIT_PREPARED, f.XACT_ABORT_PREPARED}
        return rmid == f.RM_XLOG and info & 0xF0 in {
            f.XLOG_CHECKPOINT_SHUTDOWN,
            f.XLOG_CHECKPOINT_ONLINE,
            f.XLOG_SWITCH,
            f.XLOG_RESTORE_POINT,
            f.XLOG_END_OF_RECOVERY,
        }

    def _finish(self) -> None:
        if self._got < self._total:
            return
        end = -(-self.position // 8) * 8
        if self._keep:
            end = self._decode(end)
        self.record_end = end
        switched = self._phase is _Phase.SEGMENT
        self._begin()
        if switched and self.position % self._segment:
            self._phase = _Phase.SEGMENT

    def _decode(self, end: int) -> int:
        record = self._record
        _, xid, _, info, rmid = _RECORD_HEADER.unpack_from(record)
        data = _main_data(record)
        start = self._start
        if rmid == f.RM_XACT:
            self._transaction(data, info, xid, end)
        elif info & 0xF0 == f.XLOG_SWITCH:
            end = -(-end // self._segment) * self._segment
            self._events.append(Event(Kind.SWITCH, start, end, xid, 0, b"", 0, 0))
            self._phase = _Phase.SEGMENT
        elif info & 0xF0 == f.XLOG_RESTORE_POINT and len(data) >= 9:
            time = int.from_bytes(data[:8], "little", signed=True) + _PG_EPOCH_US
            self._events.append(Event(Kind.RESTORE_POINT, start, end, xid, time, bytes(data[8:72]).split(b"\0", 1)[0], 0, 0))
        elif info & 0xF0 == f.XLOG_END_OF_RECOVERY and len(data) >= 16:
            time, new, old = struct.unpack_from("<qII", data)
            self._events.append(Event(Kind.END_OF_RECOVERY, start, end, xid, time + _PG_EPOCH_US, b"", new, old))
        elif info & 0xF0 in {f.XLOG_CHECKPOINT_SHUTDOWN, f.XLOG_CHECKPOINT_ONLINE} and len(data) >= 16:
            redo, timeline = struct.unpack_from("<QI", data)
            self._events.append(Event(Kind.CHECKPOINT, start, end, xid, 0, b"", redo, timeline))
        return end

    def _transaction(self, data: bytearray, info: int, xid: int, end: int) -> None:
        if len(data) < 8:
            return
        time = int.from_bytes(data[:8], "little", signed=True) + _PG_EPOCH_US
        committed = info & f.XACT_OPMASK in {f.XACT_COMMIT, f.XACT_COMMIT_PREPARED}
        if info & f.XACT_HAS_INFO and info & f.XACT_OPMASK in {f.XACT_COMMIT_PREPARED, f.XACT_ABORT_PREPARED}:
            xid = _prepared_xid(data, committed, self._magic) or xid
        total = self._sum
        if committed:
            total[0] += 1
            total[1] = min(total[1], time) if total[0] > 1 else time
            total[2] = max(total[2], time) if total[0] > 1 else time
            if xid:
                total[3] = min(total[3] or xid, xid)
                total[4] = max(total[4], xid)
            total[5] = self._start
            if not self._full and time >= self._sampled + 1_000_000:
                self._sampled = time
                self._events.append(Event(Kind.SAMPLE, self._start, end, xid, time, b"", 0, 0))
        else:
            total[6] += 1
        if self._full:
            self._events.append(Event(Kind.COMMIT if committed else Kind.ABORT, self._start, end, xid, time, b"", 0, 0))


def _main_data(record: bytearray) -> bytearray:
    """The main data of a record without block references; empty for anything else."""
    at, size = f.RECORD_HEADER, len(record)
    while at < size:
        kind = record[at]
        if kind == 255 and at + 2 <= size:
            return record[at + 2 : at + 2 + record[at + 1]]
        if kind == 254 and at + 5 <= size:
            return record[at + 5 : at + 5 + int.from_bytes(record[at + 1 : at + 5], "little")]
        if kind == 253:
            at += 3
        elif kind == 252:
            at += 5
        else:
            break
    return bytearray()


def _prepared_xid(data: bytearray, committed: bool, magic: int) -> int:
    """The xid of a two-phase transaction: behind the lists that its record carries (ParseCommitRecord, ParseAbortRecord in xactdesc.c)."""
    size = len(data)
    if size < 12:
        return 0
    info = int.from_bytes(data[8:12], "little")
    at = 12 + (8 if info & 1 else 0)
    stats = 16 if magic >= 0xD118 else 12
    for bit, width in ((2, 4), (4, 12), (256, stats), (8, 16)):
        if info & bit and (committed or bit != 8):
            if at + 4 > size:
                return 0
            at += 4 + width * int.from_bytes(data[at : at + 4], "little")
    return int.from_bytes(data[at : at + 4], "little") if info & 16 and at + 4 <= size else 0
