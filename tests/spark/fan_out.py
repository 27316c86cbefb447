"""A capture that fans the data files of its tables out over Spark's workers: a prototype of docs/spark-executor.md.

Imported by the driver (the process of a session) and by the executors. The driver pins, cuts shards and commits; an executor opens the
vault with the writer's key out of a file of its own machine, stores a shard's files in packs of its own, and hands over what it stored.
"""

import functools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.model import Silent, SystemClock
from holdfast.storage.local import LocalStorage
from holdfast.storage.wrappers.throttle import Rate, Throttled
from holdfast.systems.delta.capture.copying import Copier
from holdfast.systems.delta.capture.pin import Wanted
from holdfast.systems.delta.capture.run import Capture
from holdfast.systems.delta.settings import DeltaSettings
from holdfast.systems.delta.store import LocalStore
from holdfast.vault import Vault
from holdfast.vault.capture.shard import Shard


@dataclass(frozen=True)
class Place:
    """What an executor needs to know: no secret, but where it lies. ``rate``: bytes a second that its store takes."""

    system: str
    vault: str
    key: str
    cache: str
    lake: str
    rate: float

    def open(self, *, throttled: bool) -> Vault:
        storage: Any = LocalStorage(self.vault)
        if throttled:
            storage = Throttled(storage, _rate(self.rate))
        cache = Path(self.cache, str(time.monotonic_ns()))
        return Vault.open([storage], Path(self.key).read_text(), clock=SystemClock(), cache=cache)


@functools.cache
def _rate(rate: float) -> Rate:
    """One for each executor process."""
    return Rate(rate, SystemClock())


def store_shard(place: Place, files: Sequence[Wanted]) -> str:
    """On an executor."""
    vault = place.open(throttled=True)
    try:
        with vault.begin(system=place.system, kind="delta", shard=True, chunk_size=1 << 20, workers=1) as writer:
            Copier(LocalStore(Path(place.lake)), _no_other, writer, Silent(), lambda _: False).copy(files)
            return json.dumps(writer.hand_over().to_json())
    finally:
        vault.close()


def _no_other(address: str) -> Any:
    raise AssertionError(f"{address} lies elsewhere: the driver's")


class FannedOut(Capture):
    """``run`` once. What the executors could not store, the driver looks for itself: it knows what a lost race is."""

    def __init__(self, context: Any, place: Place, settings: DeltaSettings, store: Any, writer: Any) -> None:
        super().__init__(settings, store, writer, Silent(), SystemClock())
        self._context, self._place = context, place

    def _copy(self, copier: Copier) -> bool:
        fresh = [one for table in self._pinned.values() for one in table.data() if one.address is None and not copier._known(one)]
        shards = list(cut([one for one in fresh if one.path not in copier._added], 8))
        place = self._place
        done = self._context.parallelize(shards, max(1, len(shards))).map(lambda files: store_shard(place, files))
        for text in done.collect():
            part = Shard.from_json(json.loads(text))
            self._writer.adopt(part)
            copier._added.update(json.loads(line)["p"] for line in part.entries)
        return super()._copy(copier)


def cut(files: Sequence[Wanted], count: int) -> Iterator[list[Wanted]]:
    """Shards of about equal size: each file goes to the one that is smallest by then."""
    shards: list[list[Wanted]] = [[] for _ in range(min(count, len(files)))]
    sizes = [0] * len(shards)
    for one in sorted(files, key=lambda one: -(one.size or 0)):
        least = sizes.index(min(sizes))
        shards[least].append(one)
        sizes[least] += one.size or 0
    yield from shards


def capture(context: Any, given: dict[str, Any]) -> dict[str, Any]:
    """On the driver: the point's id, and seconds from pin to commit."""
    place = Place(**given)
    vault = place.open(throttled=False)
    try:
        began = time.monotonic()
        settings = DeltaSettings(place.lake)
        with vault.begin(system=place.system, kind="delta", chunk_size=1 << 20) as writer:
            point = FannedOut(context, place, settings, settings.open(settings.url), writer).run("delta")
        return {"point": point.id, "seconds": time.monotonic() - began, "packs": point.packs}
    finally:
        vault.close()
