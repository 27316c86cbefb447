"""All logs of one system in the vault."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from holdfast.errors import Damaged, Unreachable
from holdfast.model import Clock, Increment
from holdfast.storage.contract import ObjectMissing, Storage
from holdfast.vault.format.names import LOGS
from holdfast.vault.keys import SCOPE
from holdfast.vault.keys.notary import Notary
from holdfast.vault.locations import Locations
from holdfast.vault.logs import body, names
from holdfast.vault.logs.lease import SECONDS
from holdfast.vault.logs.marker import Marker
from holdfast.vault.logs.reader import BranchReader
from holdfast.vault.logs.writer import BranchWriter


class SystemLogs:
    """``write_to``: the locations that the tier demands for an acknowledged increment; by default all of ``locations``. ``scope`` tells
    to which scope new increments of a system belong. ``copies``: in how many of them an increment of a follower counts as durable (None:
    all). ``memory``: a folder that may be lost, in which is kept what was seen of long branches.
    """

    def __init__(
        self,
        locations: Locations,
        notary: Notary,
        clock: Clock,
        system: str,
        *,
        write_to: Sequence[Storage] = (),
        lease_seconds: int = SECONDS,
        scope: Callable[[str], str] = lambda _: SCOPE,
        copies: int | None = None,
        memory: Path | None = None,
    ) -> None:
        self._locations = locations
        self._notary = notary
        self._clock = clock
        self._system = system
        self._write_to = tuple(write_to) or locations.storages
        self._lease_seconds = lease_seconds
        self._scope = scope
        self._copies = copies
        self._memory = memory

    def branches(self) -> Sequence[str]:
        """Names of the branches, sorted. Raises RoleLacking for a key that cannot read them."""
        prefix = f"{LOGS}{self._notary.tag('system', self._system)}/"
        tags = sorted(self._locations.folders(prefix))
        return sorted(branch for tag in tags if (branch := self._branch_name(f"{prefix}{tag}/")) is not None)

    def reader(self, branch: str) -> BranchReader:
        return BranchReader(self._locations, self._notary, self._system, branch, self._marker(branch))

    def writer(self, branch: str, by: Literal["follower", "backup"] = "follower") -> BranchWriter:
        """Takes the branch's lease: raises LogFollowed while another holds it; its ``by`` says whether that is a backup."""
        return BranchWriter(
            self._write_to,
            self._notary,
            self._clock,
            self._system,
            branch,
            lease_seconds=self._lease_seconds,
            scope=self._scope(self._system),
            by=by,
            copies=self._copies,
            marker=self._marker(branch),
        )

    def _marker(self, branch: str) -> Marker | None:
        tags = self._notary.tag("system", self._system), self._notary.tag("branch", branch)
        return Marker(self._memory, *tags) if self._memory is not None else None

    def _branch_name(self, folder: str) -> str | None:
        """Out of the first increment that can be read: a tag does not tell its name. None for a folder without increments."""
        damaged: Damaged | None = None
        for found in self._one_by_one(folder):
            try:
                return self._locations.read(found.name, partial(body.open_head, self._notary, found.name)).branch
            except ObjectMissing:
                continue  # a prune removed it since it was listed
            except Damaged as error:
                damaged = error
        if damaged is not None:
            raise damaged
        return None

    def _one_by_one(self, folder: str) -> Iterator[Increment]:
        """Increments of a branch, location by location: nobody lists the whole branch for the first of them."""
        silent: Unreachable | None = None
        some = False
        for storage in self._locations.storages:
            try:
                for found in names.increments(storage.list(folder)):
                    some = True
                    yield found
            except Unreachable as error:
                silent = error
        if silent is not None and not some:
            raise silent
