"""A backup in a process of its own that kills itself at a storage call: killed_writer.py FOLDER CACHE CALL before|after [BASE]."""

import os
import random
import signal
import sys
import threading
from pathlib import Path

from holdfast.model import SystemClock
from holdfast.storage.local import LocalStorage
from holdfast.vault import Vault
from tests.vault.kit import SECRET, add_all, finish


def files(seed: int) -> dict[str, bytes]:
    made = random.Random(seed)
    return {f"f{i}": made.randbytes(made.choice([10, 5000, 3 << 20, 9 << 20])) for i in range(14)} | {"zeros": bytes(1 << 20)}


class Deadly(LocalStorage):
    calls = 0
    fatal = 0
    before = True
    lock = threading.Lock()

    def put_if_absent(self, name, parts) -> None:
        with Deadly.lock:
            Deadly.calls += 1
            mine = Deadly.calls == Deadly.fatal
        if mine and Deadly.before:
            os.kill(os.getpid(), signal.SIGKILL)
        super().put_if_absent(name, parts)
        if mine:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    folder, cache, call, when, *base = sys.argv[1:]
    vault = Vault.open([Deadly(folder)], SECRET, clock=SystemClock(), cache=Path(cache))
    Deadly.fatal, Deadly.before = int(call), when == "before"
    with vault.begin(system="s", kind="files", base=vault.point(base[0]) if base else None) as writer:
        add_all(writer, files(2 if base else 1))
        writer.flush()
        finish(writer)
    print("calls", Deadly.calls)


if __name__ == "__main__":
    main()
