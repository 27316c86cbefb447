"""Whether a record begins at or behind a position: only then does PostgreSQL notice that it has reached an LSN target."""

from pathlib import Path

from holdfast.systems.postgres import lsn as positions
from holdfast.systems.postgres.restore.planning.reach import Reach
from holdfast.systems.postgres.wal.format import PAGE
from holdfast.systems.postgres.wal.records import scanner

_CHUNK = 1 << 20
_ALIGNED = 8
"""Records begin at multiples of it, and are longer."""
_SHORT, _LONG = 24, 40
"""Bytes of a page's header; the long one begins a segment."""


def record_begins(folder: Path, reach: Reach, position: int, segment_size: int) -> bool:
    """Whether a whole record begins at or behind ``position`` in the WAL that lies in ``folder`` (``pg_wal``) and ends at ``reach.end``.

    PostgreSQL compares where records begin with ``recovery_target_lsn``: where none begins behind it, recovery fails at the end of the log
    ("recovery ended before configured recovery target was reached").
    """
    at = position - position % segment_size
    scan = scanner(at, segment_size)
    first = 0
    within = False
    while at < reach.end:
        stop = min(at - at % segment_size + segment_size, reach.end)
        with (folder / positions.segment_name(reach.path.at(stop - 1).timeline, at, segment_size)).open("rb") as file:
            if not first:
                first = _continued(at, file.read(_LONG), segment_size)
            file.seek(at % segment_size)
            while at < stop:
                before = scan.record_end
                data = file.read(min(position - at, _CHUNK, stop - at) if at < position else min(_ALIGNED, stop - at))
                scan.feed(data)
                at += len(data)
                if at <= position:
                    within = _within(max(scan.record_end, first), position, segment_size)
                elif scan.record_end != before:
                    if not within:
                        return True
                    # It began before the position.
                    within = False
    return False


def _continued(segment: int, header: bytes, size: int) -> int:
    """Where the first record of a segment begins: behind its header and the rest of a record from the segment before (xlp_rem_len)."""
    left, at = int.from_bytes(header[16:20], "little"), segment + _LONG
    while left > PAGE - at % PAGE:
        left -= PAGE - at % PAGE
        at += PAGE - at % PAGE
        at += _SHORT if at % size else _LONG
    return at + left


def _within(end: int, position: int, size: int) -> bool:
    """Whether ``position`` lies in a record, when the last one before it ends at ``end``."""
    begins = -(-end // _ALIGNED) * _ALIGNED
    if begins >= position:
        return False
    header = (_SHORT if begins % size else _LONG) if begins % PAGE == 0 else 0
    return begins + header < position
