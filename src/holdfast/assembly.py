"""The only file that names concrete systems, storages and channels: a plan becomes a platform that can be worked with.

Everything is made when it is first asked for: `status` on a laptop does not need a database driver.
"""

import datetime as dt
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from holdfast.errors import Refused
from holdfast.journal import Journal
from holdfast.model import Clock, Progress, RecoveryPoint, SystemClock
from holdfast.plan import EffectiveSystem, Location, Plan
from holdfast.state import State, directory

if TYPE_CHECKING:
    from holdfast.protection.backup import Wish
    from holdfast.protection.history import Past
    from holdfast.storage import Storage
    from holdfast.systems.contract import LogStore, PointReader
    from holdfast.systems.postgres.export import Exported
    from holdfast.systems.postgres.follow import Follower, FollowStatus
    from holdfast.systems.postgres.recovery import PostgresRecovery
    from holdfast.systems.postgres.restore.handover import HandOver
    from holdfast.systems.postgres.settings import PostgresSettings
    from holdfast.systems.postgres.system import PostgresSystem
    from holdfast.systems.postgres.walserver import WalServer
    from holdfast.vault import Vault
    from holdfast.vault.prune import Pruned, PrunePlan


def cache_directory(environ: Mapping[str, str]) -> Path:
    """``HOLDFAST_CACHE``, else ``holdfast`` below ``XDG_CACHE_HOME``, else ``~/.cache/holdfast``. May be lost at any time."""
    if chosen := environ.get("HOLDFAST_CACHE"):
        return Path(chosen).expanduser().absolute()
    base = environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser().absolute() if base else Path.home() / ".cache") / "holdfast"


class VaultPartly(Refused):
    """Some locations of the plan hold a vault and others are empty."""

    code = "vault-partly"


@dataclass(frozen=True)
class Created:
    """The vault's id; the recovery key when it was made just now (it is stored nowhere), None when it was there already."""

    vault: str
    recovery_key: str | None


