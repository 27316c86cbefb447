"""What a session reuses: chosen when it begins, and looked at again just before its point is committed.

The order of reading matters in both: first the lists of condemned packs, then the packs that are stored. A prune deletes a pack before the
list that names it, so one whose list was not seen any more is not seen either.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from holdfast.storage.contract import ObjectMissing, Storage
from holdfast.vault import names
from holdfast.vault.errors import Condemned, PackMissing
from holdfast.vault.locations import Locations
from holdfast.vault.notary import Notary
from holdfast.vault.packs.present import PresentPacks

_ASKED_SINGLY = 256
"""Up to so many packs are asked for one by one; for more the whole listing is quicker."""


def condemned(locations: Locations, notary: Notary) -> set[bytes]:
    """Ids of all packs on a list of a prune (envelopes ``condemned/``). Raises Damaged for a list that cannot be believed."""
    found: set[bytes] = set()
    for info in locations.list(names.CONDEMNED):
        try:
            listed = locations.read(info.name, lambda data, name=info.name: notary.check(name, data, "condemned")).packs  # type: ignore[misc]
        except ObjectMissing:
            continue  # its prune came to its end since it was listed
        found.update(listed[i : i + 16] for i in range(0, len(listed), 48))
    return found


def reusable(locations: Locations, notary: Notary) -> PresentPacks:
    """The packs that lie in every location and that no prune is about to delete."""
    going = condemned(locations, notary)
    return PresentPacks.list(locations.storages, going)


def check_not_condemned(locations: Locations, notary: Notary, packs: Sequence[bytes]) -> None:
    """No pack that the point needs (ids) may be on a list of a prune."""
    hit = sorted(condemned(locations, notary).intersection(packs))
    if hit:
        raise Condemned(
            f"{len(hit)} packs that this point reuses were condemned by a prune meanwhile ({hit[0].hex()} first).",
            hint="Run the backup again: it stores what is missing.",
        )


def check_stored(locations: Locations, packs: Sequence[tuple[bytes, bytes]]) -> None:
    """Every pack (id, BLAKE3) that the point reuses lies in every location of the session. Call it after ``check_not_condemned``."""
    wanted = [names.pack(pack, digest) for pack, digest in packs]
    for storage in locations.storages:
        missing = _missing(storage, wanted)
        if missing:
            raise PackMissing(
                f"{len(missing)} packs that this point reuses are no longer in {storage.url} ({missing[0]} first); nothing was committed.",
                hint="Run the backup again: it stores what is missing. If no prune ran, 'holdfast vault check' tells what else was lost.",
                url=storage.url,
                packs=missing[:10],
            )


def _missing(storage: Storage, wanted: Sequence[str]) -> list[str]:
    if len(wanted) > _ASKED_SINGLY:
        held = {info.name for info in storage.list(names.PACKS)}
        return [name for name in wanted if name not in held]
    if not wanted:
        return []
    with ThreadPoolExecutor(8, thread_name_prefix="holdfast-present") as pool:
        return [name for name, found in zip(wanted, pool.map(storage.head, wanted), strict=True) if found is None]
