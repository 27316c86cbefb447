"""What a system reads from: a committed point, and the targets it is written to."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from holdfast.errors import HoldfastError
from holdfast.model import Extracted, Progress, RecoveryPoint
from holdfast.systems.contract.capture import StoredEntry, StoredLine


class Target(Protocol):
    """A file being restored. ``write`` is called from several threads on distinct ranges.

    Long runs of zeros are not written: they are there from the beginning. A target with an attribute ``zeros`` that is true gets them, too.
    """

    def write(self, offset: int, data: memoryview) -> None: ...

    def existing(self, offset: int, buffer: memoryview) -> int:
        """For a delta restore: fill ``buffer`` with what is there now; 0 when there is nothing."""
        ...

    def close(self) -> None:
        """All content has arrived: set size, mode, times. Not yet durable: the caller of ``extract`` syncs once at the end."""
        ...


Lost = Callable[[StoredEntry, Target | None, HoldfastError], None]
"""(a file that could not be had whole, its target if it was opened, why). One call at a time, when nobody writes to the target any more;
the target is not closed and belongs to who is called."""

LostLines = Callable[[str, str, int, HoldfastError], None]
"""(smallest path, greatest path, number of entries, why) of a stretch of a point's list that cannot be read."""


class PointReader(Protocol):
    """A committed point, read only."""

    @property
    def point(self) -> RecoveryPoint: ...

    def entries(self, prefix: str = "") -> Iterator[StoredEntry]: ...

    def lines(self, lost: LostLines | None = None) -> Iterator[StoredLine]:
        """All entries in the order of capture; the cheap way to look at each. With ``lost`` a damaged stretch of the list ends nothing."""
        ...

    def find(self, path: str) -> StoredEntry | None: ...

    def read(self, stored: StoredEntry) -> bytes:
        """The whole content of a small file (refuses over 64 MiB)."""
        ...

    def extract(
        self,
        wanted: Iterable[tuple[StoredEntry, Callable[[], Target] | None]],
        *,
        delta: bool = False,
        progress: Progress | None = None,
        small: Callable[[Sequence[tuple[StoredEntry, memoryview | bytes]]], None] | None = None,
        lost: Lost | None = None,
    ) -> "Extracted":
        """Write the content of many files at full speed, every chunk's identity checked. ``delta`` asks each target for what exists
        and fetches only what differs. A file (of at most 4 MiB) without an opener is handed whole to ``small``, many at a time, in worker
        threads (not with ``delta``). With ``lost`` damage of the vault ends nothing: what cannot be had whole is told, all else is written.
        """
        ...
