"""The vault and its locations, as the plan names them."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from holdfast.assembly.host import Host
from holdfast.evidence.kinds import proves
from holdfast.model import Clock, RecoveryPoint
from holdfast.plan import Location, Plan
from holdfast.plan.keeping import promised

if TYPE_CHECKING:
    from holdfast.connect.hsm import Hsm
    from holdfast.plan.keeping import LockPrice
    from holdfast.plan.shape.vault import Credentials
    from holdfast.plan.values.secret import KeyRef
    from holdfast.storage import Storage
    from holdfast.storage.protection import Finding
    from holdfast.systems.contract import LogStore, PointReader
    from holdfast.vault import Vault


_LEFT, _NEXT = "The journal and the plan were not copied into", "They are copied by the next command that works with the vault."


@dataclass(frozen=True)
class Created:
    """The vault's id; the recovery key when it was made just now (it is stored nowhere), None when it was there already. ``joined``: names
    of locations that were empty and are the vault's now, still without its history.
    """

    vault: str
    recovery_key: str | None
    joined: tuple[str, ...] = ()


class VaultHistory:
    """What a vault holds of one system; satisfies ``systems.contract.History``."""

    def __init__(self, vault: "Vault", system: str) -> None:
        self._vault = vault
        self._system = system

    def points(self) -> Sequence[RecoveryPoint]:
        """Raises ScopeErased for a system whose history was destroyed with its key: that is not the same as having none."""
        from holdfast.vault.errors import ScopeClosed, ScopeErased, ScopeUnknown

        found = self._vault.points(self._system)
        if not found:
            try:
                self._vault.scope_of(self._system)
            except (ScopeClosed, ScopeUnknown):
                return found
            except ScopeErased as error:
                raise ScopeErased(
                    f"{self._system} has no recovery points that can be read. {error.message}",
                    hint="Its history is gone for good. To protect it from now on, give it another scope in the plan, then: holdfast backup"
                    f" {self._system}",
                    **error.details,
                ) from None
        return found

    def open(self, point: str) -> "PointReader":
        return self._vault.point(point)

    def logs(self) -> "LogStore":
        return self._vault.logs(self._system)


class Places(Host):
    """The vault, opened in all locations of the plan or in those of one system's tier."""

    def __init__(self, plan: Plan, *, clock: Clock | None = None, environ: Mapping[str, str] | None = None) -> None:
        super().__init__(plan, clock=clock, environ=environ)
        self._vaults: dict[tuple[str, ...], Vault] = {}
        self.told: Callable[[str], None] = lambda _: None
        """Hears, within seconds, that a location does not answer and is waited for."""

    def key(self) -> "str | Hsm":
        """What opens the vault, from where the plan says it is. Raises the faults of ``connect.secrets``."""
        return self._key(self.plan.document.vault.key)

    def scope_keys(self) -> dict[str, "str | Hsm"]:
        """The keys of the plan's scopes, by name, as far as this machine has them: a host that needs none of them is given none."""
        from holdfast.connect.secrets import SecretUnavailable

        found = {}
        for name, scope in self.plan.document.vault.scopes.items():
            with contextlib.suppress(SecretUnavailable):
                found[name] = self._key(scope.key)
        return found

    def scope_key(self, name: str) -> "str | Hsm":
        """The key of one scope of the plan. Raises the faults of ``connect.secrets``."""
        return self._key(self.plan.document.vault.scopes[name].key)

    def _key(self, reference: "KeyRef") -> "str | Hsm":
        from holdfast.connect.secrets import resolve_key

        return resolve_key(reference, base=self.plan.path.parent, environ=self.environ)

    def storage(self, location: Location, *, create: bool = False, one_of_several: bool = False) -> "Storage":
        """One location of the plan, opened; ``one_of_several`` as in ``storage.open``."""
        from holdfast.storage.open import open_storage

        return open_storage(
            location.url, self._options(location), create=create, clock=self.clock, one_of_several=one_of_several, told=self._waiting
        )

    def _waiting(self, text: str) -> None:
        self.told(text)

    def probe_location(self, location: Location) -> bool:
        """Try what the vault asks of a location, with a small object that is removed again; whether these credentials may remove it.

        Raises StorageUnfit, Unreachable.
        """
        from holdfast.storage.probe import require_fit

        storage = self.storage(location)
        try:
            return require_fit(storage)
        finally:
            storage.close()

    def protection(self, location: Location) -> "list[Finding]":
        """Who could destroy what lies in a location, by its settings and by trying. Raises StorageDenied, StorageUnreachable."""
        from holdfast.storage.protection import look

        storage = self.storage(location)
        try:
            keep = promised(self.plan, location.name)
            found = look(location.url, self._options(location), storage, self.clock, keep=keep)
        finally:
            storage.close()
        return found

    def lock_price(self, location: Location, vault: "Vault | None") -> "LockPrice | None":
        """What the lock of a location costs and leaves open, by what its systems stored in the last 30 days; None without a lock."""
        if location.lock is None:
            return None
        from holdfast.plan.keeping import lock_price
        from holdfast.storage import Lock
        from holdfast.vault.lock import daily_bytes, slack

        lock = Lock(location.lock.mode, location.lock.days)
        here = [one for one in map(self.plan.effective, self.plan.systems) if location.name in {place.name for place in one.locations}]
        gaps = {one.name: one.backup.longest_gap for one in here if one.backup is not None}
        prices = self.plan.document.prices
        return lock_price(
            location.name,
            lock.term,
            promised(self.plan, location.name),
            slack=slack(lock),
            daily=daily_bytes(vault, gaps) if vault is not None else None,
            price=prices.storage.get(location.name) if prices else None,
        )

    def locations(self, system: str | None = None) -> tuple[Location, ...]:
        """Where a system's points are kept, in the order they are written; without a system all locations of the plan."""
        return self.plan.effective(system).locations if system else self.plan.document.vault.locations

    def url(self, location: Location) -> str:
        """A location's address as its storage writes it."""
        storage = self.storage(location)
        storage.close()
        return storage.url

    def create_vault(self) -> "Created":
        """A new vault in every location of the plan; a vault that is there already in all of them is kept, once the key has opened it.

        Where only some hold it, the others join: they get its keys and its configuration, and the history by the next copy. Every location
        is tried first (``probe_location``). Raises VaultMixed, WrongKey, StorageUnfit, Unreachable.
        """
        from holdfast.storage.protection import prepare

        places = self.locations()
        for place in places:
            prepare(place.url, self._options(place))
            self.storage(place, create=True).close()
            self.probe_location(place)
        storages = [self.storage(place) for place in places]
        from holdfast.vault import Vault

        holding = [place.name for place, storage in zip(places, storages, strict=True) if storage.head("config") is not None]
        if not holding:
            vault, recovery = Vault.create(storages, self.key(), clock=self.clock, cache=self.cache)
            with vault:
                self._make_scopes(vault)
                return Created(vault.id, recovery)
        from holdfast.vault.copy import copy

        # The key first: nothing joins a vault that is not ours.
        vault = self.vault()
        bare = tuple(place.name for place in places if place.name not in holding)
        ours = [storage for place, storage in zip(places, storages, strict=True) if place.name in holding]
        for place, storage in zip(places, storages, strict=True):
            if place.name in bare:
                copy(ours, storage, history=False)
        for storage in storages:
            storage.close()
        return Created(vault.id, None, bare)

    def _make_scopes(self, vault: "Vault") -> None:
        """The plan's scopes whose keys this machine has. The others are made by who has them: ``holdfast vault key add-scope``."""
        keys = self.scope_keys()
        for name, scope in self.plan.document.vault.scopes.items():
            if name in keys:
                vault.keys.scopes.add(name, keys[name], label=name, now=self.clock.now(), erase=scope.erase)

    def vault(self, system: str | None = None) -> "Vault":
        """The vault in the locations of one system's tier (or all). The same object for the same locations."""
        places = self.locations(system)
        names = tuple(place.name for place in places)
        if names not in self._vaults:
            from holdfast.vault import Vault
            from holdfast.vault.lock.asof import as_of

            several = len(places) > 1
            storages = as_of([self.storage(place, one_of_several=several) for place in places], self.environ.get("HOLDFAST_KEYRING"))
            self._vaults[names] = Vault.open(
                storages,
                self.key(),
                clock=self.clock,
                cache=self.cache,
                scopes=self.scope_keys(),
                systems={name: spec.scope for name, spec in self.plan.document.systems.items() if spec.scope},
            )
        return self._vaults[names]

    def logs(self, system: str) -> "LogStore":
        """A follower's increments are durable in as many locations as the tier demands."""
        return self.vault(system).logs(system, copies=self.plan.effective(system).min_copies)

    def history(self, system: str) -> "VaultHistory":
        return VaultHistory(self.vault(system), system)

    def copy_records(self) -> list[str]:
        """The journal, the plan, its runbooks and suites, copied into every location of the vaults that were opened; returns what could
        not be, in words.

        What this process proved is put into signed reports, and the journal's head is anchored (``Prover.after``), once the entries up to
        it lie in the vault. Without an opened vault, or with a key that only reads, nothing is done: the next command with one that writes
        does it.
        """
        from holdfast.errors import HoldfastError
        from holdfast.plan.portable import as_text
        from holdfast.vault.records.copies import RecordCopies

        copies = {
            storage.url: (f"{vault.id} {storage.url}", RecordCopies(storage, vault.notary, self.clock.now))
            for vault in reversed(self._vaults.values())
            for storage in (vault.locations.storages if vault.role != "reader" else ())
        }
        failed: dict[str, str] = {}
        told: list[str] = []
        runbooks = self.plan.runbooks()
        suites, whole = self._suites(told) if copies else ({}, True)
        for url, (mark, one) in copies.items():
            try:
                self.journal.export(mark, one)
                one.put_plan(as_text(self.plan.merged), self.plan.hash)
                one.put_runbooks(runbooks)
                one.put_suites(suites, whole=whole)
            except HoldfastError as error:
                failed[url] = error.message
        if copies and self._prove(told):
            for url, (mark, one) in copies.items():
                try:
                    self.journal.export(mark, one)
                except HoldfastError as error:
                    failed[url] = error.message
        return [*told, *(f"{_LEFT} {url}: {message} {_NEXT}" for url, message in failed.items())]

    def _suites(self, told: list[str]) -> tuple[dict[str, str], bool]:
        """(the plan's suites by their places beside it, whether they are all here)."""
        specs = self.plan.document.systems.values()
        if not any(getattr(spec, "expectations", None) or any(check.suite for check in spec.checks) for spec in specs):
            return {}, True
        from holdfast.validation.suites import gather, lost

        found = gather(self.plan)
        told += lost(found)
        return found.texts, not found.lacking

    def _prove(self, told: list[str]) -> bool:
        """Whether something was recorded by it."""
        if not self.anchoring and not any(proves(one.kind) for one in self.journal.written):
            return False
        from holdfast.assembly.evidence.proving import Prover
        from holdfast.errors import HoldfastError

        try:
            return Prover(self, told.append).after()
        except HoldfastError as error:
            told.append(f"What was proved is not in a report yet: {error.message}")
            return True

    def opened(self) -> "list[Vault]":
        """The vaults that were opened so far: one for each set of locations."""
        return list(self._vaults.values())

    def close(self) -> None:
        for vault in self._vaults.values():
            vault.close()
        self._vaults.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def credentials(self, given: "Credentials | None") -> dict[str, str]:
        """By name, with what they refer to. Raises SecretUnavailable."""
        named = given.named() if given is not None else {}
        return {name: one if isinstance(one, str) else self._secret(one) for name, one in named.items()}

    def _options(self, location: Location) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if location.endpoint:
            options["endpoint"] = location.endpoint
        if location.region:
            options["region"] = location.region
        if location.path_style is not None:
            options["path_style"] = location.path_style
        if location.credentials:
            options["credentials"] = self.credentials(location.credentials)
        if location.lock:
            options["lock"] = {"mode": location.lock.mode, "days": location.lock.days}
        if location.versions:
            options["versions"] = True
        if location.tls:
            options["tls"] = {name: value for name, value in location.tls.model_dump().items() if value}
        return options
