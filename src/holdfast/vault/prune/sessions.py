"""Which sessions stand in one location, by that location's own clock."""

import datetime as dt
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from holdfast.errors import Damaged
from holdfast.storage.contract import Storage
from holdfast.vault.format import names
from holdfast.vault.keys.notary import Notary

LONGEST_LEASE = dt.timedelta(hours=24)
"""A session object may ask for less, never for more: a forged or foolish one must not stop prunes for ever."""

_NAME = re.compile(r"sessions/([0-9a-f]{32})(?:\.([0-9]+))?\Z")


@dataclass(frozen=True, slots=True)
class SessionSeen:
    """``objects`` are its names here; ``decided``: committed or aborted here; ``left``: of its lease, zero or less when it ended.

    ``system``: the tag of what it backs up, '' when it does not say. ``earlier``: sessions whose choices it goes on with.
    """

    id: str
    objects: tuple[str, ...]
    decided: bool
    left: dt.timedelta
    system: str = ""
    earlier: tuple[str, ...] = ()

    @property
    def alive(self) -> bool:
        return not self.decided and self.left > dt.timedelta(0)


def seen(storage: Storage, notary: Notary) -> Mapping[str, SessionSeen]:
    """All sessions of backups (followers' leases are not among them: they reuse no packs)."""
    # Sessions first: one that commits between the two listings is seen as decided, never as one that has no object.
    found: dict[str, list[tuple[dt.datetime, str]]] = {}
    for info in storage.list(names.SESSIONS):
        match = _NAME.match(info.name)
        if match is not None:
            found.setdefault(match[1], []).append((info.modified, info.name))
    if not found:
        return {}
    decided = {parsed[0] for info in storage.list(names.POINTS) if (parsed := names.parse_point(info.name)) is not None and not parsed[1]}
    now = storage.now()
    return {session: _one(storage, notary, session, objects, now, decided) for session, objects in sorted(found.items())}


def followers_of(found: Iterable[SessionSeen], behind: Collection[str]) -> set[str]:
    """Undecided sessions that go on with what one of ``behind`` chose, directly or through others."""
    rest = [one for one in found if not one.decided and one.earlier]
    reached = set(behind)
    while more := {one.id for one in rest if one.id not in reached and reached.intersection(one.earlier)}:
        reached |= more
    return reached.difference(behind)


def _one(
    storage: Storage,
    notary: Notary,
    session: str,
    objects: Sequence[tuple[dt.datetime, str]],
    now: dt.datetime,
    decided: Collection[str],
) -> SessionSeen:
    names_here = tuple(sorted(name for _, name in objects))
    if session in decided:
        return SessionSeen(session, names_here, decided=True, left=dt.timedelta(0))
    newest, name = max(objects)
    try:
        clear: Mapping[str, object] = notary.check(name, storage.get(name), "session").clear
    except Damaged:
        # A session may stand behind an object that cannot be believed: it is given the longest lease.
        clear = {}
    seconds, system, earlier = clear.get("lease"), clear.get("system"), clear.get("earlier")
    lease = dt.timedelta(seconds=seconds) if isinstance(seconds, int) and 0 < seconds < LONGEST_LEASE.total_seconds() else LONGEST_LEASE
    return SessionSeen(
        session,
        names_here,
        decided=False,
        left=newest + lease - now,
        system=system if isinstance(system, str) else "",
        earlier=tuple(str(one) for one in earlier) if isinstance(earlier, list) else (),
    )
