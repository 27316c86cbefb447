"""Which sessions are alive, by the first location's own clock."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.errors import Damaged
from holdfast.storage.contract import Storage
from holdfast.vault import names
from holdfast.vault.notary import Notary

LONGEST_LEASE = dt.timedelta(hours=24)
"""A session object may ask for less, never for more: a forged or foolish one must not stop prunes for ever."""

_NAME = re.compile(r"sessions/([0-9a-f]{32})(?:\.([0-9]+))?\Z")


@dataclass(frozen=True, slots=True)
class SessionSeen:
    """``objects`` are its names; ``decided``: committed or aborted; ``left``: of its lease, zero or less when it ended."""

    id: str
    objects: tuple[str, ...]
    decided: bool
    left: dt.timedelta

    @property
    def alive(self) -> bool:
        return not self.decided and self.left > dt.timedelta(0)


def seen(storages: Sequence[Storage], notary: Notary) -> Mapping[str, SessionSeen]:
    """All sessions of backups in the first location (followers' leases are not among them: they reuse no packs).

    A point in any location counts as decided: one that the first location lost must not be aborted there.
    """
    storage = storages[0]
    now = storage.now()
    found: dict[str, list[tuple[dt.datetime, str]]] = {}
    for info in storage.list(names.SESSIONS):
        match = _NAME.match(info.name)
        if match is not None:
            found.setdefault(match[1], []).append((info.modified, info.name))
    decided = {info.name[len(names.POINTS) :] for each in storages for info in each.list(names.POINTS)}
    return {
        session: SessionSeen(
            session,
            tuple(name for _, name in objects),
            session in decided,
            max(objects)[0] + _lease(storage, notary, max(objects)[1]) - now,
        )
        for session, objects in found.items()
    }


def _lease(storage: Storage, notary: Notary, name: str) -> dt.timedelta:
    """An object that cannot be believed is given the longest: a session may stand behind it."""
    try:
        seconds = notary.check(name, storage.get(name), "session").clear.get("lease")
    except Damaged:
        return LONGEST_LEASE
    return min(dt.timedelta(seconds=seconds), LONGEST_LEASE) if isinstance(seconds, int) and seconds > 0 else LONGEST_LEASE
