"""What is in flight: leases, schedules, run positions; SQLite; can be lost without losing data or evidence."""

from holdfast.state.database import Database, StateNewer, StateUnusable
from holdfast.state.durations import Durations, Estimate
from holdfast.state.heartbeats import Heartbeat, Heartbeats
from holdfast.state.leases import Lease, Leases
from holdfast.state.location import directory
from holdfast.state.pauses import Pause, Pauses
from holdfast.state.proofs import Proof, Proofs
from holdfast.state.runbooks import RunbookLine, Runbooks
from holdfast.state.runs import Run, Runs
from holdfast.state.store import State

__all__ = [
    "Database",
    "Durations",
    "Estimate",
    "Heartbeat",
    "Heartbeats",
    "Lease",
    "Leases",
    "Pause",
    "Pauses",
    "Proof",
    "Proofs",
    "Run",
    "RunbookLine",
    "Runbooks",
    "Runs",
    "State",
    "StateNewer",
    "StateUnusable",
    "directory",
]
