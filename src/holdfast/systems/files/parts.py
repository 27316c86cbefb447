"""What else a system of kind files holds beside folders: Git repositories, container images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from holdfast.errors import HoldfastError
from holdfast.model import Finding, Progress
from holdfast.systems.contract import CaptureWriter, PointReader, Probe, Structural


@dataclass(frozen=True, slots=True)
class Captured:
    """What a part added to a point. ``facts`` are JSON-ready and come back at a restore."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    findings: Sequence[Finding] = ()


Lacks = Callable[[str, HoldfastError], None]
"""(path in the point, why)"""


class Part(Protocol):
    """``name`` is its top folder in a point and its key in the point's facts: ``git``, ``images``."""

    name: str

    def probe(self) -> Sequence[Probe]: ...

    def capture(self, writer: CaptureWriter, progress: Progress) -> Captured:
        """Add entries below ``name``. Raises what keeps the whole point from being taken."""
        ...

    def restore(
        self, reader: PointReader, into: Path, paths: Sequence[str], progress: Progress, lack: Lacks | None = None
    ) -> Sequence[str]:
        """Make what the point holds below ``name`` (of it only ``paths``, in the point's terms; none named: all) usable again below
        ``into``, durably. Returns notes. ``lack`` hears of what damage keeps from that, and the rest is made;
        without it damage is raised.
        """
        ...

    def examine(self, into: Path) -> Sequence[Structural]:
        """What ``restore`` made below ``into``, proved once more by its own means; nothing where there is nothing of it."""
        ...


class LatePart:
    """A part that is made when it is first asked for something: most points hold folders alone, and need not wait for its imports."""

    def __init__(self, name: str, make: Callable[[], Part]) -> None:
        self.name = name
        self._make = make
        self._made: Part | None = None

    def _part(self) -> Part:
        if self._made is None:
            self._made = self._make()
        return self._made

    def probe(self) -> Sequence[Probe]:
        return self._part().probe()

    def capture(self, writer: CaptureWriter, progress: Progress) -> Captured:
        return self._part().capture(writer, progress)

    def restore(
        self, reader: PointReader, into: Path, paths: Sequence[str], progress: Progress, lack: Lacks | None = None
    ) -> Sequence[str]:
        return self._part().restore(reader, into, paths, progress, lack)

    def examine(self, into: Path) -> Sequence[Structural]:
        """Nothing is there of a part that was not restored."""
        return self._part().examine(into) if self._made is not None or into.is_dir() else []
