"""What is in flight: leases, schedules, run positions; SQLite, or PostgreSQL for several hosts; may be lost: data and evidence are not."""

from holdfast.state.contract import AnyDatabase
from holdfast.state.database import Database, StateNewer, StateUnusable, Taken
from holdfast.state.durations import Durations, Estimate
from holdfast.state.heartbeats import Heartbeat, Heartbeats
from holdfast.state.leases import Lease, Leases
from holdfast.state.location import chosen_folder, directory, shared
from holdfast.state.proofs import Proof, Proofs
from holdfast.state.runbooks import Fenced, RunbookLine, Runbooks
from holdfast.state.runs import Run, Runs
from holdfast.state.schedule import Pass, Passes, Pause, Pauses
from holdfast.state.store import State

__all__ = [
    "AnyDatabase",
    "Database",
    "Durations",
    "Estimate",
    "Fenced",
    "Heartbeat",
    "Heartbeats",
    "Lease",
    "Leases",
    "Pass",
    "Passes",
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
    "Taken",
    "chosen_folder",
    "directory",
    "shared",
]
