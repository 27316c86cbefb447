"""A process of its own that works in a vault until it is killed: ``python worker.py ROLE NUMBER LEDGER CACHE FOLDER…``.

It writes a line to its ledger before each commit (what is about to be listed) and one after each piece of work that came to its end.
"""

import datetime as dt
import json
import os
import random
import sys
from pathlib import Path

from holdfast.model import Entry, SystemClock
from holdfast.storage.local import LocalStorage
from holdfast.vault import Vault, prune
from holdfast.vault.capture.session import session
from holdfast.vault.copy import copy
from holdfast.vault.errors import SessionAborted
from holdfast.vault.logs import SystemLogs
from holdfast.vault.logs.errors import LogFollowed
from holdfast.vault.points.retention import Keep, NothingProvedLeft

SECRET = "open sesame"
# Who was killed is given up after seconds, not after an hour: otherwise nothing would be deleted behind the first kill.
session.LEASE = dt.timedelta(seconds=4)
session._RENEW, session._LOOK = 1.0, 0.5


def content(seed: int) -> dict[str, bytes]:
    """Files of which many backups have some in common."""
    return {f"f{one}": random.Random(one).randbytes(4000) for one in random.Random(seed).sample(range(8), 3)}


class Worker:
    def __init__(self, number: int, ledger: Path, cache: Path, folders: list[str]) -> None:
        self.number = number
        self.folders = folders
        self.storages = [LocalStorage(folder) for folder in folders]
        self.vault = Vault.open(self.storages, SECRET, clock=SystemClock(), cache=cache)
        self.random = random.Random(os.urandom(8))
        self.out = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.turn = 0

    def tell(self, **told: object) -> None:
        os.write(self.out, json.dumps(told).encode() + b"\n")

    def writer(self) -> None:
        points = self.vault.points(f"host{self.number}")
        base = self.vault.reader(points[-1]) if points and self.random.random() < 0.8 else None
        seed = self.random.randrange(20)
        self.turn += 1
        branch = f"{os.getpid()}-{self.turn}"
        with self.vault.begin(system=f"host{self.number}", kind="files", base=base) as writer:
            for path, data in content(seed).items():
                writer.add(Entry(path, size=len(data)), data)
            logs = SystemLogs(self.vault.locations, self.vault.notary, self.vault.clock, f"host{self.number}")
            with logs.writer(branch) as log:
                log.append(100, branch.encode().ljust(50, b"."), {})
            self.tell(commits=writer.session, seed=seed, branch=branch)
            writer.commit(kind="files", start={"at": 100}, stop={"at": 150}, logs=branch)
        self.tell(did="backup")

    def prune(self) -> None:
        policies = {f"host{number}": Keep(last=2) for number in (1, 2)}
        plan = prune.make(self.vault, policies, zone=dt.UTC, grace=dt.timedelta(0), begins=lambda point: point.start["at"])
        done = prune.run(self.vault, plan, most=1)
        self.tell(did="prune", packs=done.packs, waiting=done.waiting, pardoned=done.pardoned, points=done.points)

    def copy(self) -> None:
        source, target = self.random.sample(self.storages, 2)
        self.tell(did="copy", points=copy(source, target).points)


def main() -> None:
    role, number, ledger, cache, *folders = sys.argv[1:]
    worker = Worker(int(number), Path(ledger), Path(cache), folders)
    while True:
        try:
            getattr(worker, role)()
        except (SessionAborted, NothingProvedLeft, LogFollowed) as error:
            worker.tell(did="refused", why=error.code)


if __name__ == "__main__":
    main()
