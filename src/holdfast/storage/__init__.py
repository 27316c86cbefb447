"""Where the vault's bytes rest: put-if-absent, ranged get, list, delete, behind one small contract."""

from holdfast.storage.contract import (
    Buffer,
    Capabilities,
    KeepsVersions,
    Lock,
    ObjectExists,
    ObjectInfo,
    ObjectLocked,
    ObjectMissing,
    Storage,
    StorageDenied,
    StorageFull,
    StorageUnfit,
    StorageUnreachable,
    StorageUntrusted,
    versions_of,
)

__all__ = [
    "Buffer",
    "Capabilities",
    "KeepsVersions",
    "Lock",
    "ObjectExists",
    "ObjectInfo",
    "ObjectLocked",
    "ObjectMissing",
    "Storage",
    "StorageDenied",
    "StorageFull",
    "StorageUnfit",
    "StorageUnreachable",
    "StorageUntrusted",
    "versions_of",
]