class Platform:
    """A plan, joined with the vault, the systems, the state and the journal it speaks of. Close it when done."""

    def __init__(self, plan: Plan, *, clock: Clock | None = None, environ: Mapping[str, str] | None = None) -> None:
        self.plan = plan
        self.clock: Clock = clock or SystemClock()
        self.environ = os.environ if environ is None else environ
        self._vaults: dict[tuple[str, ...], Vault] = {}

    # ------------------------------------------------------------ this host

    @cached_property
    def state(self) -> State:
        return State(directory(self.environ), self.clock)

    @cached_property
    def journal(self) -> Journal:
        return Journal(directory(self.environ) / "journal", self.clock)

    @cached_property
    def cache(self) -> Path:
        return cache_directory(self.environ)

    # ------------------------------------------------------------ the vault

    def key(self) -> str:
        """The text of the vault's key, from where the plan says it is. Raises the faults of ``connect.secrets``."""
        return self._secret(self.plan.document.vault.key)

    def storage(self, location: Location, *, create: bool = False) -> "Storage":
        """One location of the plan, opened."""
        from holdfast.storage.open import open_storage

        return open_storage(location.url, self._options(location), create=create, clock=self.clock)

    def probe_location(self, location: Location) -> None:
        """Try what the vault asks of a location, with a small object that is removed again. Raises StorageUnfit, Unreachable."""
        from holdfast.storage.probe import require_fit

        storage = self.storage(location)
        try:
            require_fit(storage)
        finally:
            storage.close()

    def locations(self, system: str | None = None) -> tuple[Location, ...]:
        """Where a system's points are kept, in the order they are written; without a system all locations of the plan."""
        return self.plan.effective(system).locations if system else self.plan.document.vault.locations

    def create_vault(self) -> "Created":
        """A new vault in every location of the plan; a vault that is there already in all of them is kept, once the key has opened it.

        Every location is tried first (``probe_location``). Raises VaultPartly when only some hold one, WrongKey, StorageUnfit, Unreachable.
        """
        places = self.locations()
        for place in places:
            self.storage(place, create=True).close()
            self.probe_location(place)
        storages = [self.storage(place) for place in places]
        from holdfast.vault import Vault

        holding = [place.name for place, storage in zip(places, storages, strict=True) if storage.head("config") is not None]
        if not holding:
            vault, recovery = Vault.create(storages, self.key(), clock=self.clock, cache=self.cache)
            with vault:
                return Created(vault.id, recovery)
        for storage in storages:
            storage.close()
        bare = [place.name for place in places if place.name not in holding]
        if bare:
            raise VaultPartly(
                f"{', '.join(holding)} holds a vault, {', '.join(bare)} does not.",
                hint="Copy it there first: holdfast vault copy; or name only locations that are empty.",
                holding=holding,
                empty=bare,
            )
        return Created(self.vault().id, None)

    def vault(self, system: str | None = None) -> "Vault":
        """The vault in the locations of one system's tier (or all). The same object for the same locations."""
        places = self.locations(system)
        names = tuple(place.name for place in places)
        if names not in self._vaults:
            from holdfast.vault import Vault

            self._vaults[names] = Vault.open([self.storage(place) for place in places], self.key(), clock=self.clock, cache=self.cache)
        return self._vaults[names]

    def logs(self, system: str) -> "LogStore":
        return self.vault(system).logs(system)

    def history(self, system: str) -> "VaultHistory":
        return VaultHistory(self.vault(system), system)

    def ranges(self, system: str) -> list[dict[str, Any]]:
        """The stretches of its history that a system can be returned to; see the system's own ``ranges``."""
        self.plan.effective(system).require_available()
        from holdfast.systems.postgres.ranges import ranges

        return ranges(self.history(system))

    # ------------------------------------------------------------ the systems

    def system(self, name: str) -> "PostgresSystem":
        """The protected system of that name. Raises UnknownSystem, KindNotThereYet."""
        effective = self.plan.effective(name)
        effective.require_available()
        from holdfast.systems.postgres.system import PostgresSystem

        return PostgresSystem(name, self.postgres_settings(effective), clock=self.clock)

    def postgres_settings(self, effective: EffectiveSystem) -> "PostgresSettings":
        """What the plan says about a postgres system, references resolved."""
        from holdfast.plan.shape.systems.postgres import PostgresSystem as Spec
        from holdfast.systems.postgres.connection import secured
        from holdfast.systems.postgres.follow.settings import slot_name
        from holdfast.systems.postgres.settings import PostgresSettings

        spec = effective.spec
        assert isinstance(spec, Spec)
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

    # ------------------------------------------------------------ work

    def backup(self, system: str, progress: Progress, wish: "Wish | None" = None) -> RecoveryPoint:
        """One recovery point of one system, recorded; see ``protection.backup``."""
        import socket

        from holdfast.protection.backup import backup

        protected = self.system(system)
        return backup(protected, self.vault(system), self.state, self.journal, self.clock, progress, wish, host=socket.gethostname())

    def recovery(self, name: str) -> "PostgresRecovery":
        """The same system, as one that can be returned to a moment of its history."""
        effective = self.plan.effective(name)
        effective.require_available()
        from holdfast.systems.postgres import members
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
            bin=str(self.plan.resolve(programs)) if programs else self.environ.get("HOLDFAST_PG_BIN"),
        )

    def export(self, point: str, folder: Path, *, all_wal: bool, progress: Progress) -> "Exported":
        """A recovery point (its id, how it begins, or its label) in portable form; see ``systems.postgres.export``."""
        from holdfast.recovery.files import write_out
        from holdfast.systems.postgres.export import export
        from holdfast.systems.postgres.restore.landmarks import holdings

        found = self.vault().point(point).point
        history = self.history(found.system)
        held = holdings(history.points(), history.logs(), lambda _branch: None)
        return export(found, history, held, folder, all_wal=all_wal, write=write_out, clock=self.clock, progress=progress)

    def streaming_from(self, name: str) -> tuple[str, bool]:
        """(what a standby of the system's primary would follow, whether a password was left out of it). The primary that answers now,
        else the first server of the plan. Raises what resolving the plan's references raises, and the faults of asking where none is named.
        """
        from holdfast.errors import HoldfastError
        from holdfast.systems.postgres import connection, members

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

    def follower(self, name: str, on_status: "Callable[[FollowStatus], None] | None" = None, *, after_gap: bool = False) -> "Follower":
        """What keeps the system's log flowing into the vault; follows the primary, found anew at each connection."""
        from holdfast.plan.shape.systems.postgres import PostgresSystem as Spec
        from holdfast.systems.postgres import members
        from holdfast.systems.postgres.follow import Backlog, Follower, FollowSettings

        effective = self.plan.effective(name)
        effective.require_available()
        spec = effective.spec
        assert isinstance(spec, Spec)
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

    def prune_plan(self) -> "PrunePlan":
        """What retention says, over all systems and locations of the plan. Nothing is changed. Raises what ``vault.prune.make`` raises."""
        from holdfast.systems.postgres.lsn import replay_begins
        from holdfast.vault.prune import make
        from holdfast.vault.retention import Keep

        policies: dict[str, Keep] = {}
        proved: set[str] = set()
        for name in self.plan.systems:
            given = self.plan.effective(name).keep.model_dump(exclude_none=True)
            if given:
                policies[name] = Keep(**given)
            proved |= {proof.point for proof in self.state.proofs.recent(name) if proof.ok and proof.point}
        return make(self.vault(), policies, zone=self.plan.zone, proved=proved, begins=replay_begins)

    def prune(self, plan: "PrunePlan", *, most: float, progress: Progress) -> "Pruned":
        """Carry it out, recorded."""
        from holdfast.protection.recorded import recorded
        from holdfast.vault.prune import run

        with recorded(self.state, self.journal, self.clock, "prune", None, drop=list(plan.drop)) as work:
            done = run(self.vault(), plan, most=most, progress=work.watch(progress))
            work.add(points=done.points, packs=done.packs, logs=done.logs, bytes=done.bytes)
        return done

    def url(self, location: Location) -> str:
        """A location's address as its storage writes it."""
        storage = self.storage(location)
        storage.close()
        return storage.url

    def wal_server(self, name: str, follower: "Follower") -> "WalServer":
        """The socket of ``wal push`` and ``wal get`` beside a follower."""
        from holdfast.systems.postgres.walserver import VaultWal, WalArchive, WalServer

        logs = self.logs(name)
        path = self.state.folder / f"wal-{name}.sock"
        return WalServer(path, VaultWal(logs), WalArchive(follower, logs, clock=self.clock), clock=self.clock)

    def past(self, name: str) -> "Past":
        """What is known of a system's past; what a location or the vault does not tell is unknown in it, and not raised."""
        from holdfast.errors import HoldfastError
        from holdfast.protection.collect import collect, unknown

        places = [place.name for place in self.locations(name)]
        try:
            vault = self.vault(name)
            return collect(name, vault, dict(zip(places, vault.locations.storages, strict=True)), self.state)
        except HoldfastError as error:
            return unknown(name, places, self.state, error)

    def copy_records(self) -> list[str]:
        """The journal and the plan, copied into every location of the vaults that were opened; returns what could not be copied, in words.

        Without an opened vault, or with a key that only reads, nothing is done: the next command with one that writes does it.
        """
        from holdfast.errors import HoldfastError
        from holdfast.plan.portable import as_text
        from holdfast.vault.records import RecordCopies

        failed: dict[str, str] = {}
        done: set[str] = set()
        for vault in self._vaults.values():
            for storage in vault.locations.storages if vault.role != "reader" else ():
                if storage.url in done:
                    continue
                done.add(storage.url)
                copies = RecordCopies(storage, vault.notary, self.clock.now)
                try:
                    self.journal.export(f"{vault.id} {storage.url}", copies)
                    copies.put_plan(as_text(self.plan.merged), self.plan.hash)
                except HoldfastError as error:
                    failed[storage.url] = error.message
        return [f"The journal and the plan were not copied into {url}: {message}" for url, message in failed.items()]

    # ------------------------------------------------------------

    def close(self) -> None:
        for vault in self._vaults.values():
            vault.close()
        self._vaults.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _secret(self, reference: Any) -> str:
        from holdfast.connect.secrets import resolve

        return resolve(reference, base=self.plan.path.parent, environ=self.environ)

    def _options(self, location: Location) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if location.endpoint:
            options["endpoint"] = location.endpoint
        if location.region:
            options["region"] = location.region
        if location.path_style is not None:
            options["path_style"] = location.path_style
        if given := location.credentials:
            named = {
                "profile": given.profile,
                "access_key_id": given.access_key_id and self._secret(given.access_key_id),
                "secret_access_key": given.secret_access_key and self._secret(given.secret_access_key),
                "session_token": given.session_token and self._secret(given.session_token),
            }
            options["credentials"] = {name: value for name, value in named.items() if value}
        if location.tls:
            options["tls"] = {name: value for name, value in location.tls.model_dump().items() if value}
        return options


