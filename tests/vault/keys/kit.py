"""A vault of two locations with keys that cost nothing to open, and what an attacker does to a location."""

from pathlib import Path

from holdfast.storage.memory import MemoryStorage
from holdfast.vault import Vault
from holdfast.vault.keys.keyring import Keyring
from holdfast.vault.keys.ring import RingMemory
from tests.vault.kit import CHEAP, CLOCK, SECRET


class House:
    """``near`` and ``far`` are the locations. Each ``open`` is a process of its own, with its own cache unless one is named."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.near, self.far = MemoryStorage(name="near"), MemoryStorage(name="far")
        self.vault, self.recovery = Vault.create(self.storages, SECRET, clock=CLOCK, cache=folder / "cache", cost=CHEAP)
        self.opened = 0

    @property
    def storages(self):
        return [self.near, self.far]

    def open(self, secret=SECRET, *storages, cache="cache", **options):
        return Vault.open(storages or self.storages, secret, clock=CLOCK, cache=self.folder / cache, **options)

    def keys(self, vault=None):
        """The keyring of an open vault, with passphrases that cost nothing."""
        vault = vault or self.open()
        return Keyring(vault.locations, vault.notary, CHEAP, opened_by=vault.opened_by, memory=RingMemory(vault.cache))

    def snapshot(self, number=0):
        return dict(self.storages[number].objects)

    def names(self, prefix, number=0):
        return sorted(name for name in self.storages[number].objects if name.startswith(prefix))


def label(vault, text):
    return next(slot for slot in vault.slots() if slot.label == text)
