"""Is a location fit for a vault? Asked by trying, since stores differ in what they claim and what they do."""

import secrets

from holdfast.storage.contract import ObjectExists, ObjectLocked, Storage, StorageDenied, StorageUnfit


def require_fit(storage: Storage) -> bool:
    """Store a probe twice: the second put must be refused and change nothing, listing must show it, a delete must remove it.

    False when these credentials may not delete, or a bucket locks everything by itself: the probe stays, and prunes are another's work.
    Raises StorageUnfit when a promise is broken, StorageDenied and the like when the probe cannot be made.
    """
    name = f"probe/{secrets.token_hex(8)}"
    storage.put_if_absent(name, [b"first"])
    try:
        try:
            storage.put_if_absent(name, [b"second"])
        except ObjectExists:
            pass
        else:
            raise _unfit(storage, "it accepted a second object under a name that was taken")
        if storage.get(name) != b"first":
            raise _unfit(storage, "an object came back with other bytes than were put")
        if [info.name for info in storage.list(name)] != [name]:
            raise _unfit(storage, "it does not list an object that was just put")
    finally:
        deletes = _deletes(storage, name)
    if deletes and storage.head(name) is not None:
        raise _unfit(storage, "it still shows an object after its deletion")
    return deletes


def _deletes(storage: Storage, name: str) -> bool:
    try:
        storage.delete(name)
    except (StorageDenied, ObjectLocked):
        return False
    return True


def _unfit(storage: Storage, what: str) -> StorageUnfit:
    return StorageUnfit(
        f"{storage.url} cannot keep a vault: {what}.",
        hint="Use a store with conditional writes (If-None-Match), or a local folder.",
        url=storage.url,
    )
