"""Where the vault's bytes rest: put-if-absent, ranged get, list, delete, behind one small contract."""

from holdfast.storage.contract import (
    Buffer,
    Capabilities,
    ObjectExists,
    ObjectInfo,
    ObjectMissing,
    Storage,
    StorageDenied,
    StorageFull,
    StorageUnfit,
    StorageUnreachable,
)

__all__ = [
    "Buffer",
    "Capabilities",
    "ObjectExists",
    "ObjectInfo",
    "ObjectMissing",
    "Storage",
    "StorageDenied",
    "StorageFull",
    "StorageUnfit",
    "StorageUnreachable",
]
