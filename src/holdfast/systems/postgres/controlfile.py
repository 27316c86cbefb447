"""The control file ``global/pg_control``: what it says about a cluster, believed only when its CRC holds.

Layout: ControlFileData in PostgreSQL's src/include/catalog/pg_control.h; versions 1300 (14 to 16), 1700 (17) and 1800 (18) on a 64-bit,
little-endian machine. The CRC is CRC-32C (Castagnoli) over everything before it.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from holdfast.systems.postgres.faults import ControlFileBad

PATH: Final = "global/pg_control"
STATES: Final = (
    "starting up",
    "shut down",
    "shut down in recovery",
    "shutting down",
    "in crash recovery",
    "in archive recovery",
    "in production",
)
_CRC_AT: Final = {1300: 288, 1700: 288, 1800: 292}


def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC32C: Final = _table()


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli, reflected, as in RFC 3720). For small inputs: one step a byte."""
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC32C[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class ControlFile:
    """Positions are bytes of WAL, sizes bytes, times seconds since the Unix epoch. ``checksum_version`` 0 means pages carry no checksums.

    ``segment_pages``: pages in one file of a relation. ``minimum_recovery``: a copied standby is consistent only from there on.
    """

    system_identifier: int
    control_version: int
    catalog_version: int
    state: str
    time: int
    checkpoint: int
    redo: int
    timeline: int
    previous_timeline: int
    full_page_writes: bool
    checkpoint_time: int
    minimum_recovery: int
    minimum_recovery_timeline: int
    backup_start: int
    backup_end: int
    max_connections: int
    max_worker_processes: int
    max_wal_senders: int
    max_prepared_transactions: int
    max_locks_per_transaction: int
    page_size: int
    segment_pages: int
    wal_page_size: int
    wal_segment_size: int
    checksum_version: int

    @property
    def running(self) -> bool:
        """What the file says about its server: neither shut down cleanly nor in recovery. A crashed server says so too."""
        return self.state not in STATES[1:3]


def parse(data: bytes, name: str = PATH) -> ControlFile:
    """Read a control file's bytes. Raises ControlFileBad: too short, unknown version (or byte order), wrong CRC."""
    if len(data) < 296:
        raise ControlFileBad(f"{name} has {len(data)} bytes; a control file has at least 296.", hint=_HINT, path=name)
    version = struct.unpack_from("<I", data, 8)[0]
    crc_at = _CRC_AT.get(version)
    if crc_at is None:
        raise ControlFileBad(
            f"{name} is of control version {version}; Holdfast knows 1300, 1700 and 1800 (PostgreSQL 14 to 18, 64-bit, little-endian).",
            hint="Is it a data directory of PostgreSQL 14 to 18 of this kind of machine?",
            path=name,
        )
    stored = struct.unpack_from("<I", data, crc_at)[0]
    if crc32c(data[:crc_at]) != stored:
        raise ControlFileBad(f"{name} has a wrong CRC.", hint=_HINT, path=name)
    (identifier, _, catalog, state, time, checkpoint, redo, timeline, previous, full_pages) = struct.unpack_from("<QIII4xqQQII?", data, 0)
    (checkpoint_time,) = struct.unpack_from("<q", data, 104)
    minimum, minimum_timeline, backup_start, backup_end = struct.unpack_from("<QI4xQQ", data, 136)
    connections, workers, senders, prepared, locks = struct.unpack_from("<5i", data, 180)
    page_size, segment_pages, wal_page, wal_segment = struct.unpack_from("<4I", data, 216)
    (checksum_version,) = struct.unpack_from("<I", data, 252)
    if state >= len(STATES):
        raise ControlFileBad(f"{name} gives state {state}, which does not exist.", hint=_HINT, path=name)
    return ControlFile(
        system_identifier=identifier,
        control_version=version,
        catalog_version=catalog,
        state=STATES[state],
        time=time,
        checkpoint=checkpoint,
        redo=redo,
        timeline=timeline,
        previous_timeline=previous,
        full_page_writes=full_pages,
        checkpoint_time=checkpoint_time,
        minimum_recovery=minimum,
        minimum_recovery_timeline=minimum_timeline,
        backup_start=backup_start,
        backup_end=backup_end,
        max_connections=connections,
        max_worker_processes=workers,
        max_wal_senders=senders,
        max_prepared_transactions=prepared,
        max_locks_per_transaction=locks,
        page_size=page_size,
        segment_pages=segment_pages,
        wal_page_size=wal_page,
        wal_segment_size=wal_segment,
        checksum_version=checksum_version,
    )


_HINT: Final = "The file is torn or damaged. A running server writes it whole; if it stays so, the cluster's disk needs a look."


def read_steady(read: Callable[[], bytes], name: str = PATH, tries: int = 10) -> tuple[bytes, ControlFile]:
    """Read until the CRC holds: the server may be writing while we read. Raises ControlFileBad after ``tries``."""
    for remaining in range(tries - 1, -1, -1):
        data = read()
        try:
            return data, parse(data, name)
        except ControlFileBad:
            if not remaining:
                raise
    raise AssertionError("unreachable")
