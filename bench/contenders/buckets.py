"""Who copies buckets: Holdfast into a vault in a folder and back, rclone into plain files and back; and the bound."""

import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from bench.contenders.trees import MYSELF, PASSWORD, durable, find
from bench.measure import Run, run, stored
from tests.servers import MinioServer
from tests.servers.account import server_folder

SYSTEM = "raw"
ROOT = Path(__file__).resolve().parents[2]


class BucketKeeper(Protocol):
    """Each call is one timed run. ``bucket`` is protected; a restore goes into an empty bucket."""

    name: str
    home: Path

    def fresh(self) -> None: ...

    def capture(self) -> Run: ...

    def restore(self, bucket: str) -> Run: ...

    def stored(self) -> int: ...


class _Keeper:
    def __init__(self, server: MinioServer, bucket: str) -> None:
        self.server, self.bucket = server, bucket
        self.home = server_folder("objects")

    def fresh(self) -> None:
        for left in self.home.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()

    def environment(self) -> dict[str, str]:
        ours = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        keys = {"AWS_ACCESS_KEY_ID": self.server.access_key, "AWS_SECRET_ACCESS_KEY": self.server.secret_key}
        return {**ours, **keys, "HOME": str(self.home), "GOMAXPROCS": "2"}


class HoldfastBucket(_Keeper):
    name = "holdfast"
    kind = "bucket"

    def fresh(self) -> None:
        super().fresh()
        (self.home / "holdfast.yaml").write_text(
            f"""platform: bench
timezone: UTC
vault:
  key: {{env: HOLDFAST_KEY}}
  locations:
    - {{name: local, url: "file://{self.home}/vault", failure_domain: here}}
tiers:
  measured: {{rpo: 24h, rto: 4h, backup: daily, keep: {{last: 1}}, locations: [local]}}
limits: {{workers: 2}}
systems:
  {SYSTEM}: {{kind: {self.kind}, tier: measured, url: "s3://{self.bucket}", endpoint: "{self.server.endpoint}"}}
"""
        )
        self.run("init", "--yes")

    def run(self, *words: str) -> Run:
        command = [sys.executable, "-m", "holdfast.interfaces.cli.main", "--plan", self.home / "holdfast.yaml", *words]
        return run(command, MYSELF, self.home, environment={**self.environment(), "HOLDFAST_KEY": PASSWORD})

    def capture(self) -> Run:
        return self.run("backup", SYSTEM)

    def restore(self, bucket: str) -> Run:
        return self.run("restore", SYSTEM, "--into", f"s3://{bucket}", "--yes")

    def stored(self) -> int:
        return stored(self.home / "vault") if (self.home / "vault").exists() else 0


class Rclone(_Keeper):
    """Plain files, 16 transfers: nothing is hashed, encrypted or kept from before."""

    name = "rclone"

    def __init__(self, server: MinioServer, bucket: str) -> None:
        self.program = find("rclone")
        super().__init__(server, bucket)

    def run(self, *words: str) -> Run:
        own = {"PROVIDER": "Minio", "ENDPOINT": self.server.endpoint, "ENV_AUTH": "true", "REGION": self.server.region}
        environment = {**self.environment(), **{f"RCLONE_S3_{name}": value for name, value in own.items()}}
        flags = ("--transfers", "16", "--checkers", "16", "--config", str(self.home / "none"), "-q")
        return run([self.program, *words, *flags], MYSELF, self.home, environment=environment)

    def capture(self) -> Run:
        return durable(self.run("sync", f":s3:{self.bucket}", str(self.home / "copy")))

    def restore(self, bucket: str) -> Run:
        return self.run("copy", str(self.home / "copy"), f":s3:{bucket}")

    def stored(self) -> int:
        return stored(self.home / "copy") if (self.home / "copy").exists() else 0


class BucketBound(_Keeper):
    """Its own clock counts: start-up apart."""

    name = "bound"

    def run(self, verb: str, bucket: str) -> Run:
        command = [sys.executable, ROOT / "bench" / "bucket_bound.py", verb, self.server.endpoint, bucket, self.home / "out"]
        done = run(command, MYSELF, self.home, environment=self.environment())
        said = json.loads(done.output.strip().splitlines()[-1])
        return replace(done, seconds=said["seconds"], cpu=said["cpu_seconds"])

    def capture(self) -> Run:
        return self.run("capture", self.bucket)

    def restore(self, bucket: str) -> Run:
        return self.run("restore", bucket)

    def stored(self) -> int:
        return stored(self.home)
