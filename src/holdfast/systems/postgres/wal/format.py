"""Constants of PostgreSQL's WAL (xlog_internal.h, xlogrecord.h, xact.h, pg_control.h; versions 14 to 18) and the events a scan yields."""

from enum import IntEnum
from typing import NamedTuple

PAGE = 8192
"""WAL page size; the server's ``wal_block_size``. Other builds are refused."""
SHORT_HEADER = 24
RECORD_HEADER = 24
FIRST_IS_CONTRECORD = 0x0001
LONG_HEADER = 0x0002

RM_XLOG = 0
RM_XACT = 1

XLOG_CHECKPOINT_SHUTDOWN = 0x00
XLOG_CHECKPOINT_ONLINE = 0x10
XLOG_SWITCH = 0x40
XLOG_RESTORE_POINT = 0x70
XLOG_END_OF_RECOVERY = 0x90

XACT_OPMASK = 0x70
XACT_COMMIT = 0x00
XACT_ABORT = 0x20
XACT_COMMIT_PREPARED = 0x30
XACT_ABORT_PREPARED = 0x40
XACT_HAS_INFO = 0x80

LONGEST_KEPT = 64 << 20
"""Records of interest that are longer than this many bytes are passed over (a commit of millions of subtransactions)."""


class Kind(IntEnum):
    """What a record means to recovery.

    SAMPLE is the first commit after at least a second of commit time; BAD is a page or a record that cannot be read.
    """

    COMMIT = 1
    ABORT = 2
    RESTORE_POINT = 3
    CHECKPOINT = 4
    END_OF_RECOVERY = 5
    SWITCH = 6
    SAMPLE = 7
    BAD = 8


class Event(NamedTuple):
    """One record. ``start`` and ``end`` are LSNs (``end``: behind the record, aligned, as PostgreSQL's EndRecPtr).

    ``time`` is in microseconds since the Unix epoch, 0 when the record has none. ``a``, ``b`` of a checkpoint: redo position, timeline;
    of an end of recovery: new and previous timeline.
    """

    kind: int
    start: int
    end: int
    xid: int
    time: int
    name: bytes
    a: int
    b: int


class Summary(NamedTuple):
    """Of all commits since the last summary: their count, smallest and largest commit time, smallest and largest xid (0: none).

    ``last_start`` is where the last commit record begins. Aborts are only counted.
    """

    commits: int
    first: int
    last: int
    xid_min: int
    xid_max: int
    last_start: int
    aborts: int
