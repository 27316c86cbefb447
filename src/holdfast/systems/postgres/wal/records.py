"""A streaming scan over WAL: commits, aborts, restore points, checkpoints, ends of recovery. Compiled where a compiler was, else Python."""

from typing import Protocol

from holdfast.systems.postgres.wal.format import Event, Kind, Summary
from holdfast.systems.postgres.wal.scan_python import Scanner as PythonScanner

try:
    from holdfast.systems.postgres import _walscan
except ImportError:  # no compiler at installation
    _walscan = None  # type: ignore[assignment]

__all__ = ["Event", "Kind", "RecordScanner", "Summary", "compiled", "scanner"]


class RecordScanner(Protocol):
    """Walks contiguous WAL, however it is cut.

    ``position``: the next byte due; ``record_end``: behind the last complete record (0: none yet).
    """

    @property
    def position(self) -> int: ...

    @property
    def record_end(self) -> int: ...

    def feed(self, data: bytes | bytearray | memoryview) -> list[Event]: ...

    def summary(self) -> Summary: ...


class _Compiled:
    def __init__(self, position: int, segment_size: int, full: bool, at_record: bool) -> None:
        self._scan = _walscan.Scanner(position, segment_size, full, at_record)

    @property
    def position(self) -> int:
        return self._scan.position

    @property
    def record_end(self) -> int:
        return self._scan.record_end

    def feed(self, data: bytes | bytearray | memoryview) -> list[Event]:
        return [Event(*found) for found in self._scan.feed(data)]

    def summary(self) -> Summary:
        return Summary(*self._scan.summary())


def compiled() -> bool:
    """Whether the compiled scanner is there."""
    return _walscan is not None


def scanner(position: int, segment_size: int, *, full: bool = False, at_record: bool = False) -> RecordScanner:
    """A scanner from ``position``. ``full`` yields every commit and abort as an event; else only samples of them, and the summary.

    ``at_record``: a record begins at ``position``. Otherwise the scan begins at the first page boundary from there, and passes
    over the rest of a record that began earlier: start at a segment to miss next to nothing.
    """
    kind = _Compiled if compiled() else PythonScanner
    return kind(position, segment_size, full, at_record)
