"""An open vault: the entry point to its recovery points, logs and keys."""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from holdfast.errors import Damaged, HoldfastError, Unreachable
from holdfast.model import Clock, Progress, RecoveryPoint, Silent
from holdfast.storage.contract import ObjectMissing, Storage
from holdfast.vault.errors import KeyringRolledBack, PointGone, PointUnknown, ScopeClosed, VaultMissing, VaultMixed
from holdfast.vault.format import config, crypto, names, selfdescription
from holdfast.vault.format.envelope import Envelope
from holdfast.vault.format.text import from_b64, to_b64
from holdfast.vault.keys import opening, ring
from holdfast.vault.keys.begun import first_epoch, put_ours, remove_foreign
from holdfast.vault.keys.bundle import SCOPE, Bundle
from holdfast.vault.keys.kms import Secret
from holdfast.vault.keys.notary import Notary
from holdfast.vault.keys.ring import Found, RingMemory
from holdfast.vault.keys.slots import PassphraseCost, Slot
from holdfast.vault.locations import Locations
from holdfast.vault.locations.placement import place
from holdfast.vault.points import stored
from holdfast.vault.points.stored import PointCache, choose

if TYPE_CHECKING:  # what captures and restores is imported where it is used: a status must not wait for numpy
    from holdfast.vault.capture.writer import Writer
    from holdfast.vault.keys.keyring import Keyring
    from holdfast.vault.logs.store import SystemLogs
    from holdfast.vault.restore.reader import Reader


