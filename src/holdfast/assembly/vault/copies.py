"""Several locations: what each of them is to hold, and bringing it there."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from holdfast.assembly.vault.places import Places
from holdfast.errors import HoldfastError
from holdfast.model import Progress
from holdfast.plan import Location

if TYPE_CHECKING:
    from holdfast.storage import Storage
    from holdfast.vault.copy import Copied
    from holdfast.vault.locations import Trouble


class Copies(Places):
    """The plan's locations, level with each other."""

    def elsewhere(self, place: Location) -> frozenset[str]:
        """Tags of the plan's systems that are not kept in ``place``: nothing of them is copied there. Needs the key when there are any."""
        names = [name for name in self.plan.systems if place not in self.locations(name)]
        vault = self.vault() if names else None
        return frozenset(tag for name in names for tag in (vault.tags(name) if vault is not None else ()))

    def kept_elsewhere(self) -> dict[str, list[str]]:
        """By address of a location of the plan: the systems that are not kept there."""
        places = self.locations()
        storages = self.vault().locations.storages
        return {
            storage.url: [name for name in self.plan.systems if place not in self.locations(name)]
            for place, storage in zip(places, storages, strict=True)
        }

    def troubles(self) -> "list[Trouble]":
        """Locations that failed while another one served in their place, in the vaults that were opened so far."""
        return [trouble for vault in self._vaults.values() for trouble in vault.locations.troubles]

    def copy(self, targets: Sequence[Location], sources: Sequence[Location], progress: Progress) -> "dict[str, Copied | HoldfastError]":
        """By name of each target: what was brought there out of ``sources`` (each with all but itself), or why nothing could be.

        A target that is empty becomes a location of the vault. Raises VaultMixed, and what finding the key raises (``elsewhere``).
        """
        from holdfast.vault.copy import copy

        done: dict[str, Copied | HoldfastError] = {}
        opened: dict[str, Storage] = {}

        def storage(place: Location) -> "Storage":
            if place.name not in opened:
                opened[place.name] = self.storage(place, create=place in targets, one_of_several=True)
            return opened[place.name]

        try:
            for target in targets:
                without = self.elsewhere(target)
                others = [storage(place) for place in sources if place.name != target.name]
                try:
                    done[target.name] = copy(others, storage(target), without=without, progress=progress)
                except HoldfastError as error:
                    if error.code == "vault-mixed" or len(targets) == 1:
                        raise
                    done[target.name] = error
        finally:
            for one in opened.values():
                one.close()
        return done

    def complete(self, system: str, progress: Progress, only: Sequence[str] | None = None) -> "dict[str, Copied | HoldfastError]":
        """By address: every location of the system's tier (or those of addresses ``only``) brought to the state of the others."""
        from holdfast.vault.copy import complete

        places = self.locations(system)
        storages = self.vault(system).locations.storages
        wanted = None if only is None else set(only)
        chosen = {one.url: place for place, one in zip(places, storages, strict=True) if wanted is None or one.url in wanted}
        without = {url: self.elsewhere(place) for url, place in chosen.items()}
        return complete(storages, only=set(chosen), without=without, progress=progress)
