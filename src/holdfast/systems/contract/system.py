"""What every system offers to those who protect it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from holdfast.model import Progress, RecoveryPoint
from holdfast.systems.contract.capture import CaptureWriter


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Declared by each system; never guessed from its kind.

    ``chunk_size``: bytes at which the vault cuts its content. ``builds_on_findings``: a point with findings may be the next one's base,
    for what a finding names is read anew.
    """

    point_in_time: bool = False
    continuous: bool = False
    isolated_restore: bool = False
    failover: bool = False
    quiesce: bool = False
    delta_restore: bool = False
    logical: bool = False
    chunk_size: int = 65536
    builds_on_findings: bool = False


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing that ``check`` found. ``state``: ok, warn (works, with a consequence that ``detail`` states), fail. ``hint`` says what
    to do.
    """

    name: str
    state: str
    detail: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """Where a restore is to go and how. ``until``: None (newest), 'immediate', or a parsed coordinate of the system."""

    into: Path
    until: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


class System(Protocol):
    """One protected system, as the plan names it."""

    name: str
    kind: str
    capabilities: Capabilities

    def probe(self) -> Sequence[Probe]:
        """What works, what is missing, the role of each member. Changes nothing; never raises for what it was asked to find out."""
        ...

    def coordinate(self) -> Mapping[str, Any]:
        """Where the system is now; cheap; JSON-ready."""
        ...

    def capture(self, writer: CaptureWriter, progress: Progress) -> RecoveryPoint:
        """Take one recovery point; incremental when ``writer.base`` is set and usable."""
        ...
