"""The state of one host, by topic."""

from pathlib import Path

from holdfast.model import Clock
from holdfast.state.database import Database
from holdfast.state.durations import Durations
from holdfast.state.heartbeats import Heartbeats
from holdfast.state.leases import Leases
from holdfast.state.outbox.queue import Outbox
from holdfast.state.pauses import Pauses
from holdfast.state.proofs import Proofs
from holdfast.state.runbooks import Runbooks
from holdfast.state.runs import Runs


class State:
    """Everything in ``folder/state.sqlite``. Safe from several threads and processes; nothing is opened until it is used."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self.database = Database(folder, clock)
        self.runs = Runs(self.database)
        self.leases = Leases(self.database)
        self.pauses = Pauses(self.database)
        self.heartbeats = Heartbeats(self.database)
        self.proofs = Proofs(self.database)
        self.durations = Durations(self.database)
        self.runbooks = Runbooks(self.database)
        self.outbox = Outbox(self.database)
