"""Names in ``_delta_log`` (Delta protocol, "Delta Log Entries", "Checkpoints", "Log Compaction Files", "Version Checksum File")."""

import re
from dataclasses import dataclass

LOG = "_delta_log/"
LAST = "_last_checkpoint"
SIDECARS = "_sidecars/"

_NAME = re.compile(
    r"(?P<version>\d{20})\.(?:"
    r"(?P<commit>json)|(?P<crc>crc)|(?P<end>\d{20})\.compacted\.json|checkpoint\.(?:"
    r"(?P<classic>parquet)|(?P<part>\d{10})\.(?P<parts>\d{10})\.parquet|(?P<uuid>[^./]+)\.(?P<form>json|parquet)))"
)


@dataclass(frozen=True, slots=True)
class LogName:
    """``kind``: commit, crc, compacted, classic, part, v2. ``end``: the last version that the file speaks of."""

    kind: str
    version: int
    end: int
    part: int = 0
    parts: int = 1

    @property
    def checkpoint(self) -> bool:
        return self.kind in ("classic", "part", "v2")


def parse(name: str) -> LogName | None:
    """A name directly below ``_delta_log``; None for what the protocol does not know (left alone)."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    version = int(match["version"])
    if match["commit"]:
        return LogName("commit", version, version)
    if match["crc"]:
        return LogName("crc", version, version)
    if match["end"]:
        return LogName("compacted", version, int(match["end"]))
    if match["classic"]:
        return LogName("classic", version, version)
    if match["part"]:
        return LogName("part", version, version, int(match["part"]), int(match["parts"]))
    return LogName("v2", version, version)


def commit(version: int) -> str:
    """The key of a commit below the table."""
    return f"{LOG}{version:020}.json"
