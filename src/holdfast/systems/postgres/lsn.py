"""Positions in PostgreSQL's write-ahead log, names of its segments, and the name of a log branch."""

import hashlib

from holdfast.model import RecoveryPoint

SEGMENT = 16 << 20
"""The usual WAL segment size in bytes; the true one comes from the control file."""


def parse(text: str) -> int:
    """``"0/3000028"`` as an integer byte position. Raises ValueError for anything else."""
    high, slash, low = text.partition("/")
    if not slash or not (0 < len(high) <= 8 and 0 < len(low) <= 8):
        raise ValueError(f"not an LSN: {text!r}")
    return (int(high, 16) << 32) | int(low, 16)


def show(position: int) -> str:
    """A byte position in PostgreSQL's own notation."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def segment_name(timeline: int, position: int, size: int = SEGMENT) -> str:
    """The name of the WAL file that holds ``position``."""
    number = position // size
    per_id = (1 << 32) // size
    return f"{timeline:08X}{number // per_id:08X}{number % per_id:08X}"


def segment_start(name: str, size: int = SEGMENT) -> tuple[int, int]:
    """(timeline, first position) of a WAL file name of 24 hex digits."""
    if len(name) != 24:
        raise ValueError(f"not a WAL segment name: {name!r}")
    return int(name[:8], 16), (int(name[8:16], 16) << 32) + int(name[16:], 16) * size


def branch(system_identifier: str | int, timeline: int, history: bytes = b"") -> str:
    """The log branch that a timeline's WAL belongs to.

    ``history`` is the content of the timeline's history file (empty for timeline 1). Two servers promoted apart from one
    another can both call their timeline 2; the hash of the history keeps their logs apart.
    """
    return f"{system_identifier}-{timeline}-{hashlib.sha256(history).hexdigest()[:12]}"


def replay_begins(point: RecoveryPoint) -> int | None:
    """The position of its log from which a postgres point must be replayed: the begin of the segment that holds its start."""
    text = point.start.get("lsn")
    if point.kind != "postgres" or not isinstance(text, str):
        return None
    size = point.facts.get("segment_size")
    start = parse(text)
    return start - start % (size if isinstance(size, int) and size > 0 else 1 << 30)
