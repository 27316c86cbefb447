"""Holdfast over a tree of files, by its command line: a plan of one system, a local vault, two workers."""

import os
import shutil
import sys
from pathlib import Path

from bench.contenders.trees import MYSELF, PASSWORD, durable
from bench.measure import Run, run, stored
from tests.servers.account import server_folder

SYSTEM = "tree"


class HoldfastFiles:
    name = "holdfast"

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self.home = server_folder("hft")
        self.vault = self.home / "vault"
        self.plan = self.home / "holdfast.yaml"

    def fresh(self) -> None:
        """A new home: vault, state and caches."""
        for left in self.home.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        self.plan.write_text(
            f"""platform: bench
timezone: UTC
vault:
  key: {{env: HOLDFAST_KEY}}
  locations:
    - {{name: local, url: "file://{self.vault}", failure_domain: here}}
tiers:
  measured: {{rpo: 24h, rto: 4h, backup: daily, keep: {{last: 1}}, locations: [local]}}
limits: {{workers: 2}}
systems:
  {SYSTEM}:
    kind: files
    tier: measured
    paths: ["{self.tree}"]
"""
        )
        self.run("init", "--yes")

    def run(self, *words: str | Path) -> Run:
        ours = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        environment = {**ours, "HOLDFAST_KEY": PASSWORD, "HOME": str(self.home)}
        command = [sys.executable, "-m", "holdfast.interfaces.cli.main", "--plan", self.plan, *words]
        return run(command, MYSELF, self.home, environment=environment)

    def backup(self) -> Run:
        return self.run("backup", SYSTEM)

    def restore(self, into: Path) -> Run:
        return durable(self.run("restore", SYSTEM, "--into", into, "--yes"))

    def check(self) -> Run:
        return self.run("vault", "check", "--read", "all")

    def prune(self) -> Run:
        return self.run("vault", "prune", "--most", "1", "--yes")

    def stored(self) -> int:
        return stored(self.vault)
