"""What the vault's tests share: files in memory as sources and targets, and a vault in a folder."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from holdfast.model import Entry, RecoveryPoint, SystemClock
from holdfast.storage.contract import Storage
from holdfast.storage.memory import MemoryStorage
from holdfast.vault import Vault
from holdfast.vault.capture.writer import Writer
from holdfast.vault.keys.slots import PassphraseCost
from holdfast.vault.restore.reader import Reader

CHEAP = PassphraseCost(memory_kib=8, passes=1)
CLOCK = SystemClock()
SECRET = "open sesame"


class Bytes:
    """A file as a source; ``cap`` bounds each answer, as pread may."""

    def __init__(self, data: bytes, cap: int = 1 << 30) -> None:
        self.data = data
        self.cap = cap
        self.closed = 0
        self.reads: list[tuple[int, int]] = []

    def read_into(self, offset: int, buffer: memoryview) -> int:
        piece = self.data[offset : offset + min(len(buffer), self.cap)]
        buffer[: len(piece)] = piece
        self.reads.append((offset, len(piece)))
        return len(piece)

    def close(self) -> None:
        self.closed += 1


class Collected:
    """A target in memory: what is never written stays zero."""

    def __init__(self, size: int, before: bytes = b"") -> None:
        self.size = size
        self.data = bytearray(before)
        self.lock = threading.Lock()
        self.closed = 0
        self.written = 0

    def write(self, offset: int, data: memoryview) -> None:
        with self.lock:
            self.written += len(data)
            if len(self.data) < offset + len(data):
                self.data.extend(bytes(offset + len(data) - len(self.data)))
            self.data[offset : offset + len(data)] = data

    def existing(self, offset: int, buffer: memoryview) -> int:
        piece = self.data[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self.closed += 1
        del self.data[self.size :]
        self.data.extend(bytes(self.size - len(self.data)))


def create(folder: Path, *storages: Storage) -> Vault:
    return Vault.create(storages or [MemoryStorage()], SECRET, clock=CLOCK, cache=folder / "cache", cost=CHEAP)[0]


def reopen(vault: Vault, folder: Path, secret: str = SECRET, cache: str = "cache") -> Vault:
    return Vault.open(vault.locations.storages, secret, clock=CLOCK, cache=folder / cache)


def capture(
    vault: Vault, files: Mapping[str, bytes], base: Reader | None = None, *, system: str = "s", label: str | None = None, **options: int
) -> RecoveryPoint:
    with vault.begin(system=system, kind="files", base=base, label=label, **options) as writer:  # type: ignore[arg-type]
        add_all(writer, files)
        return finish(writer)


def add_all(writer: Writer, files: Mapping[str, bytes]) -> None:
    for path, data in files.items():
        writer.add(Entry(path, size=len(data)), Bytes(data))


def finish(writer: Writer) -> RecoveryPoint:
    return writer.commit(kind="files", start={}, stop={})


def restore(reader: Reader, *, delta: bool = False, before: Mapping[str, bytes] | None = None) -> dict[str, bytes]:
    targets: dict[str, Collected] = {}

    def wanted():
        for stored in reader.entries():
            if stored.entry.kind == "file":
                target = targets[stored.entry.path] = Collected(stored.entry.size, (before or {}).get(stored.entry.path, b""))
                yield stored, lambda target=target: target

    done = reader.extract(wanted(), delta=delta)
    assert all(target.closed == 1 for target in targets.values())
    assert done.files == len(targets)
    return {path: bytes(target.data) for path, target in targets.items()}


def packs_of(storage: MemoryStorage) -> Sequence[str]:
    return sorted(name for name in storage.objects if name.startswith("packs/"))
