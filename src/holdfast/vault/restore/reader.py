"""A committed point, read only."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from holdfast.model import RecoveryPoint
from holdfast.vault.envelope import Envelope
from holdfast.vault.keys import SCOPE
from holdfast.vault.locations import Locations
from holdfast.vault.notary import Notary
from holdfast.vault.packs.present import PresentPacks
from holdfast.vault.packs.reader import PackReader
from holdfast.vault.restore.tree import Stored, Tree, to_stored

MOST_WHOLE = 64 << 20


class Reader:
    """Made by ``Vault.point``. Safe from many threads."""

    def __init__(
        self,
        point: RecoveryPoint,
        segments: Sequence[dict[str, Any]],
        envelope: Envelope,
        *,
        locations: Locations,
        notary: Notary,
        cache: Path,
    ) -> None:
        self._point = point
        self._locations = locations
        self._notary = notary
        self._cache = cache
        self._listed = PresentPacks([envelope.packs[i : i + 48] for i in range(0, len(envelope.packs), 48)])
        self.identity = notary.bundle.identity[SCOPE]
        self.packs = PackReader(locations.storages, notary.vault, notary.privates(), self._listed.digest)
        self.tree = Tree(segments, self.packs, self.identity)

    @property
    def point(self) -> RecoveryPoint:
        return self._point

    def entries(self, prefix: str = "") -> Iterator[Stored]:
        return self.tree.entries(prefix)

    def find(self, path: str) -> Stored | None:
        document = self.tree.find(path)
        return None if document is None else to_stored(document)
