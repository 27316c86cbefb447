"""A process that restores or captures and dies by SIGKILL at its N-th write or read: ``python -m tests.delta.killed FOLDER ACT N``."""

import os
import signal
import sys
from pathlib import Path

from holdfast.model import SystemClock
from holdfast.storage.local import LocalStorage
from holdfast.systems.delta.store import LocalStore, LocalWriting
from holdfast.vault import Vault
from tests.delta.kit import Lake


class Dying(LocalStore):
    left = 0

    @classmethod
    def step(cls) -> None:
        cls.left -= 1
        if cls.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def writing(self, key: str, size: int, mtime_ns: int) -> LocalWriting:
        self.step()
        return super().writing(key, size, mtime_ns)

    def put_new(self, key: str, data: bytes) -> bool:
        self.step()
        done = super().put_new(key, data)
        self.step()
        return done

    def move(self, source: str, target: str) -> None:
        self.step()
        super().move(source, target)
        self.step()

    def read_into(self, key: str, offset: int, buffer: memoryview) -> int:
        self.step()
        return super().read_into(key, offset, buffer)


class DyingLake(Lake):
    def __init__(self, folder: Path) -> None:
        """The lake of another process."""
        self.__dict__.update(Lake.__new__(Lake).__dict__)
        from holdfast.systems.delta.settings import DeltaSettings
        from tests.delta.kit import History, Said

        self.folder, self.root, self.said = folder, folder / "lake", Said()
        self.settings = DeltaSettings(str(self.root), open=lambda url: Dying(Path(url.removeprefix("file://"))))
        self.vault = Vault.open([LocalStorage(str(folder / "vault"))], "open sesame", clock=SystemClock(), cache=folder / "cache")
        self.history = History(self.vault)


def main(folder: Path, act: str, left: int) -> None:
    lake = DyingLake(folder)
    Dying.left = left
    if act == "capture":
        lake.backup()
    elif act == "copy":
        lake.restore(folder / "out")
    elif act == "in-place":
        lake.restore(lake.root, in_place=True)
    else:
        lake.restore(lake.root, "version:1", rewind=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
