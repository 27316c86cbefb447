"""The systems of kind postgres: settings out of the plan, capture, following, recovery."""

import contextlib
import datetime as dt
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.assembly.vault.copies import Copies
from holdfast.errors import Usage
from holdfast.model import Progress, RecoveryPoint
from holdfast.plan import EffectiveSystem

if TYPE_CHECKING:
    from holdfast.systems.contract import Exported
    from holdfast.systems.postgres.follow import Follower, FollowStatus
    from holdfast.systems.postgres.recovery import PostgresRecovery
    from holdfast.systems.postgres.restore.fetch import Recipe
    from holdfast.systems.postgres.restore.handover import HandOver
    from holdfast.systems.postgres.settings import PostgresSettings
    from holdfast.systems.postgres.system import PostgresSystem
    from holdfast.systems.postgres.walserver import WalServer
    from holdfast.systems.postgres.walserver.server import Files


class KindLacks(Usage):
    """What was asked for does not exist for systems of this kind."""

    code = "kind-lacks"


def lacking(effective: EffectiveSystem) -> KindLacks:
    return KindLacks(f"{effective.name} is of kind {effective.kind}, for which there is no such thing.", hint="It works with PostgreSQL.")


class PostgresSystems(Copies):
    """What the platform does with PostgreSQL."""

    def postgres(self, name: str) -> "PostgresSystem":
        """The protected system of that name. Raises UnknownSystem, KindNotThereYet."""
        effective = self.plan.effective(name)
        effective.require_available()
        from holdfast.systems.postgres.system import PostgresSystem

        return PostgresSystem(name, self.postgres_settings(effective), clock=self.clock)

    def postgres_settings(self, effective: EffectiveSystem) -> "PostgresSettings":
        """What the plan says about a postgres system, references resolved."""
        from holdfast.plan.shape.systems.postgres import PostgresSystem as Spec
        from holdfast.systems.postgres.follow.settings import slot_name
        from holdfast.systems.postgres.link.connection import secured
        from holdfast.systems.postgres.settings import PostgresSettings

        spec = effective.spec
        if not isinstance(spec, Spec):
            raise lacking(effective)
        hosts = spec.hosts
        addresses = [*(spec.dsn or ()), *(hosts.dsn if hosts else ())]
        limit = self.plan.document.limits.at(self.plan.local(self.clock.now()))
        given: dict[str, Any] = {}
        if spec.source is not None:
            given["policy"] = spec.source
        if spec.max_lag is not None:
            given["max_lag"] = spec.max_lag.total_seconds()
        if spec.wal_backlog is not None:
            given["wal_backlog_warn"] = spec.wal_backlog.warn
        if spec.data_directory is not None:
            given["data_directory"] = self.plan.resolve(spec.data_directory)
        if spec.binaries is not None and (dump := self.plan.resolve(spec.binaries) / "pg_dump").exists():
            given["pg_dump"] = str(dump)
        certificates = {name: self.plan.resolve(path) for name, path in (spec.tls.model_dump().items() if spec.tls else ()) if path}
        return PostgresSettings(
            dsns=tuple(secured(self._secret(address), certificates) for address in addresses),
            tls_ca=certificates.get("ca"),
            fast=spec.checkpoint != "spread",
            synchronous=bool(spec.synchronous),
            follower_slot=spec.slot or slot_name(effective.name),
            continuous=effective.continuous,
            patroni=hosts.patroni if hosts else None,
            databases=tuple(spec.databases or ()),
            rate=limit.rate,
            **given,
        )

    def postgres_ranges(self, system: str) -> list[dict[str, Any]]:
        """The stretches of its history that a system can be returned to; see the system's own ``ranges``."""
        self.plan.effective(system).require_available()
        from holdfast.systems.postgres.wal.ranges import ranges

        return ranges(self.history(system))

    def follower(self, name: str, on_status: "Callable[[FollowStatus], None] | None" = None, *, after_gap: bool = False) -> "Follower":
        """What keeps the system's log flowing into the vault; follows the primary, found anew at each connection."""
        from holdfast.plan.shape.systems.postgres import PostgresSystem as Spec
        from holdfast.systems.postgres.cluster import members
        from holdfast.systems.postgres.follow import Backlog, Follower, FollowSettings

        effective = self.plan.effective(name)
        effective.require_available()
        spec = effective.spec
        if not isinstance(spec, Spec):
            raise lacking(effective)
        given: dict[str, Any] = {}
        if spec.wal_backlog is not None:
            asked = spec.wal_backlog
            limits = {key: value for key, value in (("warn", asked.warn), ("limit", asked.limit)) if value is not None}
            given["backlog"] = Backlog(**limits, then=asked.then)
        if spec.synchronous:
            # Every commit waits for the vault: nothing is gained by waiting for more to come.
            given["interval"] = 0.0
        elif effective.tightest_rpo is not None:
            given["interval"] = min(max(effective.tightest_rpo.total_seconds() / 5, 0.25), 60.0)

        def conninfo() -> str:
            settings = self.postgres_settings(effective)
            return members.choose(members.discover(settings), "primary", settings.max_lag).dsn

        settings = FollowSettings(slot=spec.slot or "", after_gap=after_gap, **given)
        return Follower(name, conninfo, self.logs(name), settings, clock=self.clock, on_status=on_status)

    def wal_server(self, name: str, follower: "Follower") -> "WalServer":
        """The socket of ``wal push`` and ``wal get`` beside a follower."""
        from holdfast.systems.postgres.walserver import VaultWal, WalArchive, WalServer

        logs = self.logs(name)
        path = self.state.folder / f"wal-{name}.sock"
        return WalServer(path, VaultWal(logs), WalArchive(follower, logs, clock=self.clock), clock=self.clock)

    @contextlib.contextmanager
    def wal_files(self, name: str, recipe: "Recipe | None") -> "Iterator[Files]":
        """WAL by name out of the vault: what a restored directory's recipe says, else that of the newest history. The vault is open."""
        from holdfast.systems.postgres.walserver import SpanWal, VaultWal

        logs = self.logs(name)
        logs.branches()
        newest = VaultWal(logs)
        if recipe is None:
            yield newest
            return
        beyond = newest if recipe.open_ended else None
        with SpanWal(logs, recipe.spans, recipe.segment_size, recipe.histories, beyond=beyond) as wal:
            yield wal

    def wal_socket(self, path: Path, files: "Files") -> "WalServer":
        """Serve ``files`` to ``wal get`` at ``path``. An unreachable vault is tried again for ten minutes: a failed get ends a recovery."""
        from holdfast.systems.postgres.walserver import WalServer

        return WalServer(path, files, patience=600.0, clock=self.clock)

    def postgres_recovery(self, name: str) -> "PostgresRecovery":
        """The same system, as one that can be returned to a moment of its history. Raises KindLacks for a system of another kind."""
        effective = self.plan.effective(name)
        effective.require_available()
        if effective.kind != "postgres":
            raise lacking(effective)
        from holdfast.systems.postgres.cluster import members
        from holdfast.systems.postgres.recovery import PostgresRecovery

        sandbox = self.plan.document.sandbox

        def connect(on: str | None) -> str:
            settings = self.postgres_settings(effective)
            policy: Any = on or ("primary" if len(settings.dsns) < 2 and settings.patroni is None else settings.policy)
            return members.choose(members.discover(settings), policy, settings.max_lag).dsn

        programs: Any = getattr(effective.spec, "binaries", None)

        def covered(branch: str) -> dt.datetime | None:
            beats = [beat.server_time for beat in self.state.heartbeats.newest(name) if beat.branch == branch and beat.server_time]
            return max(beats, default=None)

        return PostgresRecovery(
            name,
            connect,
            covered,
            clock=self.clock,
            sandbox=self.plan.resolve(sandbox.directory) if sandbox else None,
            sandbox_limit=sandbox.max if sandbox else None,
            sandbox_size=sandbox.size if sandbox else None,
            bin=str(self.plan.resolve(programs)) if programs else self.environ.get("HOLDFAST_PG_BIN"),
            plan_file=self.plan.path.absolute(),
            python=self.environ.get("HOLDFAST_PYTHON", sys.executable),
            rate=self.plan.document.limits.at(self.plan.local(self.clock.now())).rate,
        )

    def export_postgres(
        self, found: RecoveryPoint, folder: Path, *, all_wal: bool, progress: Progress, owner: str | None = None
    ) -> "Exported":
        """A recovery point in portable form; see ``systems.postgres.export``."""
        from holdfast.recovery.files import write_out
        from holdfast.systems.postgres.export import export
        from holdfast.systems.postgres.restore.planning.landmarks import holdings

        history = self.history(found.system)
        held = holdings(history.points(), history.logs(), lambda _branch: None)
        return export(found, history, held, folder, all_wal=all_wal, write=write_out, clock=self.clock, progress=progress, owner=owner)

    def streaming_from(self, name: str) -> tuple[str, bool]:
        """(what a standby of the system's primary would follow, whether a password was left out of it). The primary that answers now,
        else the first server of the plan. Raises what resolving the plan's references raises, and the faults of asking where none is named.
        """
        from holdfast.errors import HoldfastError
        from holdfast.systems.postgres.cluster import members
        from holdfast.systems.postgres.link import connection

        settings = self.postgres_settings(self.plan.effective(name))
        try:
            dsn = members.choose(members.discover(settings), "primary", settings.max_lag).dsn
        except HoldfastError:
            if not settings.dsns:
                raise
            dsn = settings.dsns[0]
        return connection.streaming(dsn), "password" in connection.parse(dsn)

    def plan_hand_over(self, directory: Path) -> "HandOver":
        """What it means that a restored directory takes its source's place; nothing is written. Raises NotHandedOver, DirectoryRunning."""
        from holdfast.systems.postgres.restore import handover

        return handover.plan(directory)

    def hand_over(self, made: "HandOver") -> None:
        from holdfast.systems.postgres.restore import handover

        handover.run(made)
