"""A lake in a folder with its vault beside it; tables written by delta-rs; rows as lists."""

import datetime as dt
import json
import math
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from holdfast.model import RecoveryPoint, SystemClock
from holdfast.storage.local import LocalStorage
from holdfast.systems.contract import Restored, RestorePlan, RestoreRequest
from holdfast.systems.delta.recovery import DeltaRecovery
from holdfast.systems.delta.settings import DeltaSettings
from holdfast.systems.delta.store import LocalStore, Thing
from holdfast.systems.delta.system import DeltaSystem
from holdfast.vault import Vault
from holdfast.vault.keys.slots import PassphraseCost

NAME = "lake"
CHEAP = PassphraseCost(memory_kib=8, passes=1)


class Said:
    """Progress that remembers what was said."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def phase(self, name: str, total: int | None = None, unit: str = "B") -> None:
        pass

    def advance(self, amount: int) -> None:
        pass

    def note(self, text: str) -> None:
        self.notes.append(text)


class Counting(LocalStore):
    """A folder that counts what is read of it, and does what a test wants before a key is read."""

    def __init__(self, root: Path, log: list[str], before: Mapping[str, Any]) -> None:
        super().__init__(root)
        self.log, self.before = log, before
        self.lock = threading.Lock()

    def read_into(self, key: str, offset: int, buffer: memoryview) -> int:
        self._act(key)
        return super().read_into(key, offset, buffer)

    def get(self, key: str) -> bytes:
        self._act(key)
        return super().get(key)

    def _act(self, key: str) -> None:
        # Workers read at once; what a test does in between is done by one at a time.
        with self.lock:
            self.log.append(key)
            for part, act in list(self.before.items()):
                if part in key:
                    act(key)


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
    """``root`` holds the tables; ``reads`` the keys that were read; ``before`` acts before keys that hold a text are read."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.root = folder / "lake"
        self.root.mkdir(exist_ok=True)
        self.reads: list[str] = []
        self.before: dict[str, Any] = {}
        self.said = Said()
        self.settings = DeltaSettings(str(self.root), open=self._open, **settings)
        storage = LocalStorage(str(folder / "vault"), create=True)
        self.vault = Vault.create([storage], "open sesame", clock=SystemClock(), cache=folder / "cache", cost=CHEAP)[0]
        self.history = History(self.vault)

    def _open(self, url: str) -> LocalStore:
        path = Path(url.removeprefix("file://"))
        return Counting(path, self.reads, self.before) if path == self.root else LocalStore(path)

    def recovery(self) -> DeltaRecovery:
        return DeltaRecovery(NAME, self.settings, sandbox=self.folder / "boxes", history=lambda: self.history)

    def system(self) -> DeltaSystem:
        return DeltaSystem(NAME, self.settings)

    def backup(self, label: str | None = None) -> RecoveryPoint:
        points = self.vault.points(NAME)
        base = self.vault.reader(points[-1]) if points else None
        with self.vault.begin(system=NAME, kind="delta", base=base, label=label) as writer:
            return self.system().capture(writer, self.said)

    def plan(self, into: Path | str, to: str = "latest", **options: Any) -> RestorePlan:
        recovery = self.recovery()
        until = recovery.target(to, dt.datetime.now(dt.UTC), dt.UTC)
        return recovery.plan_restore(self.history, RestoreRequest(Path(into), until, options))

    def restore(self, into: Path | str, to: str = "latest", **options: Any) -> Restored:
        return self.recovery().restore(self.history, self.plan(into, to, **options), self.said)

    def close(self) -> None:
        self.vault.close()


def delta_rows(path: Path, version: int | None = None) -> list[Any]:
    """All rows as delta-rs reads them, sorted."""
    import pyarrow as pa
    from deltalake import DeltaTable, QueryBuilder

    # The way by its query engine honours deletion vectors; that by pyarrow's dataset refuses them.
    found = QueryBuilder().register("t", DeltaTable(str(path), version=version)).execute("select * from t").read_all()
    table = pa.table(found)
    return sorted((list(row.values()) for row in table.to_pylist()), key=lambda row: json.dumps(row, default=str))


def write(path: Path, mode: str = "append", **columns: Any) -> None:
    import pyarrow as pa
    from deltalake import write_deltalake

    write_deltalake(str(path), pa.table(columns), mode=mode)  # type: ignore[arg-type]


def plain(value: Any, kind: Any) -> Any:
    """A value as the golden tables' makers wrote it (tests.servers.spark_session.plain)."""
    import base64
    import decimal

    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"nan": "nan", "inf": "inf", "-inf": "-inf"}[str(value)]
    if isinstance(value, decimal.Decimal):
        return f"{value:f}"
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {one["name"]: plain(value[one["name"]], one["type"]) for one in kind["fields"]}
    if isinstance(kind, dict) and kind["type"] == "map":
        pairs = value.items() if isinstance(value, dict) else value
        return sorted(([plain(one, kind["keyType"]), plain(other, kind["valueType"])] for one, other in pairs), key=json.dumps)
    return [plain(one, kind["elementType"]) for one in value]


def things(path: Path) -> dict[str, Thing]:
    return {thing.key: thing for thing in LocalStore(path).things("")}
