"""A vault in two folders, opened anew at will."""

import pytest

from holdfast.model import SystemClock
from holdfast.storage.local import LocalStorage
from holdfast.vault.keys.slots import PassphraseCost
from holdfast.vault.logs import SystemLogs
from holdfast.vault.vault import Vault


class Place:
    """``wrap`` puts something between the vault and each of its folders."""

    def __init__(self, tmp_path):
        self.folders = [str(tmp_path / "one"), str(tmp_path / "two")]
        self.cache = tmp_path / "cache"
        vault, self.recovery = Vault.create(
            [LocalStorage(folder, create=True) for folder in self.folders],
            "secret",
            clock=SystemClock(),
            cache=self.cache,
            cost=PassphraseCost(memory_kib=64, passes=1),
        )
        vault.close()

    def open(self, wrap=lambda storage: storage):
        return Vault.open([wrap(LocalStorage(folder)) for folder in self.folders], "secret", clock=SystemClock(), cache=self.cache)

    def logs(self, system="orders-db", wrap=lambda storage: storage, **options):
        vault = self.open(wrap)
        return SystemLogs(vault.locations, vault.notary, vault.clock, system, **options)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)
