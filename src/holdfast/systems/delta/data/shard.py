"""What a process of a pool does for a proof: the full scan of a part of a table, at a version."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from holdfast.model import Silent
from holdfast.systems.delta.capture.pin import Pinned, Wanted
from holdfast.systems.delta.data.rows import Locate, TableAt
from holdfast.systems.delta.data.scan import sums
from holdfast.systems.delta.data.view import Fetch, cached
from holdfast.systems.delta.errors import FileBroken, NoVersion
from holdfast.systems.delta.held import Held, Lake, pinned_in
from holdfast.systems.delta.log.listing import StoredLog
from holdfast.systems.delta.restore import copy
from holdfast.systems.delta.settings import DeltaSettings
from holdfast.systems.delta.store import LocalStore
from holdfast.systems.delta.tables import prefix


def scan(settings: DeltaSettings, lake: Lake, folder: Path, shard: Mapping[str, Any]) -> dict[str, Any]:
    """``sums`` as ``scan.sums`` has them, of the ``files`` of a ``table`` at a ``version``: out of the ``point``, or out of the source.

    ``folder`` is empty, and is the caller's to remove. Raises FileBroken, LogBroken, NoVersion, and what is raised by reading.
    """
    name, version = str(shard["table"]), int(shard["version"])
    files = [(str(path), str(vector)) for path, vector in shard["files"]]
    locate: Locate
    if shard["side"] == "point":
        point = next((one for one in lake.points if one.id == shard["point"]), None)
        if point is None:
            raise NoVersion(f"The point {shard['point'][:14]} is gone.", hint="A prune took it meanwhile. Run this again.")
        held = lake.held(point, name, version)
        part = _part(held.pinned, files)
        gather(folder, held, [*part.data(), *part.vectors()])
        locate = _Gathered(folder)
    else:
        store = settings.open(settings.url)
        part = _part(pinned_in(StoredLog(store, prefix(name)), name, version), files)
        locate = Fetch(settings, store, folder)
    return {"sums": list(sums(TableAt(name, part, locate)))}


def gather(folder: Path, held: Held, wanted: Iterable[Wanted]) -> None:
    """Files of a table out of the vault, to where ``cached`` says. Raises FileBroken for what the vault does not have."""
    jobs = []
    for one in wanted:
        if one.path not in held.files:
            raise FileBroken(f"{one.key or one.address} is not in the vault.")
        _, reader, stored = held.files[one.path]
        jobs.append((reader, stored, cached(folder, one).relative_to(folder).as_posix()))
    copy.write(LocalStore(folder), jobs, Silent())


def _part(pinned: Pinned, files: Iterable[tuple[str, str]]) -> Pinned:
    state = pinned.snapshot
    return dataclasses.replace(pinned, snapshot=dataclasses.replace(state, files={key: state.files[key] for key in files}))


class _Gathered:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, wanted: Wanted) -> Path:
        return cached(self._folder, wanted)
