"""The logs of a system in the vault."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

from holdfast.model import Increment
from holdfast.systems.contract.capture import Buffer


class LogWriter(Protocol):
    """Appends to one branch of one system's log. One process at a time (a lease); a second is refused."""

    @property
    def end(self) -> int | None:
        """The position behind the newest stored increment, None for an empty branch."""
        ...

    def ahead(self, start: int, data: Buffer, meta: Mapping[str, Any]) -> None:
        """``append`` will be called with exactly these, after what comes before them: what needs no order may be done meanwhile. Nothing is
        promised of them; ``data`` must not change.
        """
        ...

    def append(self, start: int, data: Buffer, meta: Mapping[str, Any]) -> None:
        """Store ``data`` at ``start``; returns when durable in every location the tier demands. The same bytes again are fine;
        different ones raise LogConflict.
        """
        ...

    @property
    def lacking(self) -> Mapping[str, str]:
        """By address: why a location is gone on without, as far as the tier's copies are met. It is brought back as soon as it can be."""
        ...

    @property
    def wanted(self) -> bool:
        """Whether a follower waits for this branch, which a backup holds: the backup then lets go. One small request."""
        ...

    def close(self) -> None: ...


class LogReader(Protocol):
    """Reads one branch."""

    branch: str

    def increments(self, start: int = 0) -> Iterator[Increment]:
        """In order of position, beginning with the one that holds ``start``; where several cover a position, the one that reaches
        furthest.
        """
        ...

    def meta(self, increment: Increment) -> Mapping[str, Any]: ...

    def read(self, increment: Increment) -> bytes: ...

    def stream(self, start: int, end: int | None = None) -> Iterator[tuple[int, memoryview]]:
        """(position, bytes) without gap or overlap from ``start`` to ``end`` (None: as far as the log reaches), read ahead in threads.

        Raises LogGap, naming what is missing, where the log does not join or ends before ``end``.
        """
        ...

    def coverage(self, start: int = 0) -> Sequence[tuple[int, int]]:
        """The ranges (start, end) that are there from ``start`` on, joined; more than one means gaps."""
        ...

    def remembered(self) -> Sequence[tuple[int, int]]:
        """As ``coverage``, cheap for long branches; what was trimmed may still be told."""
        ...


class LogStore(Protocol):
    """All logs of one system in the vault."""

    def branches(self) -> Sequence[str]: ...

    def reader(self, branch: str) -> LogReader: ...

    def writer(self, branch: str, by: Literal["follower", "backup"] = "follower") -> LogWriter:
        """Take the branch; ``by`` tells others who wait for it whether it is held for the length of a backup only."""
        ...
