"""Full scans by other processes: a table is cut into parts, whose counts and sums add up to its digest."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from holdfast.model import Progress, Silent
from holdfast.systems.contract import Pool, RestorePlan, Sharing
from holdfast.systems.delta.capture.pin import Wanted
from holdfast.systems.delta.capture.sharing import FOR_EACH, LARGEST, MOST
from holdfast.systems.delta.data import rows
from holdfast.systems.delta.data.rows import TableAt
from holdfast.systems.delta.data.shard import gather
from holdfast.systems.delta.data.view import LakeView, Scan, cached
from holdfast.systems.delta.errors import FileBroken
from holdfast.systems.delta.held import Held
from holdfast.systems.delta.restore import planning
from holdfast.systems.delta.restore.planning import Detail

Where = Callable[[str], Mapping[str, Any]]
"""By a table's name, what tells a process where to read it: ``{"side": "source"}``, or ``{"side": "point", "point": id}``."""


@contextlib.contextmanager
def shared_scan(sharing: Sharing | None, where: Where, progress: Progress | None = None) -> Iterator[Scan | None]:
    """None where scans are not shared. The pool is opened by the first scan."""
    if sharing is None or not sharing.verify:
        yield None
        return
    with contextlib.ExitStack() as stack:
        opened: list[Pool] = []

        def scan(tables: Mapping[str, TableAt]) -> dict[str, dict[str, Any]]:
            if not opened:
                opened.append(stack.enter_context(sharing.open(progress or Silent())))
            return _scan(opened[0], tables, where)

        yield scan


def _scan(pool: Pool, tables: Mapping[str, TableAt], where: Where) -> dict[str, dict[str, Any]]:
    total = sum(table.pinned.snapshot.size for table in tables.values())
    most = min(LARGEST, max(1, total // (FOR_EACH * pool.width)))
    shards: list[tuple[str, Mapping[str, Any]]] = []
    for name, table in tables.items():
        told = {**where(name), "table": name, "version": table.pinned.snapshot.version}
        shards += [(name, {**told, "files": files}) for files in _cut(table, most)]
    parts: dict[str, list[tuple[int, int, int]]] = {name: [] for name in tables}
    for (name, _), done in zip(shards, pool.scan(shard for _, shard in shards), strict=True):
        count, low, high = (int(one) for one in done.report["sums"])
        parts[name].append((count, low, high))
    return {name: rows.summed(table, parts[name]) for name, table in tables.items()}


def _cut(table: TableAt, most: int) -> Iterator[list[list[str]]]:
    """Keys of the version's files, neighbours together, of about ``most`` bytes each."""
    held: list[list[str]] = []
    size = 0
    for (path, vector), add in table.pinned.snapshot.files.items():
        if held and (size + int(add["size"]) > most or len(held) >= MOST):
            yield held
            held, size = [], 0
        held.append([path, vector])
        size += int(add["size"])
    if held:
        yield held


@contextlib.contextmanager
def shared_point_view(sharing: Sharing, plan: RestorePlan, folder: Path, progress: Progress) -> Iterator[LakeView]:
    """A point's tables, scanned by the processes of the pool out of the vault. What SQL asks for is fetched here when it asks for it."""
    planning.require_possible(plan)
    detail: Detail = plan.detail
    helds = {one.held.name: one.held for one in detail.tables if one.held is not None}
    tables = {name: TableAt(name, held.pinned, _Fetched(held, folder), held.recorded) for name, held in helds.items()}
    reached = {**plan.place, "place": dict(plan.place), "bytes": plan.bytes, "log_bytes": 0}
    with shared_scan(sharing, lambda name: {"side": "point", "point": helds[name].point.id}, progress) as scan:
        view = LakeView(tables, reached, "", folder, scan)
        try:
            yield view
        finally:
            view.close()


class _Fetched:
    """Files of a table out of the vault, each when it is asked for."""

    def __init__(self, held: Held, folder: Path) -> None:
        self._held, self._folder = held, folder

    def __call__(self, wanted: Wanted) -> Path:
        place = cached(self._folder, wanted)
        if not place.exists():
            if wanted.path not in self._held.files:
                raise FileBroken(f"{wanted.key or wanted.address} is not in the vault.")
            gather(self._folder, self._held, [wanted])
        return place