class VaultHistory:
    """What a vault holds of one system; satisfies ``systems.contract.History``."""

    def __init__(self, vault: "Vault", system: str) -> None:
        self._vault = vault
        self._system = system

    def points(self) -> Sequence[RecoveryPoint]:
        return self._vault.points(self._system)

    def open(self, point: str) -> "PointReader":
        return self._vault.point(point)

    def logs(self) -> "LogStore":
        return self._vault.logs(self._system)


def bare_vault(url: str, key: str, *, endpoint: str | None, clock: Clock, environ: Mapping[str, str] | None = None) -> "Vault":
    """A vault opened by its address alone; ``key`` names the environment variable that holds the key."""
    from holdfast.connect.secrets import resolve
    from holdfast.plan import SecretRef
    from holdfast.storage.open import open_storage
    from holdfast.vault import Vault

    storage = open_storage(url, {"endpoint": endpoint} if endpoint else {}, clock=clock)
    secret = resolve(SecretRef(env=key))
    return Vault.open([storage], secret, clock=clock, cache=cache_directory(os.environ if environ is None else environ))


def stored_plan(vault: "Vault", url: str, key: str, *, endpoint: str | None) -> tuple[str | None, list[str]]:
    """(the newest plan that lies in the vault, as text turned towards this one location; what was wrong with newer ones).

    None when the vault holds none, or none that this version understands.
    """
    from holdfast.plan.portable import relocated_text
    from holdfast.vault.records import newest_plan

    text, wrong = newest_plan(vault.locations.first, vault.notary)
    if text is None:
        return None, wrong
    written, problem = relocated_text(text, url if "://" in url else f"file://{Path(url).absolute()}", key, endpoint)
    return written, [*wrong, *([problem] if problem else [])]


def bare_plan(url: str, key: str, *, endpoint: str | None, points: Sequence[RecoveryPoint]) -> str:
    """The text of a plan that knows one vault and the systems in it, so that every command works on an empty machine."""
    address = url if "://" in url else f"file://{url}"
    more = f", endpoint: {json.dumps(endpoint)}" if endpoint else ""
    lines = [
        "# Written from the vault alone: enough to list, restore and verify. Protecting goes on with the platform's own plan.",
        "platform: recovered",
        f"vault:\n  key: {{env: {key}}}\n  locations:\n    - {{name: vault, url: {json.dumps(address)}{more}}}",
        "systems:" if points else "systems: {}",
    ]
    for system, kind in sorted({(point.system, point.kind) for point in points}):
        variable = "".join(letter if letter.isalnum() else "_" for letter in system).upper() + "_DSN"
        lines.append(f"  {system}: {{kind: {kind}, dsn: {{env: {variable}}}}}")
    return "\n".join(lines) + "\n"
