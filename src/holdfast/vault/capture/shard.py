"""A shard: what one process stored of a recovery point that another process commits (docs/spark-executor.md)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Shard:
    """``entries``: lines of the tree, JSON, in the order of capture. ``packs``: (id, BLAKE3, plain bytes needed of it), all of
    them durable in every location of the session that stored them. ``counts``: read, new, chunks, new_chunks, stored; as in ``Totals``.
    """

    entries: Sequence[str]
    packs: Sequence[tuple[bytes, bytes, int]]
    counts: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        packs = [[pack.hex(), digest.hex(), size] for pack, digest, size in self.packs]
        return {"entries": list(self.entries), "packs": packs, "counts": dict(self.counts)}

    def paths(self) -> list[str]:
        """Of the entries, in their order."""
        return [json.loads(line)["p"] for line in self.entries]

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Shard":
        packs = [(bytes.fromhex(pack), bytes.fromhex(digest), int(size)) for pack, digest, size in document["packs"]]
        return cls(list(document["entries"]), packs, {name: int(value) for name, value in document["counts"].items()})
