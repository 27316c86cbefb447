"""Streaming checkpoints, put back so that they go with the restored versions."""

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.model import RecoveryPoint
from holdfast.systems.contract import PointReader, StoredEntry
from holdfast.systems.delta.capture.streams import belongs
from holdfast.systems.delta.held import Held


@dataclass(frozen=True)
class StreamBack:
    """A checkpoint to be written: ``files`` by key below its folder. ``why``: why it cannot be, in words."""

    name: str
    query: str
    batch: int
    files: Sequence[tuple[str, StoredEntry]]
    reader: PointReader
    url: str
    why: str = ""


def going_with(point: RecoveryPoint, reader: PointReader, tables: Sequence[Held]) -> list[StreamBack]:
    """The point's checkpoints whose tables are all restored, cut to the versions that are restored."""
    restored = {one.name: one for one in tables}
    found = []
    for name, told in (point.facts.get("streams") or {}).items():
        writes = told["tables"]
        query, url = told["id"], told.get("url", "")
        # A stream that began after the version has no table that knows it there; it goes back to before its first batch.
        if not writes or not set(writes) <= restored.keys():
            continue
        at = [int(restored[table].pinned.snapshot.txns.get(query, {}).get("version", -1)) for table in writes]
        done, planned = min(at), max(at)
        prefix = f"streams/{name}/"
        entries = [(one.entry.path[len(prefix) :], one) for one in reader.entries(prefix) if one.entry.path.startswith(prefix)]
        kept = [(key, stored) for key, stored in entries if belongs(key, done, planned)]
        why = ""
        if planned >= 0 and not any(key == f"offsets/{planned}" for key, _ in kept):
            why = f"its checkpoint does not reach back to batch {planned}"
        found.append(StreamBack(name, query, done, kept, reader, url, why))
    return found
