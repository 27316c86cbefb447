"""Every location of a set brought to the state of the others."""

from collections.abc import Collection, Mapping, Sequence

from holdfast.errors import HoldfastError
from holdfast.model import Progress, Silent
from holdfast.storage.contract import Storage
from holdfast.vault.copy.run import Copied, copy
from holdfast.vault.errors import VaultMixed


def complete(
    storages: Sequence[Storage],
    *,
    only: Collection[str] | None = None,
    without: Mapping[str, Collection[str]] | None = None,
    progress: Progress | None = None,
) -> dict[str, Copied | HoldfastError]:
    """By address: what was brought, or why nothing could be. ``only``: addresses to look after (all by default).

    ``without``: by address, tags of systems that do not belong there. Raises VaultMixed.
    """
    done: dict[str, Copied | HoldfastError] = {}
    for target in storages:
        if only is not None and target.url not in only:
            continue
        others = [storage for storage in storages if storage is not target]
        try:
            done[target.url] = copy(others, target, without=(without or {}).get(target.url, ()), progress=progress or Silent())
        except VaultMixed:
            raise
        except HoldfastError as error:
            done[target.url] = error
    return done