class Vault:
    """Use ``create`` or ``open``. ``locations``, ``notary``, ``clock`` and ``cache`` are for the other modules of this room."""

    def __init__(self, locations: Locations, notary: Notary, clock: Clock, cache: Path) -> None:
        self.locations = locations
        self.notary = notary
        self.clock = clock
        self.cache = cache / notary.vault.hex()
        self.damaged: list[Damaged] = []
        self.opened_by: tuple[str, ...] = ()
        """Ids of the slots that were opened."""
        self.scopes: dict[str, str] = {}
        """System → scope's name, as the plan has it; systems that are not named have the vault's own key."""
        self.closed: dict[str, Exception] = {}
        """Scope's name → why its key did not open it."""
        self._points = PointCache(self.cache, notary)

    @classmethod
    def create(
        cls,
        storages: Sequence[Storage],
        secret: Secret,
        *,
        clock: Clock,
        cache: Path,
        label: str = "",
        random: crypto.Random = crypto.SYSTEM_RANDOM,
        cost: PassphraseCost | None = None,
    ) -> tuple["Vault", str]:
        """A new vault in every storage; returns it and the recovery key, which is stored nowhere and cannot be shown again.

        Raises VaultExists when a storage already holds one, VaultRemains when it holds what is left of one. The keys come
        first and ``config`` last: it alone makes the location a vault.
        """
        from holdfast.vault.keys.keyring import Keyring, certify

        locations = Locations(storages)
        bundle = Bundle.new(random, first_epoch([*storages]))
        notary = Notary(bundle, locations.read, random)
        now = clock.now()
        assert bundle.writer is not None
        certify(locations, notary, bundle.writer, label, now, "owner")
        number, epoch = bundle.epoch()
        name = names.epoch(SCOPE, number)
        put_ours(storages, name, notary.make(name, "epoch", now, {"scope": SCOPE, "epoch": number, "public": to_b64(epoch.public)}))
        memory = RingMemory(cache / bundle.vault.hex())
        first = Keyring(locations, notary, cost, memory=memory).add(secret, label=label, now=now)
        # That key came from where the plan says it is, as it will the next time; the recovery key was only shown.
        recovery = Keyring(locations, notary, cost, memory=memory, opened_by=[first.id]).new_key("recovery", now=now)
        for storage in storages:
            selfdescription.write(storage)
        put_ours(storages, names.CONFIG, config.make(notary, now))
        for storage in storages:
            remove_foreign(storage, bundle)
        vault = cls(locations, notary, clock, cache)
        vault.opened_by = (first.id,)
        notary.renew = vault.renew_keys
        return vault, recovery.text

    @classmethod
    def open(
        cls,
        storages: Sequence[Storage],
        secret: Secret,
        *,
        clock: Clock,
        cache: Path,
        random: crypto.Random = crypto.SYSTEM_RANDOM,
        scopes: Mapping[str, Secret] | None = None,
        systems: Mapping[str, str] | None = None,
    ) -> "Vault":
        """The vault that the storages hold. ``secret``: a passphrase, the recovery key, a file key or a KMS. ``cache``: a folder that may
        be lost. ``scopes``: keys of scopes by name; one that does not open is in ``closed``. ``systems``: system → its scope's name.

        Raises VaultMissing, VaultMixed, FormatNewer, WrongKey, ObjectDamaged, KeyringForked, Unreachable, and what a KMS raises. A keyring
        that was set back is no reason not to read: ``notary.distrust`` then keeps the vault from being written.
        """
        locations = Locations(storages)
        parsed = cls._config(locations)
        try:
            root = from_b64(str(parsed.clear.get("root_public")))
        except ValueError:
            root = b""
        vault_id = bytes.fromhex(str(parsed.clear["vault"]))
        memory = RingMemory(cache / vault_id.hex())
        opened = opening.unlock(locations, vault_id, root, secret, first=memory.opened_last())
        config.verify(parsed, opened.bundle)
        notary = Notary(opened.bundle, locations.read, random, opened.ring)
        vault = cls(locations, notary, clock, cache)
        memory.opened(opened.slot.id)
        vault.opened_by = (opened.slot.id,)
        vault.scopes = dict(systems or {})
        notary.distrust = memory.compare(opened.ring) or opened.problem or _unbelieved(opened.found)
        notary.renew = vault.renew_keys
        for name, key in (scopes or {}).items():
            vault._open_scope(name, key)
        return vault

    def _open_scope(self, name: str, key: Secret) -> None:
        try:
            _, bundle, slot = opening.open_scope(self.locations, self.notary.bundle, self.notary.ring, name, key)
        except HoldfastError as error:
            self.closed[name] = error
            return
        self.notary.take(bundle, self.notary.ring)
        self._points = PointCache(self.cache, self.notary)  # what was kept under fewer keys is another file
        self.opened_by = (*self.opened_by, slot.id)

    def renew_keys(self) -> None:
        """Look whether keys were changed since: a new epoch is written to from now on, a revoked writer stops. Unreachable, Damaged."""
        found = ring.newest(self.locations.storages, self.notary.vault, self.notary.bundle.root_public)
        self.notary.distrust = RingMemory(self.cache).compare(found.ring) or _unbelieved(found)
        if self.notary.distrust is not None:
            raise self.notary.distrust
        bundle = self.notary.bundle
        for scope in bundle.epochs:
            bundle, problem = opening.with_epochs(self.locations, bundle, found.ring, scope)
            if problem is not None:
                raise problem
        self.notary.take(bundle, found.ring)

    def scope_of(self, system: str) -> str:
        """The scope (as objects name it) to which a system's new data belongs. Raises ScopeClosed, and why its key did not open it."""
        name = self.scopes.get(system)
        if name is None:
            return SCOPE
        if name in self.closed:
            raise self.closed[name]
        tag = names.tag(self.notary.bundle.identity[SCOPE], "scope", name)
        opening.require_scope(self.notary.ring, tag, name)
        if tag not in self.notary.bundle.identity:
            raise ScopeClosed(
                f"The key of the scope {name!r}, to which {system} belongs, was not given.",
                hint="Name it in the plan: vault.scopes.",
                scope=name,
            )
        return tag

    @staticmethod
    def _config(locations: Locations) -> Envelope:
        found: list[tuple[Storage, Envelope]] = []
        wrong: list[Exception] = []
        for storage in locations.storages:
            try:
                found.append((storage, config.parse(storage.get(names.CONFIG))))
            except ObjectMissing:
                continue
            except (Damaged, Unreachable) as error:
                wrong.append(error)
        if not found and wrong:
            raise wrong[0]
        if not found:
            urls = ", ".join(storage.url for storage in locations.storages)
            raise VaultMissing(f"There is no vault in {urls}.", hint="Check the address, or make one with 'holdfast init'.", urls=urls)
        for storage, other in found[1:]:
            if other.clear["vault"] != found[0][1].clear["vault"]:
                raise VaultMixed(
                    f"{storage.url} and {found[0][0].url} hold different vaults.",
                    hint="Name only locations of one vault together; copy a vault with 'holdfast vault copy'.",
                )
        return found[0][1]

    @property
    def id(self) -> str:
        """32 hex digits."""
        return self.notary.vault.hex()

    @property
    def role(self) -> str:
        """What the key that opened the vault may do: owner, reader or writer."""
        return self.notary.bundle.role

    @property
    def keys(self) -> "Keyring":
        from holdfast.vault.keys.keyring import Keyring

        return Keyring(self.locations, self.notary, opened_by=self.opened_by, memory=RingMemory(self.cache))

    def slots(self) -> list[Slot]:
        return self.keys.list()

    def begin(
        self,
        *,
        system: str,
        kind: str,
        base: "Reader | None" = None,
        label: str | None = None,
        note: str | None = None,
        keep_until: dt.datetime | None = None,
        chunk_size: int = 65536,
        level: int = 1,
        workers: int = 0,
        rate: float | None = None,
        progress: Progress | None = None,
        host: str = "",
        copies: int = 1,
        shard: bool = False,
    ) -> "Writer":
        """Open a session that can become one recovery point of ``system``; as a ``shard`` a part of one, which another session commits.

        ``base``: the point whose content is reused; another writer's is not trusted for that and is left out (``writer.base`` is None).
        ``chunk_size``: a power of two from 4 KiB to 8 MiB. ``level``: zstd's. ``workers``: threads, 0 for as many as cores.
        ``rate``: bytes read a second. ``copies``: locations that the plan demands; fewer are told of at once. A location that is away or
        fails on the way is left out (``placement``). Raises RoleLacking for a reader's key, ClockSkew, TooFewLocations, VaultMixed.
        """
        from holdfast.vault.capture.settings import Settings
        from holdfast.vault.capture.writer import Writer
        from holdfast.vault.format.content import MAX_CHUNK, MIN_CHUNK

        if chunk_size & (chunk_size - 1) or not MIN_CHUNK <= chunk_size <= MAX_CHUNK:
            raise ValueError(f"a chunk size is a power of two from {MIN_CHUNK} to {MAX_CHUNK}, not {chunk_size}")
        watch = progress or Silent()
        if base is not None and base.point.writer != self.notary.writer:
            watch.note(f"The base {base.point.id} was written by another writer: everything is read and stored by this one.")
            base = None
        scope = self.scope_of(system)
        if base is not None and base.scope != scope:
            watch.note(f"The base {base.point.id} belongs to another scope: everything is read and stored under the key of this one.")
            base = None
        settings = Settings(system, kind, label, note, keep_until, chunk_size, level, workers, rate, host, scope, shard)
        storages = self.locations.storages
        ids = [point.id for point in self.points(system)] if len(storages) > 1 else []
        locations = place(storages, self.notary.vault, ids, copies=copies, told=watch.note)
        return Writer(settings, base, locations=locations, notary=self.notary, clock=self.clock, cache=self.cache, progress=watch)

    def points(self, system: str | None = None) -> list[RecoveryPoint]:
        """All recovery points that this key can read, newest last; of one system when named. ``damaged`` then says what is unreadable."""
        found, self.damaged = self._points.update(self.locations, self.notary)
        return [point for point in found if system is None or point.system == system]

    def point(self, wanted: str) -> "Reader":
        """By id, by an unambiguous prefix of it (4 digits or more), or by label (the newest of that label).

        Raises PointUnknown with the nearest ones, PointAmbiguous, ObjectDamaged.
        """
        try:
            return self.reader(choose(self.points(), wanted))
        except PointUnknown:
            for error in self.damaged:
                if str(error.details.get("object", "")).startswith(f"{names.POINTS}{wanted.strip().lower()}"):
                    raise error from None  # it is known, and damaged in every location
            raise

    def reader(self, point: RecoveryPoint) -> "Reader":
        from holdfast.vault.restore.reader import Reader

        try:
            envelope, found, tree = stored.read(self.locations, self.notary, f"{names.POINTS}{point.id}")
        except ObjectMissing as error:
            raise PointGone(point.id) from error
        if found is None:
            raise PointGone(point.id)
        return Reader(found, tree, envelope, locations=self.locations, notary=self.notary, cache=self.cache)

    def logs(self, system: str, copies: int | None = None) -> "SystemLogs":
        """The logs of one system, branch by branch. ``copies``: in how many locations a follower's increment is durable (None: all)."""
        from holdfast.vault.logs.store import SystemLogs

        return SystemLogs(self.locations, self.notary, self.clock, system, scope=self.scope_of, copies=copies, memory=self.cache)

    def tags(self, system: str) -> set[str]:
        """What stands for the system's name in the names of objects, under every scope that is open."""
        return {self.notary.tag("system", system, scope) for scope in self.notary.bundle.identity}

    def now(self) -> dt.datetime:
        return self.clock.now()

    def close(self) -> None:
        """Close the storages."""
        self.locations.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _unbelieved(found: Found) -> KeyringRolledBack | None:
    """A location holds keyrings, and none of them is the root's: whatever was in force is not known."""
    if found.ring is not None or not found.wrong:
        return None
    name, why = next(iter(found.wrong.items()))
    return KeyringRolledBack(
        f"No keyring in the vault's locations can be believed ({name}: {why}). Slots that were removed could be in force again.",
        hint="Heal it from another location: 'holdfast vault check --heal'. Restoring works.",
    )
