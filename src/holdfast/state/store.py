"""The state by topic: of one host, or of several."""

from pathlib import Path

from holdfast.model import Clock
from holdfast.state.contract import AnyDatabase
from holdfast.state.database import Database
from holdfast.state.durations import Durations
from holdfast.state.heartbeats import Heartbeats
from holdfast.state.leases import Leases
from holdfast.state.outbox.queue import Outbox
from holdfast.state.postgres import PostgresDatabase
from holdfast.state.proofs import Proofs
from holdfast.state.runbooks import Runbooks
from holdfast.state.runs import Runs
from holdfast.state.schedule import Passes, Pauses


class State:
    """Everything in ``folder/state.sqlite``, or, with ``dsn``, in a PostgreSQL database that other hosts use as well; the folder then holds
    what only this host needs. Safe from several threads and processes; nothing is opened until it is used.
    """

    def __init__(self, folder: Path, clock: Clock, dsn: str | None = None) -> None:
        self.folder = folder
        local = Database(folder, clock)
        self.database: AnyDatabase = PostgresDatabase(dsn, folder, clock) if dsn else local
        self.runs = Runs(self.database)
        self.leases = Leases(self.database)
        self.pauses = Pauses(self.database)
        self.passes = Passes(self.database)
        self.heartbeats = Heartbeats(self.database)
        self.proofs = Proofs(self.database)
        self.durations = Durations(self.database)
        self.runbooks = Runbooks(self.database)
        self.outbox = Outbox(self.database)
        self.own_outbox = Outbox(local) if dsn else self.outbox
        """Of this host alone, for when the shared one cannot be used: people are told also when that database is what is down."""
