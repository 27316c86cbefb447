"""Work that is cut into shards, and done by other processes: a capture's copying, a proof's scan (docs/spark-executor.md)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from holdfast.model import Progress
from holdfast.systems.contract.capture import CaptureWriter
from holdfast.systems.contract.recovery import History
from holdfast.systems.contract.system import Probe


@dataclass(frozen=True, slots=True)
class Done:
    """``report``: what the system's ``Shared`` returned. ``shard``: what it stored, for ``CaptureWriter.adopt``; None for a scan."""

    report: Mapping[str, Any]
    shard: Any = None


class Pool(Protocol):
    """Processes that each do a shard at a time. A shard is a JSON-ready mapping that only the system understands, and holds no secret."""

    @property
    def width(self) -> int:
        """How many shards are done at once."""
        ...

    def store(self, shards: Iterable[Mapping[str, Any] | None]) -> Iterator[Done]:
        """Each is given to ``Shared.store`` somewhere; results in the order of the shards, of which a bounded number is asked for ahead.
        None keeps its place: nothing is to be done for it.

        A process that dies costs its shard, which another one does. Raises what the shard's work raised, and what the pool itself does.
        """
        ...

    def scan(self, shards: Iterable[Mapping[str, Any] | None]) -> Iterator[Done]:
        """The same by ``Shared.scan``."""
        ...


@dataclass(frozen=True)
class Sharing:
    """How a system's work is shared. ``open`` gives the pool; it may take long, and is left out where less than ``least`` bytes are to be
    copied. ``verify``: scans are shared, too. ``probe`` says whether it works.
    """

    open: Callable[[Progress], AbstractContextManager[Pool]]
    probe: Callable[[], Sequence[Probe]]
    least: int = 0
    verify: bool = False


class Shared(Protocol):
    """A system as the processes of a pool know it."""

    def store(self, shard: Mapping[str, Any], writer: CaptureWriter, progress: Progress) -> Mapping[str, Any]:
        """Add what the shard names to a session that another one commits; the writer is flushed on return. JSON-ready."""
        ...

    def scan(self, shard: Mapping[str, Any], history: History) -> Mapping[str, Any]:
        """Read what the shard names, and say what was found. JSON-ready."""
        ...
