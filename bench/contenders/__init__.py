"""Who is measured: each with the same compression, encryption, workers and checks."""

from pathlib import Path
from typing import Protocol

from bench.measure import Run


class Contender(Protocol):
    """A backup program over one server. Each call is one timed run."""

    name: str
    home: Path

    def fresh(self) -> None:
        """An empty repository (not timed)."""
        ...

    def full(self) -> Run: ...

    def incremental(self) -> Run: ...

    def restore(self, into: Path) -> Run:
        """The newest backup into an empty folder, durable at the end."""
        ...

    def delta(self, into: Path) -> Run:
        """The newest backup over a folder that mostly holds it already."""
        ...

    def stored(self) -> int:
        """Bytes in the repository."""
        ...

    def wal_bytes(self) -> int:
        """Bytes of the repository that are WAL, not backups."""
        ...
