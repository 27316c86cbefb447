"""What was listed and is gone, or is not there yet: did somebody remove it who may, is somebody bringing it, or is it lost?

A check goes on beside backups, prunes, copies and changes of keys, so it asks again before it calls anything lost.
"""

import contextlib
import datetime as dt
from collections.abc import Collection, Sequence

from holdfast.errors import Damaged
from holdfast.model import Increment, RecoveryPoint
from holdfast.storage.contract import Storage
from holdfast.vault.check.gaps import position_of
from holdfast.vault.copy.judge import Judge
from holdfast.vault.format import names
from holdfast.vault.keys.notary import Notary
from holdfast.vault.locations import get_if_there

_TRIES = 5
_COME_AND_GO = (names.SESSIONS, names.CONDEMNED, names.DAMAGED, names.INDEX, "aside/", "probe/")
"""Prunes, followers, checks and people remove these. Of packs that an index no longer tells of there is a finding of their own."""
_KEYS = "keys/"
STALE = dt.timedelta(days=7)
"""What was staged so long ago, by the store's time, is of a copy that was cut off: nobody is about to finish it."""


class Vanished:
    """``storages``: all locations of the vault that answer."""

    def __init__(self, storages: Sequence[Storage], notary: Notary) -> None:
        self._storages = tuple(storages)
        self._notary = notary

    def lost(self, storage: Storage, name: str) -> bool:
        """Whether ``name``, which is not there (any more), should be. Not for packs and logs."""
        if name.startswith(_COME_AND_GO):
            return False
        if name.startswith(names.POINTS):
            return self._point_lost(storage, name)
        return storage.head(name) is None and not (name.startswith(_KEYS) and self._removed(name))

    def pack_lost(self, storage: Storage, name: str, points: Collection[str]) -> bool:
        """Whether a pack that is not there is needed by any of these points: one that a prune removed needs nothing."""
        return any(self._stands(storage, point) for point in points) and storage.head(name) is None

    def log_lost(self, storage: Storage, one: Increment, own: Sequence[Increment], points: Sequence[RecoveryPoint]) -> bool:
        """Whether an increment that this location lacks should be there. ``own``: what it holds of the branch, in order.

        Not one that no location holds any more; nor one before all that this one holds and that no point is replayed from: a prune trims
        the oldest first, location by location.
        """
        if storage.head(one.name) is not None or all(other.head(one.name) is None for other in self._storages):
            return False
        folder = one.name.rpartition("/")[0]
        starts = [
            position_of(point.start)
            for point in points
            if point.logs is not None
            and f"{names.LOGS}{self._notary.tag('system', point.system)}/{self._notary.tag('branch', point.logs)}" == folder
        ]
        trimmed = bool(own) and one.end <= own[0].start and all(start is not None and start >= one.end for start in starts)
        return not trimmed

    def _point_lost(self, storage: Storage, name: str) -> bool:
        parsed = names.parse_point(name)
        if parsed is None or parsed[1]:
            return False  # what is staged, or a record of a drop
        for _ in range(_TRIES):
            # An abort takes the place of a point that was dropped; until then the record says so. The point of another location takes the
            # place of an abort; until then it is staged.
            if any(storage.head(one) is not None for one in (name, names.dropped(parsed[0]))):
                return False
            staged = storage.head(names.coming(parsed[0]))
            if staged is not None and storage.now() - staged.modified < STALE:
                return False
        return True

    def _stands(self, storage: Storage, point: str) -> bool:
        name = names.point(point)
        data = get_if_there(storage, name)
        if data is None or storage.head(names.dropped(point)) is not None:
            return False
        with contextlib.suppress(Damaged):
            return self._notary.check(name, data).kind == "point"
        return True

    def _removed(self, name: str) -> bool:
        """A change of keys took it out of force; the newest keyring says so."""
        return Judge(self._storages).withheld(name) is not None
