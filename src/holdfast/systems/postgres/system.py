"""PostgreSQL as a system that Holdfast protects."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from holdfast.model import Clock, Progress, RecoveryPoint, SystemClock
from holdfast.systems.contract import Capabilities, CaptureWriter, LogStore, Probe
from holdfast.systems.postgres.capture.inplace import InPlace
from holdfast.systems.postgres.capture.logical import extra_of
from holdfast.systems.postgres.capture.preflight import preflight, slot_free
from holdfast.systems.postgres.capture.remote import Remote
from holdfast.systems.postgres.capture.wal import BackupWal
from holdfast.systems.postgres.cluster import members
from holdfast.systems.postgres.cluster.coordinate import coordinate
from holdfast.systems.postgres.faults import BackupWalMissing
from holdfast.systems.postgres.follow.settings import slot_name
from holdfast.systems.postgres.link import connection
from holdfast.systems.postgres.settings import PostgresSettings


class PostgresSystem:
    """One cluster of the plan. Satisfies ``systems.contract.System``."""

    kind = "postgres"
    capabilities = Capabilities(point_in_time=True, continuous=True, isolated_restore=True, delta_restore=True, logical=True)

    def __init__(
        self,
        name: str,
        settings: PostgresSettings,
        *,
        clock: Clock | None = None,
        logs: LogStore | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """``logs``: the system's logs in the vault, where a backup's own WAL goes; may also be given to ``capture``.

        ``environ``: what ``pg_dump`` is started with; the process's own by default.
        """
        self.name = name
        self.settings = settings
        self.clock = clock or SystemClock()
        self.logs = logs
        self.environ = dict(os.environ) if environ is None else dict(environ)

    def probe(self) -> Sequence[Probe]:
        from holdfast.systems.postgres.probes.run import probe

        return probe(self.settings, self.clock)

    def coordinate(self) -> Mapping[str, Any]:
        return coordinate(self.settings)

    def member(self) -> members.Member:
        """The member that a backup would be taken from now."""
        return members.choose(members.discover(self.settings), self.settings.policy, self.settings.max_lag)

    def capture(self, writer: CaptureWriter, progress: Progress, *, logs: LogStore | None = None) -> RecoveryPoint:
        """One recovery point, with its WAL in the log branch that it names. Raises the faults of this room; then nothing is committed.

        In place when the chosen member runs on this host in the plan's data directory, else over the replication protocol.
        """
        store = logs or self.logs
        if store is None:
            raise BackupWalMissing("There is no place for the backup's WAL.", hint="Hand the system's log store to capture().")
        chosen = self.member()
        progress.note(f"{self.name}: from the {chosen.role} {chosen.address}")
        root = self.settings.data_directory
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(contextlib.closing(connection.connect(chosen.dsn, timeout=self.settings.connect_timeout)))
            in_place = root is not None and members.runs_here(server, root)
            if root is not None and not in_place:
                progress.note(f"{chosen.address} does not run in {root} on this host: read over the replication protocol.")
            preflight(server, chosen, in_place=in_place)
            wal = BackupWal(
                chosen.dsn,
                store,
                clock=self.clock,
                progress=progress,
                patience=self.settings.wal_wait,
                before_slot=partial(slot_free, server, chosen.address),
                follower_slot=self.settings.follower_slot or slot_name(self.name),
                continuous=self.settings.continuous,
            )
            stack.callback(wal.close)
            extra = partial(extra_of, writer, chosen.dsn, self.settings, self.environ, progress)
            if in_place and root is not None:
                return InPlace(writer, server, chosen, self.settings, root, wal, self.clock, progress, extra).run()
            return Remote(writer, server, chosen, self.settings, wal, self.clock, progress, extra).run()
