"""Holdfast, by its command line: a plan of one system, a local vault, two workers, the data directory read in place."""

import shutil
from pathlib import Path

from bench.measure import Run, run, stored
from tests.servers import PostgresServer, service_account
from tests.servers.account import server_folder
from tests.servers.python import holdfast_for_account

SYSTEM = "bench"


class Holdfast:
    name = "holdfast"

    def __init__(self, server: PostgresServer, *, continuous: bool = False) -> None:
        self.server = server
        self.account = service_account()
        self.home = server_folder("hf")
        self.vault = self.home / "vault"
        self.words, environment = holdfast_for_account()
        self.environment = {**environment, "HOLDFAST_KEY": "benchmark-only", "BENCH_DSN": server.dsn}
        self.plan = self.home / "holdfast.yaml"
        self.plan.write_text(
            f"""platform: bench
timezone: UTC
vault:
  key: {{env: HOLDFAST_KEY}}
  locations:
    - {{name: local, url: "file://{self.vault}", failure_domain: here}}
tiers:
  measured: {{rpo: {"1s" if continuous else "24h"}, rto: 4h, backup: daily, continuous: {"true" if continuous else "false"},
             keep: {{last: 100}}, locations: [local]}}
limits: {{workers: 2}}
systems:
  {SYSTEM}:
    kind: postgres
    tier: measured
    dsn: {{env: BENCH_DSN}}
    data_directory: {server.data}
"""
        )
        self.account.own(self.home)

    def command(self, *words: str | Path | int) -> list[str]:
        return [*self.words, "--plan", str(self.plan), *map(str, words)]

    def run(self, *words: str | Path | int) -> Run:
        return run(self.command(*words), self.account, self.home, environment=self.environment)

    def fresh(self) -> None:
        """A new home for the state, and a new vault."""
        for left in (self.vault, self.home / ".local", self.home / ".holdfast", self.home / ".cache"):
            shutil.rmtree(left, ignore_errors=True)
        self.run("init", "--yes")

    def full(self) -> Run:
        return self.run("backup", SYSTEM)

    def incremental(self) -> Run:
        return self.run("backup", SYSTEM)

    def restore(self, into: Path) -> Run:
        return self.run("restore", SYSTEM, "--into", into, "--yes")

    def delta(self, into: Path) -> Run:
        return self.run("restore", SYSTEM, "--into", into, "--delta", "--yes")

    def stored(self) -> int:
        return stored(self.vault)

    def wal_bytes(self) -> int:
        return stored(self.vault / "logs") if (self.vault / "logs").exists() else 0
