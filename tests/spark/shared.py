"""A plan whose lake or bucket is copied by an executor: its folders, its keys, and the programs that a person runs."""

import contextlib
import dataclasses
import hashlib
import random
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from holdfast.assembly import Platform
from holdfast.assembly.executor.local import local_pool
from holdfast.assembly.executor.order import Order, plan_for
from holdfast.model import Entry, RecoveryPoint, Silent, SystemClock
from holdfast.plan import load
from holdfast.storage.local import LocalStorage
from holdfast.systems.contract import Sharing
from holdfast.vault import Vault
from holdfast.vault.keys.keyring import Keyring
from tests.cli.running import PROGRAM, environment
from tests.servers.spark import SparkCluster, java_home, spark_folder
from tests.spark.kit import CHEAP

PLAN = """
platform: acme
vault:
  key: {{file: owner.key}}
  locations:
    - {{name: onsite, url: "file://{folder}/vault", failure_domain: here}}
systems:
  lake:
    kind: {kind}
    url: "file://{lake}"
    backup: daily
    rpo: 1d
    keep: {{last: 30}}
    executor: {{spark: "{master}", {executor}, options: {{{options}}}}}
"""
KEYS = "least: 0B, key: {file: writer.key}"
_JAVA = "'-XX:+UseSerialGC -XX:TieredStopAtLevel=1'"
SMALL = (
    "spark.executor.memory: 512m, spark.executor.cores: '1', spark.driver.memory: 512m,"
    f" spark.driver.extraJavaOptions: {_JAVA}, spark.executor.extraJavaOptions: {_JAVA}"
)


class Desk:
    """``lake`` holds what is protected. Words are said to ``holdfast`` in a process of its own, which is Spark's driver then."""

    def __init__(self, folder: Path, kind: str = "delta", lake: Path | None = None) -> None:
        self.folder, self.kind = folder, kind
        self.lake = lake or folder / "lake"
        for place in (folder, self.lake):
            place.mkdir(exist_ok=True, parents=True)
        self.env = {"HOLDFAST_SANDBOX": str(folder / "boxes")}
        self.plan("spark://127.0.0.1:1")
        self._keys()

    def plan(self, master: str, executor: str = KEYS, options: str = SMALL) -> None:
        text = PLAN.format(folder=self.folder, lake=self.lake, kind=self.kind, master=master, executor=executor, options=options)
        (self.folder / "holdfast.yaml").write_text(text)

    def on(self, cluster: SparkCluster, cores: int = 2, **more: str) -> None:
        """From now on this cluster is the executor."""
        options = f"{more.pop('options', SMALL)}, spark.cores.max: '{cores}'"
        self.plan(cluster.master, more.pop("executor", KEYS), options)
        self.env |= {"PYTHONPATH": str(spark_folder() / "python"), "JAVA_HOME": str(java_home()), "SPARK_LOCAL_IP": "127.0.0.1", **more}

    def _keys(self) -> None:
        for role in ("owner", "writer", "reader"):
            (self.folder / f"{role}.key").write_text(f"the {role}'s own secret words\n")
        storage = LocalStorage(str(self.folder / "vault"), create=True)
        made = Vault.create([storage], self.key("owner"), clock=SystemClock(), cache=self.folder / "made", cost=CHEAP)[0]
        for role in ("writer", "reader"):
            keyring = Keyring(made.locations, made.notary, CHEAP)
            keyring.add(self.key(role), role=role, label="cluster", now=made.clock.now())  # type: ignore[arg-type]
        made.close()

    def key(self, role: str) -> str:
        return (self.folder / f"{role}.key").read_text().strip()

    def start(self, *words: str) -> subprocess.Popen[str]:
        known = environment(self.folder, **self.env)
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [*PROGRAM, *words], cwd=self.folder, env=known, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
        )

    def say(self, *words: str, timeout: float = 480) -> subprocess.CompletedProcess[str]:
        process = self.start(*words)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            raise
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def platform(self) -> Platform:
        known = environment(self.folder, **self.env)
        return Platform(load(self.folder / "holdfast.yaml"), environ=known)

    @contextlib.contextmanager
    def pooled(self, *, least: int = 0, key: str = "writer", spoil: Callable[[str], str] | None = None) -> Iterator[Platform]:
        """A platform whose executor is the pool in this process. ``spoil``: what becomes of an order's text on its way."""

        @contextlib.contextmanager
        def pool(progress: Any) -> Iterator[Any]:
            store = Order(plan_for(platform.plan, "lake", {"file": f"{key}.key"}), str(self.folder), "lake", "writer")
            scan = Order(plan_for(platform.plan, "lake", {"file": "reader.key"}), str(self.folder), "lake", "reader")
            with local_pool(store, scan) as made:
                if spoil is not None:
                    run = made._run
                    made._run = lambda text: run(spoil(text))
                yield made

        with self.platform() as platform:
            system, recovery = platform.system("lake"), platform.recovery("lake")
            sharing = Sharing(pool, list, least, verify=self.kind == "delta")
            system.settings = dataclasses.replace(system.settings, sharing=sharing)
            recovery.settings = dataclasses.replace(recovery.settings, sharing=sharing)
            platform.system, platform.recovery = lambda _: system, lambda _: recovery  # type: ignore[method-assign,assignment]
            yield platform

    def locally(self, *, least: int = 0, key: str = "writer", spoil: Callable[[str], str] | None = None) -> RecoveryPoint:
        """A backup by ``pooled``."""
        with self.pooled(least=least, key=key, spoil=spoil) as platform:
            system, vault = platform.system("lake"), platform.vault("lake")
            points = vault.points("lake")
            base = vault.reader(points[-1]) if points else None
            with vault.begin(system="lake", kind=self.kind, base=base, chunk_size=system.capabilities.chunk_size) as writer:
                return system.capture(writer, Silent())

    def alone(self) -> RecoveryPoint:
        """A full point without an executor."""
        with self.platform() as platform:
            system = platform.system("lake")
            system.settings = dataclasses.replace(system.settings, sharing=None)
            vault = platform.vault("lake")
            with vault.begin(system="lake", kind=self.kind, chunk_size=system.capabilities.chunk_size) as writer:
                return system.capture(writer, Silent())

    def tree(self, point: RecoveryPoint | None = None) -> list[tuple[Entry, str]]:
        """Every entry of a point in its order, with a hash of its content."""
        with self.platform() as platform:
            vault = platform.vault("lake")
            chosen = point or vault.points("lake")[-1]
            reader = vault.reader(chosen)
            return [(one.entry, hashlib.sha256(reader.read(one)).hexdigest()) for one in reader.lines()]

    def points(self) -> list[RecoveryPoint]:
        with self.platform() as platform:
            return list(platform.vault("lake").points("lake"))


def table(place: Path, files: int, size: int = 100_000, seed: int = 1) -> None:
    """A table of so many files, each of ``size`` bytes that cannot be compressed."""
    import pyarrow as pa
    from deltalake import write_deltalake

    luck = random.Random(seed)
    for number in range(files):
        write_deltalake(str(place), pa.table({"id": [number], "data": [luck.randbytes(size)]}), mode="append")
