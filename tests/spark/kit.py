"""A lake in a folder, its vault beside it: captured and restored as the commands do it; and a writer of all that Spark does to a table."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from holdfast.model import RecoveryPoint, Silent, SystemClock
from holdfast.storage.local import LocalStorage
from holdfast.systems.contract import Restored, RestoreRequest
from holdfast.systems.delta.errors import RaceLost
from holdfast.systems.delta.recovery import DeltaRecovery
from holdfast.systems.delta.settings import DeltaSettings
from holdfast.systems.delta.system import DeltaSystem
from holdfast.vault import Vault
from holdfast.vault.keys.slots import PassphraseCost
from tests.servers.spark import SparkSession

NAME = "lake"
CHEAP = PassphraseCost(memory_kib=8, passes=1)


class History:
    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def points(self) -> Sequence[RecoveryPoint]:
        return self._vault.points(NAME)

    def open(self, point: str):
        return self._vault.point(point)

    def logs(self):
        raise AssertionError("tables have no logs of their own here")


class Lake:
    """``root`` holds the tables."""

    def __init__(self, folder: Path, *, tables: tuple[str, ...] = (), streams: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.root = folder / "lake"
        self.root.mkdir()
        self.settings = DeltaSettings(str(self.root), tables, streams)
        storage = LocalStorage(str(folder / "vault"), create=True)
        self.vault = Vault.create([storage], "open sesame", clock=SystemClock(), cache=folder / "cache", cost=CHEAP)[0]
        self.history = History(self.vault)

    def recovery(self) -> DeltaRecovery:
        return DeltaRecovery(NAME, self.settings, sandbox=self.folder / "boxes", history=lambda: self.history)

    def backup(self) -> RecoveryPoint:
        points = self.vault.points(NAME)
        base = self.vault.reader(points[-1]) if points else None
        with self.vault.begin(system=NAME, kind="delta", base=base) as writer:
            return DeltaSystem(NAME, self.settings).capture(writer, Silent())

    def restore(self, into: Path, point: RecoveryPoint | None = None, **options: Any) -> Restored:
        until = {"kind": "point", "point": point.id} if point else {"kind": "latest"}
        recovery = self.recovery()
        plan = recovery.plan_restore(self.history, RestoreRequest(into, until, options))
        return recovery.restore(self.history, plan, Silent())


WRITES = """
import json, random
luck = random.Random(seed)
columns = "id bigint, name string, amount decimal(12, 2), day date"
spark.sql(f"create table delta.`{path}` ({columns}) using delta partitioned by (day) "
          "tblproperties (delta.enableDeletionVectors=true, delta.checkpointInterval=4)")
made = 0

def rows(count):
    global made
    made += count
    return ("select id, concat('name ', id) as name, cast(id * 1.25 as decimal(12, 2)) as amount, "
            f"date_add(date'2026-01-01', cast(id % 2 as int)) as day from range({made - count}, {made})")

def write(kind):
    table, pick = f"delta.`{path}`", luck.randrange(11)
    if kind == "append":
        spark.sql(f"insert into {table} {rows(30)}")
    elif kind == "merge":
        spark.sql(f"merge into {table} t using (select id - 10 as id, name, amount, day from ({rows(20)})) s on t.id = s.id "
                  "when matched and t.id % 2 = 0 then delete when matched then update set name = 'merged' when not matched then insert *")
    elif kind == "delete":
        spark.sql(f"delete from {table} where id % 11 = {pick}")
    elif kind == "update":
        spark.sql(f"update {table} set amount = amount + 1 where id % 11 = {pick}")
    elif kind == "optimize":
        spark.sql(f"optimize {table}")
    elif kind == "vacuum":
        spark.sql(f"vacuum {table} retain 0 hours")
    frame = spark.read.format("delta").load(path)
    found = sorted(([plain(one) for one in row] for row in frame.collect()), key=lambda row: json.dumps(row, sort_keys=True))
    version = spark.sql(f"describe history {table} limit 1").collect()[0]["version"]
    return {"version": version, "rows": {"columns": frame.columns, "rows": found}}
"""
KINDS = ("delete", "merge", "update", "vacuum", "optimize", "append", "delete", "vacuum", "append")


class Writer(threading.Thread):
    """Writes until told to stop. ``expected``: rows by version, read by Spark right behind each write: no other writer is there."""

    def __init__(self, spark: SparkSession, table: Path, seed: int = 1) -> None:
        super().__init__(daemon=True)
        self._spark = spark
        self.expected: dict[int, dict[str, Any]] = {}
        self.done: set[str] = set()
        self.fault: BaseException | None = None
        self._stop_now = threading.Event()
        self._news = threading.Condition()
        spark.python(WRITES, path=str(table), seed=seed)
        self._write("append")

    @property
    def version(self) -> int:
        return max(self.expected)

    def run(self) -> None:
        try:
            turn = 0
            while not self._stop_now.is_set():
                self._write(KINDS[turn % len(KINDS)])
                turn += 1
        except BaseException as error:  # noqa: BLE001 the test raises it
            self.fault = error
        finally:
            with self._news:
                self._news.notify_all()

    def await_version(self, version: int, timeout: float = 300) -> None:
        """Until it has written a version at or behind this."""
        with self._news:
            assert self._news.wait_for(lambda: self.version >= version or not self.is_alive(), timeout), "the writer stands still"
        self.check()

    def finish(self) -> None:
        self._stop_now.set()
        self.join(300)
        assert not self.is_alive()
        self.check()

    def check(self) -> None:
        if self.fault is not None:
            raise self.fault

    def _write(self, kind: str) -> None:
        told = self._spark.python("result = write(kind)", kind=kind)
        before = max(self.expected, default=-1)
        with self._news:
            # Only a vacuum makes more than one version, and it changes no row.
            self.expected.update(dict.fromkeys(range(before + 1, told["version"] + 1), told["rows"]))
            self.done.add(kind)
            self._news.notify_all()


def patient_backup(lake: Lake) -> tuple[RecoveryPoint, int]:
    """A capture that lost every race with a vacuum said so, and is begun again: (point, how often)."""
    for lost in range(20):
        try:
            return lake.backup(), lost
        except RaceLost:
            continue
    raise AssertionError("20 captures lost their race with a vacuum")
