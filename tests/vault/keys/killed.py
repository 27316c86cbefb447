"""Key changes in processes that kill themselves: killed.py VERB ORIGIN TARGET. Prints, as JSON, how each of them ended.

For each storage call that writes, before it and behind it, a child is forked that works on a copy of ORIGIN below TARGET and ends by
SIGKILL at that call. The parent opens no vault, so it has no threads that a fork could tear.
"""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

from holdfast.model import SystemClock
from holdfast.storage.local import LocalStorage
from holdfast.storage.wrappers.faults import Fault, Faulty
from holdfast.vault import Vault
from holdfast.vault.keys.keyring import Keyring
from holdfast.vault.keys.ring import RingMemory
from tests.vault.kit import CHEAP, CLOCK, SECRET

ADDED, GOING, PII, NEW = "the added key", "the key that goes", "the pii's key", "the new scope's key"


def keyring(vault):
    return Keyring(vault.locations, vault.notary, CHEAP, opened_by=vault.opened_by, memory=RingMemory(vault.cache))


def change(vault, verb):
    keys = keyring(vault)
    if verb == "add":
        keys.add(ADDED, label="added", now=CLOCK.now())
    elif verb == "remove":
        keys.remove("going")
    elif verb == "label":
        keys.label("going", "gone")
    elif verb == "prove":
        keys.prove(GOING)
    elif verb == "rotate":
        keys.rotate()
    elif verb == "rotate-scope":
        keys.rotate("pii")
    elif verb == "revoke":
        keys.writers.revoke("db1")
    elif verb == "add-scope":
        keys.scopes.add("new", NEW, now=CLOCK.now(), erase="at-once")
    elif verb == "erase-scope":
        keys.scopes.erase(keys.scopes.plan("pii"), {"host": "h", "user": "u"})


def child(folder, verb, left, late):
    def die(call, _name):
        nonlocal left
        if call in ("put", "delete"):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    storages = [Faulty(LocalStorage(str(folder / name)), Fault("*", act=die, times=10**9, late=late)) for name in ("a", "b")]
    vault = Vault.open(storages, SECRET, clock=SystemClock(), cache=folder / "cache")
    change(vault, verb)


def main():
    verb, origin, target = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    ended = {}
    for late in (False, True):
        for left in range(100):
            name = f"{'after' if late else 'before'}-{left}"
            for place in ("a", "b"):
                shutil.copytree(origin / place, target / name / place)
            pid = os.fork()
            if pid == 0:
                try:
                    child(target / name, verb, left, late)
                except BaseException as error:  # noqa: BLE001 - told to the test, which knows what may be
                    print(repr(error), file=sys.stderr, flush=True)
                    os._exit(1)
                os._exit(0)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            ended[name] = status
            if status != -signal.SIGKILL:
                break
    print(json.dumps(ended))


if __name__ == "__main__":
    main()
