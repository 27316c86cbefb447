"""Checks just before a point is committed."""

from collections.abc import Sequence

from holdfast.vault import names
from holdfast.vault.errors import Condemned
from holdfast.vault.locations import Locations
from holdfast.vault.notary import Notary


def check_not_condemned(locations: Locations, notary: Notary, packs: Sequence[bytes]) -> None:
    """No pack that the point needs may be on a list of a prune (envelopes ``condemned/``, whose list names packs)."""
    condemned: set[bytes] = set()
    for info in locations.list(names.CONDEMNED):
        listed = locations.read(info.name, lambda data, name=info.name: notary.check(name, data, "condemned")).packs  # type: ignore[misc]
        condemned.update(listed[i : i + 16] for i in range(0, len(listed), 48))
    hit = sorted(condemned.intersection(packs))
    if hit:
        raise Condemned(
            f"{len(hit)} packs that this point reuses were condemned by a prune meanwhile ({hit[0].hex()} first).",
            hint="Run the backup again: it stores what is missing.",
        )
