"""What is still locked: nobody can remove it, so nothing is done as if it were gone."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from holdfast.storage.contract import KeepsVersions, ObjectInfo, Storage, versions_of
from holdfast.vault.format import names
from holdfast.vault.lock.policy import term

_THREADS = 16
_NONE = dt.timedelta(0)


def locked(storages: Sequence[Storage], wanted: Iterable[str]) -> dict[str, dt.datetime]:
    """Of ``wanted`` names those whose lock has not ended in some location, with the day on which it has in all. Asks for each by itself."""
    held: dict[str, dt.datetime] = {}
    asked = list(wanted)
    for layer in _layers(storages) if asked else ():
        now = layer.time()
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="holdfast-locks") as pool:
            for name, until in zip(asked, pool.map(layer.locked_until, asked), strict=True):
                if until is not None and until > now:
                    held[name] = max(until, held.get(name, until))
    return held


def removable(storage: Storage, found: Mapping[str, ObjectInfo]) -> list[str]:
    """Of one location's objects those whose lock has ended, or that never had one. Asks only for what is old enough to be free."""
    layer = versions_of(storage)
    if layer is None:
        return list(found)
    now = layer.time()
    old = [name for name, info in found.items() if layer.lock is None or info.modified + (term(name, layer.lock) or _NONE) <= now]
    held = locked([storage], old)
    return [name for name in old if name not in held]


def void_drops(storages: Sequence[Storage], sessions: Iterable[str]) -> set[str]:
    """Of points that some record calls dropped, those that cannot be: a location still locks them, so whoever signed that did not prune.

    A prune drops no point before its lock has ended in every location. So such a record hides nothing, whoever's key signed it.
    """
    ids = {names.point(session): session for session in sessions}
    return {ids[name] for name in locked(storages, ids)}


def _layers(storages: Sequence[Storage]) -> list[KeepsVersions]:
    return [layer for storage in storages if (layer := versions_of(storage)) is not None]
