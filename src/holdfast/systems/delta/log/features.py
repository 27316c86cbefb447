"""Table features that this version knows (Delta protocol, "Valid Feature Names in Table Features").

Known means: which files belong to a version and how its rows are read is understood. A feature that only restricts writers is harmless to
a copy; one that is not known could mean files that the copy would lack.
"""

from collections.abc import Mapping
from typing import Any

from holdfast.systems.delta.errors import FeatureUnknown

KNOWN = frozenset(
    {
        "allowColumnDefaults",
        "appendOnly",
        "changeDataFeed",
        "checkConstraints",
        "checkpointProtection",
        "clustering",
        "columnMapping",
        "deletionVectors",
        "domainMetadata",
        "generatedColumns",
        "icebergCompatV1",
        "icebergCompatV2",
        "identityColumns",
        "inCommitTimestamp",
        "invariants",
        "rowTracking",
        "timestampNtz",
        "typeWidening",
        "typeWidening-preview",
        "v2Checkpoint",
        "vacuumProtocolCheck",
    }
)
_WHY = {
    "catalogManaged": "its newest commits lie with the catalogue and not in its log",
    "catalogOwned-preview": "its newest commits lie with the catalogue and not in its log",
    "coordinatedCommits-preview": "its newest commits lie with a commit coordinator and not in its log",
}
READER, WRITER = 3, 7


def features(protocol: Mapping[str, Any]) -> frozenset[str]:
    """All features named in a ``protocol`` action."""
    return frozenset([*(protocol.get("readerFeatures") or ()), *(protocol.get("writerFeatures") or ())])


def require_known(table: str, protocol: Mapping[str, Any]) -> None:
    """Raises FeatureUnknown, naming every feature that is not known."""
    unknown = sorted(features(protocol) - KNOWN)
    if unknown:
        whys = "; ".join(f"{name}: {_WHY[name]}" for name in unknown if name in _WHY)
        raise FeatureUnknown(
            f"The table {table} uses {', '.join(unknown)}, which is not supported{f' ({whys})' if whys else ''}.",
            hint="Nothing of it was copied: the copy could lack files. Leave the table out of the plan and protect it by other means.",
            table=table,
            features=unknown,
        )
    reader, writer = int(protocol.get("minReaderVersion", 1)), int(protocol.get("minWriterVersion", 2))
    if reader > READER or writer > WRITER:
        raise FeatureUnknown(
            f"The table {table} asks for reader version {reader} and writer version {writer} of the protocol; {READER} and {WRITER} are"
            " the newest that are known.",
            hint="Nothing of it was copied: the copy could lack files.",
            table=table,
        )
