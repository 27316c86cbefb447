"""Making a vault where an init that died left its keys: without ``config`` they belong to nobody, and nothing was ever kept under them.

Nothing is deleted before the new ``config`` stands: until then they could be those of an init that is at work beside this one.
"""

from collections.abc import Sequence

from holdfast.errors import Damaged
from holdfast.storage.contract import ObjectExists, Storage
from holdfast.vault.errors import VaultExists, VaultRemains
from holdfast.vault.format import envelope, names
from holdfast.vault.keys import SCOPE, slots
from holdfast.vault.keys.bundle import Bundle
from holdfast.vault.locations import get_if_there

_KEYS = "keys/"
_KEPT = (
    names.PACKS,
    names.INDEX,
    names.POINTS,
    names.LOGS,
    names.SESSIONS,
    names.HOLDS,
    names.CONDEMNED,
    names.DAMAGED,
    names.JOURNAL,
    names.PLAN,
    names.HOSTS,
    names.ANCHORS,
    names.EVIDENCE,
)


def first_epoch(storages: list[Storage]) -> int:
    """The number of a new vault's first epoch: one whose name is free. Raises VaultExists, or VaultRemains where more than keys is left."""
    taken = 0
    for storage in storages:
        if storage.head(names.CONFIG) is not None:
            raise VaultExists(f"{storage.url} already holds a vault.", hint="Open it, or name an empty location.", url=storage.url)
        found = next((info.name for prefix in _KEPT for info in storage.list(prefix)), None)
        if found is not None:
            raise VaultRemains(
                f"{storage.url} holds what was kept in a vault ({found}), but no config.",
                hint="Bring it back from another location: holdfast vault copy. Or name an empty location.",
                url=storage.url,
                object=found,
            )
        prefix = names.epoch(SCOPE, 0)[:-4]
        taken = max([taken, *(int(info.name[len(prefix) :], 16) for info in storage.list(prefix))])
    return taken + 1


def put_ours(storages: Sequence[Storage], name: str, data: bytes) -> None:
    """What two inits at once would both put, the first location first: it decides. Raises VaultExists for the one that comes second."""
    for storage in storages:
        try:
            storage.put_if_absent(name, [data])
        except ObjectExists:
            if get_if_there(storage, name) != data:
                raise VaultExists(
                    f"Another init is at work in {storage.url}, or was since this one began.",
                    hint="Let one of them make the vault; then open that.",
                    url=storage.url,
                    object=name,
                ) from None


def remove_foreign(storage: Storage, bundle: Bundle) -> None:
    """Keys of others, now that the location's ``config`` is ours: they open nothing, and nobody believes them."""
    for info in list(storage.list(_KEYS)):
        data = get_if_there(storage, info.name)
        if data is not None and not _ours(info.name, data, bundle):
            storage.delete(info.name)


def _ours(name: str, data: bytes, bundle: Bundle) -> bool:
    try:
        if name.startswith(names.SLOTS):
            return slots.parse(name[len(names.SLOTS) :], data).vault == bundle.vault
        return envelope.verify(envelope.parse(name, data), bundle.vault, bundle.root_public)
    except Damaged:
        return False
