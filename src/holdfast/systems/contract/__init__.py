"""What a system asks of a vault's writer and reader, and what every system offers to the rooms above.

The vault satisfies the ports structurally (``systems`` and ``vault`` do not import each other); ``assembly`` joins them and mypy checks
the fit.
"""

from holdfast.systems.contract.capture import Buffer, Bulk, CaptureWriter, Inspect, ReadMany, Sink, Source, StoredEntry, StoredLine
from holdfast.systems.contract.logs import LogReader, LogStore, LogWriter
from holdfast.systems.contract.reading import PointReader, Target
from holdfast.systems.contract.recovery import (
    History,
    Isolated,
    LogSpan,
    Moment,
    Moments,
    Obstacle,
    Recoverable,
    Restored,
    RestorePlan,
    Searchable,
    Structural,
    Walker,
)
from holdfast.systems.contract.system import Capabilities, Probe, RestoreRequest, System

__all__ = [
    "Buffer",
    "Bulk",
    "Capabilities",
    "CaptureWriter",
    "History",
    "Inspect",
    "Isolated",
    "LogReader",
    "LogSpan",
    "LogStore",
    "LogWriter",
    "Moment",
    "Moments",
    "Obstacle",
    "PointReader",
    "Probe",
    "ReadMany",
    "Recoverable",
    "RestorePlan",
    "RestoreRequest",
    "Restored",
    "Searchable",
    "Sink",
    "Source",
    "StoredEntry",
    "StoredLine",
    "Structural",
    "System",
    "Target",
    "Walker",
]
