"""Which sessions are alive, by the clocks of the locations themselves."""

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
    """``objects`` are its names; ``decided``: committed or aborted; ``left``: of its lease, zero or less when it ended.

    ``storages``: the locations that hold it, in the order in which it was written; the first decides between commit and abort. (A system
    may be kept in some of the vault's locations only.)
    """

    id: str
    objects: tuple[str, ...]
    decided: bool
    left: dt.timedelta
    storages: tuple[Storage, ...]

    @property
    def alive(self) -> bool:
        return not self.decided and self.left > dt.timedelta(0)


def seen(storages: Sequence[Storage], notary: Notary) -> Mapping[str, SessionSeen]:
    """All sessions of backups in any location (followers' leases are not among them: they reuse no packs).

    A lease counts as long as any location says so. A point in any location counts as decided: one that the first location lost must not
    be aborted there.
    """
    # Sessions first: one that commits between the two listings is seen as decided, never as one that has no object.
    found = [_by_session(storage) for storage in storages]
    decided = {
        parsed[0]
        for each in storages
        for info in each.list(names.POINTS)
        if (parsed := names.parse_point(info.name)) is not None and not parsed[1]
    }
    result = {}
    for session in sorted(set().union(*found)):
        holding = [(storage, some[session]) for storage, some in zip(storages, found, strict=True) if session in some]
        over = session in decided
        result[session] = SessionSeen(
            session,
            tuple(sorted({name for _, objects in holding for _, name in objects})),
            over,
            dt.timedelta(0) if over else max(_left(storage, notary, objects) for storage, objects in holding),
            tuple(storage for storage, _ in holding),
        )
    return result


def _by_session(storage: Storage) -> dict[str, list[tuple[dt.datetime, str]]]:
    found: dict[str, list[tuple[dt.datetime, str]]] = {}
    for info in storage.list(names.SESSIONS):
        match = _NAME.match(info.name)
        if match is not None:
            found.setdefault(match[1], []).append((info.modified, info.name))
    return found


def _left(storage: Storage, notary: Notary, objects: Sequence[tuple[dt.datetime, str]]) -> dt.timedelta:
    newest, name = max(objects)
    return newest + _lease(storage, notary, name) - storage.now()


def _lease(storage: Storage, notary: Notary, name: str) -> dt.timedelta:
    """An object that cannot be believed is given the longest: a session may stand behind it."""
    try:
        seconds = notary.check(name, storage.get(name), "session").clear.get("lease")
    except Damaged:
        return LONGEST_LEASE
    return min(dt.timedelta(seconds=seconds), LONGEST_LEASE) if isinstance(seconds, int) and seconds > 0 else LONGEST_LEASE
