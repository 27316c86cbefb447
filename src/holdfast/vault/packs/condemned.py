"""What prunes are about to delete in one location, and what they deleted lately: read alike by writers, prunes, copies and heals.

Three objects tell of one list, each put if absent and each signed by an owner (docs/prune-protocol.md):

- ``condemned/<id>``: packs that a prune found unneeded. No session that begins later reuses them.
- ``condemned/<id>.behind``: the sessions that were open when the list stood. Until each is decided, nothing on the list is deleted.
- ``condemned/<id>.dead``: the verdict, made once: what of the list is deleted. The rest is pardoned.

After the deletion the three stay for a while: a copy brings back nothing that a prune may still be deleting.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from holdfast.errors import Damaged
from holdfast.storage.contract import ObjectMissing, Storage
from holdfast.vault.format import names
from holdfast.vault.format.envelope import PACK_ENTRY, Envelope
from holdfast.vault.keys.notary import Notary

Believe = Callable[[str, bytes], Envelope]
"""An object's name and bytes to a believed envelope of kind ``condemned``; raises Damaged."""

BEHIND = ".behind"
DEAD = ".dead"


@dataclass(frozen=True, slots=True)
class CondemnedList:
    """``packs`` and ``dead`` are 48-byte entries (id ‖ BLAKE3); ``behind`` session ids. None: not written yet.

    ``packs`` is None for a list that cannot be believed or read. ``since``: when the newest of its objects was stored, by the store's time.
    """

    id: str
    packs: frozenset[bytes] | None
    behind: frozenset[str] | None
    dead: frozenset[bytes] | None
    since: dt.datetime

    @property
    def going(self) -> frozenset[bytes]:
        """What nobody may begin to rely on."""
        return self.dead if self.dead is not None else (self.packs or frozenset())


@dataclass(frozen=True, slots=True)
class CondemnedLists:
    """All lists of one location. ``orphans``: names of companions whose list is gone; they mean nothing any more."""

    lists: Sequence[CondemnedList]
    orphans: Sequence[str]

    @property
    def going(self) -> set[bytes]:
        """Entries of all packs that nobody may begin to rely on."""
        return set().union(*(one.going for one in self.lists))

    @property
    def unknown(self) -> bool:
        """Some list cannot be read and has no verdict yet: any pack could stand on it."""
        return any(one.packs is None and one.dead is None for one in self.lists)


def name(list_id: str) -> str:
    return f"{names.CONDEMNED}{list_id}"


def read(storage: Storage, notary: Notary) -> CondemnedLists:
    """Read after a session (or a staged point) of one's own stands in the location: a prune writes its list before it looks for those."""
    return read_believed(storage, lambda name, data: notary.check(name, data, "condemned"))


def read_believed(storage: Storage, believe: Believe) -> CondemnedLists:
    """The same for who has no key."""
    found = {info.name[len(names.CONDEMNED) :]: info for info in storage.list(names.CONDEMNED)}
    lists, orphans = [], []
    for key, info in found.items():
        identity, dot, _ = key.partition(".")
        if dot:
            if identity not in found:
                orphans.append(info.name)
            continue
        companions = [found[identity + suffix] for suffix in (BEHIND, DEAD) if identity + suffix in found]
        packs, gone = _get(storage, believe, name(identity))
        if gone:
            continue  # all that was dead on it is deleted
        behind, _ = _get(storage, believe, name(identity) + BEHIND) if identity + BEHIND in found else (None, True)
        dead, _ = _get(storage, believe, name(identity) + DEAD) if identity + DEAD in found else (None, True)
        lists.append(
            CondemnedList(
                identity,
                None if packs is None else frozenset(entries(packs)),
                None if behind is None else frozenset(str(one) for one in behind.clear.get("sessions", ())),
                None if dead is None else frozenset(entries(dead)),
                max(one.modified for one in (info, *companions)),
            )
        )
    return CondemnedLists(lists, orphans)


def entries(envelope: Envelope) -> Iterable[bytes]:
    """The pack entries of an envelope's list, 48 bytes each."""
    return (envelope.packs[at : at + PACK_ENTRY] for at in range(0, len(envelope.packs), PACK_ENTRY))


def _get(storage: Storage, believe: Believe, object_name: str) -> tuple[Envelope | None, bool]:
    """(the envelope, None when it is damaged or forged; whether the object is gone)."""
    try:
        return believe(object_name, storage.get(object_name)), False
    except ObjectMissing:
        return None, True
    except Damaged:
        return None, False
