"""An open vault: the entry point to its recovery points, logs and keys."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from holdfast.errors import Damaged, Unreachable
from holdfast.model import Clock, Progress, RecoveryPoint, Silent
from holdfast.storage.contract import ObjectMissing, Storage
from holdfast.vault import config, crypto, names, points, selfdescription
from holdfast.vault.envelope import Envelope
from holdfast.vault.errors import PointUnknown, VaultExists, VaultMissing, VaultMixed
from holdfast.vault.keys.bundle import SCOPE, Bundle
from holdfast.vault.keys.keyring import Keyring, certify, unlock
from holdfast.vault.keys.slots import PassphraseCost, Slot
from holdfast.vault.locations import Locations
from holdfast.vault.notary import Notary
from holdfast.vault.placement import place
from holdfast.vault.points import PointCache, choose
from holdfast.vault.text import to_b64

if TYPE_CHECKING:  # what captures and restores is imported where it is used: a status must not wait for numpy
    from holdfast.vault.capture.writer import Writer
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
        self._points = PointCache(self.cache, notary)

    @classmethod
    def create(
        cls,
        storages: Sequence[Storage],
        secret: str,
        *,
        clock: Clock,
        cache: Path,
        label: str = "",
        random: crypto.Random = crypto.SYSTEM_RANDOM,
        cost: PassphraseCost | None = None,
    ) -> tuple["Vault", str]:
        """A new vault in every storage; returns it and the recovery key, which is stored nowhere and cannot be shown again.

        Raises VaultExists when a storage already holds one. The keys come first and ``config`` last: it alone makes the location a vault.
        """
        locations = Locations(storages)
        for storage in storages:
            if storage.head(names.CONFIG) is not None:
                raise VaultExists(f"{storage.url} already holds a vault.", hint="Open it, or name an empty location.", url=storage.url)
        bundle = Bundle.new(random)
        notary = Notary(bundle, locations.read, random)
        now = clock.now()
        assert bundle.writer is not None
        certify(locations, notary, bundle.writer, label, now)
        number, epoch = bundle.epoch()
        name = names.epoch(SCOPE, number)
        locations.put(name, [notary.make(name, "epoch", now, {"scope": SCOPE, "epoch": number, "public": to_b64(epoch.public)})])
        keyring = Keyring(locations, notary, cost)
        keyring.add(secret, label=label, now=now)
        recovery = keyring.new_key("recovery", now=now)
        for storage in storages:
            selfdescription.write(storage)
        locations.put(names.CONFIG, [config.make(notary, now)])
        return cls(locations, notary, clock, cache), recovery.text

    @classmethod
    def open(
        cls, storages: Sequence[Storage], secret: str, *, clock: Clock, cache: Path, random: crypto.Random = crypto.SYSTEM_RANDOM
    ) -> "Vault":
        """The vault that the storages hold. ``secret``: a passphrase, the recovery key or a file key; ``cache``: a folder that may be lost.

        Raises VaultMissing, VaultMixed, FormatNewer, WrongKey, ObjectDamaged, Unreachable.
        """
        locations = Locations(storages)
        parsed = cls._config(locations)
        bundle, _ = unlock(locations, bytes.fromhex(str(parsed.clear["vault"])), secret)
        config.verify(parsed, bundle)
        return cls(locations, Notary(bundle, locations.read, random), clock, cache)

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
    def keys(self) -> Keyring:
        return Keyring(self.locations, self.notary)

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
    ) -> "Writer":
        """Open a session that can become one recovery point of ``system``.

        ``base``: the point whose content is reused; another writer's is not trusted for that and is left out (``writer.base`` is None).
        ``chunk_size``: a power of two from 4 KiB to 8 MiB. ``level``: zstd's. ``workers``: threads, 0 for as many as cores.
        ``rate``: bytes read a second. ``copies``: locations that the plan demands; fewer are told of at once. A location that is away or
        fails on the way is left out (``placement``). Raises RoleLacking for a reader's key, ClockSkew, TooFewLocations, VaultMixed.
        """
        from holdfast.vault.capture.settings import Settings
        from holdfast.vault.capture.writer import Writer
        from holdfast.vault.content import MAX_CHUNK, MIN_CHUNK

        if chunk_size & (chunk_size - 1) or not MIN_CHUNK <= chunk_size <= MAX_CHUNK:
            raise ValueError(f"a chunk size is a power of two from {MIN_CHUNK} to {MAX_CHUNK}, not {chunk_size}")
        watch = progress or Silent()
        if base is not None and base.point.writer != self.notary.writer:
            watch.note(f"The base {base.point.id} was written by another writer: everything is read and stored by this one.")
            base = None
        settings = Settings(system, kind, label, note, keep_until, chunk_size, level, workers, rate, host)
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
        return self.reader(choose(self.points(), wanted))

    def reader(self, point: RecoveryPoint) -> "Reader":
        from holdfast.vault.restore.reader import Reader

        envelope, found, tree = points.read(self.locations, self.notary, f"{names.POINTS}{point.id}")
        if found is None:
            raise PointUnknown(f"{point.id} was aborted.", hint="It never became a recovery point.")
        return Reader(found, tree, envelope, locations=self.locations, notary=self.notary, cache=self.cache)

    def logs(self, system: str) -> "SystemLogs":
        """The logs of one system, branch by branch."""
        from holdfast.vault.logs.store import SystemLogs

        return SystemLogs(self.locations, self.notary, self.clock, system)

    def now(self) -> dt.datetime:
        return self.clock.now()

    def close(self) -> None:
        """Close the storages."""
        self.locations.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
