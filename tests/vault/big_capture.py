"""Captures and restores 2 GiB in a process of its own and prints the most anonymous memory it had (MiB): big_capture.py FOLDER."""

import sys
import threading
import time
from pathlib import Path

from holdfast.model import Entry, SystemClock
from holdfast.storage.local import LocalStorage
from holdfast.vault import Vault
from tests.vault.kit import CHEAP

NOISE = __import__("random").Random(1).randbytes(1 << 20)
FILE = 512 << 20


class Numbered:
    """Every 64 KiB differ; a tenth of them does not compress."""

    def __init__(self, number: int) -> None:
        self.number = number

    def read_into(self, offset: int, buffer: memoryview) -> int:
        size = min(len(buffer), FILE - offset)
        for at in range(0, size, 65536):
            block = (self.number * FILE + offset + at) // 65536
            filler = NOISE[: min(65536, size - at)] if block % 10 == 0 else block.to_bytes(8, "big") * 8192
            buffer[at : at + len(filler)] = filler
            buffer[at : at + 8] = block.to_bytes(8, "big")
        return size

    def close(self) -> None:
        pass


class Nowhere:
    def write(self, offset: int, data: memoryview) -> None:
        pass

    def existing(self, offset: int, buffer: memoryview) -> int:
        return 0

    def close(self) -> None:
        pass


def anonymous() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) // 1024
    raise RuntimeError("no RssAnon")


def main() -> None:
    most = [0]
    going = [True]

    def watch() -> None:
        while going[0]:
            most[0] = max(most[0], anonymous())
            time.sleep(0.02)

    thread = threading.Thread(target=watch)
    thread.start()
    folder = Path(sys.argv[1])
    vault, _ = Vault.create(
        [LocalStorage(str(folder / "vault"), create=True)], "x", clock=SystemClock(), cache=folder / "cache", cost=CHEAP
    )
    base = None
    for _ in range(2):
        with vault.begin(system="s", kind="files", base=base) as writer:
            for number in range(4):
                writer.add(Entry(f"f{number}", size=FILE), Numbered(number))
            for number in range(5000):
                writer.add(Entry(f"small/{number}", size=8), number.to_bytes(8, "big"))
            base = vault.reader(writer.commit(kind="files", start={}, stop={}))
    assert base is not None
    base.extract((stored, Nowhere) for stored in base.entries())
    going[0] = False
    thread.join()
    print(most[0], base.point.totals.new)


if __name__ == "__main__":
    main()
