"""A process that forks one child for each order on its stdin; the child does the work and kills itself (SIGKILL) at one storage call.

An order: JSON {"verb": "copy" | "heal", "cache", "left": calls before the fatal one, "late": behind it, "folders"}. The answer: the child's
exit status, negative for a signal. The parent has one thread, so forking is safe, and the imports are paid once.
"""

import json
import os
import signal
import sys
from pathlib import Path

from holdfast.model import SystemClock
from holdfast.storage.local import LocalStorage
from holdfast.storage.wrappers.faults import Fault, Faulty
from holdfast.vault import Vault
from holdfast.vault.check import Check
from holdfast.vault.copy import copy
from tests.vault_care.conftest import SECRET


def work(order: dict) -> None:
    left = [order["left"]]

    def die(call: str, _name: str) -> None:
        if call in ("put", "delete"):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def deadly(folder: str) -> Faulty:
        return Faulty(LocalStorage(folder, create=True), Fault("*", act=die, times=10**9, late=order["late"]))

    *sources, target = order["folders"]
    if order["verb"] == "copy":
        copy([LocalStorage(folder) for folder in sources], deadly(target))
    else:
        storages = [*map(LocalStorage, sources), deadly(target)]
        vault = Vault.open(storages, SECRET, clock=SystemClock(), cache=Path(order["cache"]))
        assert Check(vault, share=1, heal=True).run().ok


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                work(json.loads(line))
            except BaseException as error:  # noqa: BLE001 - told to the test by the status
                print(repr(error), file=sys.stderr)
                os._exit(1)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
