"""Two hosts back up, a third one prunes, a fourth one copies: processes of their own, killed at random. What is listed comes back."""

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.model import SystemClock
from holdfast.storage.local import LocalStorage
from holdfast.vault import Vault
from holdfast.vault.keys.slots import PassphraseCost
from holdfast.vault.logs import SystemLogs
from holdfast.vault.packs import condemned
from tests.vault.prune import worker

ROLES = (("writer", 1), ("writer", 2), ("prune", 3), ("copy", 4))
SCRIPT = Path(worker.__file__)
DID = {"backup", "prune", "copy"}
PATIENCE = 240.0


class Hosts:
    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.folders = [str(folder / name) for name in ("near", "far")]
        storages = [LocalStorage(one, create=True) for one in self.folders]
        cost = PassphraseCost(memory_kib=8, passes=1)
        Vault.create(storages, worker.SECRET, clock=SystemClock(), cache=folder / "cache0", cost=cost)
        self.running: dict[tuple[str, int], subprocess.Popen[bytes]] = {}
        self.kills = 0

    def start(self, role: tuple[str, int]) -> None:
        name, number = role
        # A writer that died may leave its session: the prune must go on beside it.
        told = [name, str(number), str(self.folder / f"ledger{number}"), str(self.folder / f"cache{number}"), *self.folders]
        with (self.folder / f"errors{number}").open("ab") as errors:
            self.running[role] = subprocess.Popen([sys.executable, SCRIPT, *told], stderr=errors)

    def kill(self, role: tuple[str, int]) -> None:
        process = self.running.pop(role)
        assert process.poll() is None, (self.folder / f"errors{role[1]}").read_text()
        process.kill()
        process.wait()
        self.kills += 1

    def ledger(self) -> list[dict]:
        lines = []
        for path in self.folder.glob("ledger*"):
            lines += [json.loads(line) for line in path.read_bytes().splitlines()]
        return lines

    def wait(self, end: float, until: Callable[[list[dict]], bool]) -> None:
        while not until(self.ledger()):
            assert time.monotonic() < end, Counter(str(told.get("did")) for told in self.ledger())
            for role, process in self.running.items():
                assert process.poll() is None, (self.folder / f"errors{role[1]}").read_text()
            time.sleep(0.02)

    def judge(self) -> int:
        """Each location alone lists only what it can restore, with its log; returns how many points that were."""
        committed = {told["commits"]: told for told in self.ledger() if "commits" in told}
        count = 0
        for number, folder in enumerate(self.folders):
            vault = Vault.open([LocalStorage(folder)], worker.SECRET, clock=SystemClock(), cache=self.folder / f"judge{number}")
            for point in vault.points():
                told = committed[point.id]
                reader = vault.reader(point)
                assert {one.entry.path: reader.read(one) for one in reader.entries()} == worker.content(told["seed"])
                log = SystemLogs(vault.locations, vault.notary, vault.clock, point.system).reader(point.logs)
                assert b"".join(bytes(data) for _, data in log.stream(100, 150)) == told["branch"].encode().ljust(50, b".")
                count += 1
            assert vault.damaged == []
            for one in condemned.read(vault.locations.first, vault.notary).lists:
                assert one.packs is not None
        return count


def play(folder: Path, seed: int, kills: int) -> tuple[Hosts, Counter[str]]:
    hosts = Hosts(folder, seed)
    end = time.monotonic() + PATIENCE + kills
    try:
        for role in ROLES:
            hosts.start(role)
        while hosts.kills < kills:
            # Not by time: somebody is killed after so many pieces of work, whoever did them.
            wanted = len(hosts.ledger()) + hosts.random.randint(2, 12)
            hosts.wait(end, lambda ledger, wanted=wanted: len(ledger) >= wanted)
            role = hosts.random.choice(ROLES)
            hosts.kill(role)
            hosts.start(role)
        # They go on until each did something to its end, and packs were deleted beside the others.
        hosts.wait(end, lambda ledger: {told.get("did") for told in ledger} >= DID and any(told.get("packs") for told in ledger))
    finally:
        for role in list(hosts.running):
            process = hosts.running.pop(role)
            process.kill()
            process.wait()
    return hosts, Counter(str(told["did"]) for told in hosts.ledger() if "did" in told)


def test_two_hosts_write_while_a_third_prunes_and_a_fourth_copies(tmp_path):
    hosts, done = play(tmp_path, 1, 8)
    assert hosts.judge() > 0, done


@pytest.mark.soak
def test_two_hosts_write_while_a_third_prunes_and_a_fourth_copies_for_long(tmp_path):
    hosts, done = play(tmp_path, 2, 300)
    restored = hosts.judge()
    pardoned = sum(told.get("pardoned", 0) for told in hosts.ledger())
    print(f"prune beside processes: {hosts.kills} kills, {dict(done)}, {pardoned} packs pardoned, {restored} points restored")
    assert restored > 0
