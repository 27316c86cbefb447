"""What a system asks of a vault's writer and reader, and what every system offers to the rooms above.

The vault satisfies the ports structurally (``systems`` and ``vault`` do not import each other); ``assembly`` joins them and mypy checks
the fit.
"""

from holdfast.systems.contract.capture import Buffer, Bulk, CaptureWriter, Inspect, ReadMany, Sink, Source, StoredEntry, StoredLine
from holdfast.systems.contract.lacking import INCOMPLETE, Lack, RestoredPartly, restored_partly, set_aside, write_list
from holdfast.systems.contract.logs import LogReader, LogStore, LogWriter
from holdfast.systems.contract.pool import Done, Pool, Shared, Sharing
from holdfast.systems.contract.reading import Lost, LostLines, PointReader, Target
from holdfast.systems.contract.recovery import (
    Accountable,
    Exported,
    History,
    Isolated,
    LeftOut,
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
from holdfast.systems.contract.relation import Relation, TableUnknown
from holdfast.systems.contract.sampling import Draw, Sampled
from holdfast.systems.contract.spot import NothingSmall, Spot, SpotCheckable
from holdfast.systems.contract.system import Capabilities, Probe, RestoreRequest, System

__all__ = [
    "INCOMPLETE",
    "Accountable",
    "Buffer",
    "Bulk",
    "Capabilities",
    "CaptureWriter",
    "Done",
    "Draw",
    "Exported",
    "History",
    "Inspect",
    "Isolated",
    "Lack",
    "LeftOut",
    "LogReader",
    "LogSpan",
    "LogStore",
    "LogWriter",
    "Lost",
    "LostLines",
    "Moment",
    "Moments",
    "NothingSmall",
    "Obstacle",
    "PointReader",
    "Pool",
    "Probe",
    "ReadMany",
    "Recoverable",
    "Relation",
    "RestorePlan",
    "RestoreRequest",
    "Restored",
    "RestoredPartly",
    "Sampled",
    "Searchable",
    "Shared",
    "Sharing",
    "Sink",
    "Source",
    "Spot",
    "SpotCheckable",
    "StoredEntry",
    "StoredLine",
    "Structural",
    "System",
    "TableUnknown",
    "Target",
    "Walker",
    "restored_partly",
    "set_aside",
    "write_list",
]
