"""The prune of one location: by its own points, its own sessions and its own clock, beside whoever works there.

Why nothing needed is ever deleted is argued in docs/prune-protocol.md. The order:

1. Sessions whose lease ended are aborted, at the one name by which they could commit here.
2. What no point here needs is condemned: a list, put before anybody looks for sessions.
3. Each list is told, once, which undecided sessions stood behind it.
4. When all of those are decided, a fresh mark gives the list its verdict, once: what is dead, what is pardoned. A session that runs on
   keeps its lists waiting; nobody waits for anybody in a process, the next prune goes on.
5. What a verdict calls dead is deleted, now or after any crash: it can never be needed again.
6. Records of damage and index objects that speak of nothing else go, sessions that were decided, lists whose dead were gone for a week.
"""

import contextlib
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.errors import Damaged
from holdfast.model import Progress
from holdfast.storage.contract import ObjectExists, ObjectInfo, ObjectLocked, Storage
from holdfast.vault import lock
from holdfast.vault.errors import RoleLacking
from holdfast.vault.format import names
from holdfast.vault.index import objects
from holdfast.vault.locations import get_if_there
from holdfast.vault.packs import condemned, damage
from holdfast.vault.packs.condemned import CondemnedList
from holdfast.vault.prune import sessions
from holdfast.vault.prune.drop import LEASE, make_abort
from holdfast.vault.prune.errors import PruneUnsure
from holdfast.vault.prune.mark import Marked, PackLists, mark, stored_packs
from holdfast.vault.vault import Vault

REMEMBERED = dt.timedelta(days=7)
"""So long a copy brings back nothing that was deleted here: a prune that slept before its last call may still make it."""


@dataclass(frozen=True, slots=True)
class PlaceDone:
    """``waiting``: packs on lists that have no verdict yet, and ``behind``: the sessions that they wait for."""

    url: str
    packs: int
    indexes: int
    aborted: int
    pardoned: int
    bytes: int
    waiting: int
    behind: tuple[str, ...]


class Place:
    """``elsewhere``: what points of other locations need, so that no copy need bring it again; a kindness, no safety rests on it. So is
    ``since``: what was stored later is left alone, since a session that runs in some location may have stored it.
    """

    def __init__(
        self,
        vault: Vault,
        storage: Storage,
        *,
        grace: dt.timedelta,
        elsewhere: Callable[[], set[bytes]] = set,
        since: dt.datetime | None = None,
        lists: PackLists | None = None,
        progress: Progress,
    ) -> None:
        self._vault = vault
        self._notary = vault.notary
        self._storage = storage
        self._grace = grace
        self._elsewhere = elsewhere
        self._since = since
        self._lists = lists or PackLists()
        self._progress = progress

    def prune(self) -> PlaceDone:
        """Raises PruneUnsure before anything is deleted that could be needed, and the storage's errors: the next prune goes on."""
        aborted = self._abort_expired()
        self._condemn()
        for one in condemned.read(self._storage, self._notary).lists:
            if one.behind is None and one.dead is None:
                self._look_behind(one)
        # Read before the sessions and the points: a list of another prune that comes later is none of ours to judge.
        lists = condemned.read(self._storage, self._notary)
        # Sessions of which we just wrote that they stand behind a list may have come too late already.
        aborted += self._abort_expired()
        found = sessions.seen(self._storage, self._notary)
        marked = mark(self._storage, self._notary, self._lists)
        spared = self._elsewhere()
        dead: set[bytes] = set()
        waiting: set[bytes] = set()
        behind: set[str] = set()
        pardoned = 0
        for one in lists.lists:
            verdict = one.dead
            if verdict is None:
                stands = self._open_behind(one, marked, found)
                if stands is None or stands or one.packs is None:
                    behind |= stands or set()
                    waiting |= one.packs or set()
                    continue
                verdict = self._verdict(one, marked, spared)
                pardoned += len(one.packs - verdict)
            dead |= verdict
        self._require_unneeded(dead, marked)
        packs, size = self._delete(dead)
        self._delete_records()
        indexes = self._delete_indexes()
        self._delete_sessions(found, marked)
        self._forget(lists.orphans)
        return PlaceDone(self._storage.url, packs, indexes, aborted, pardoned, size, len(waiting), tuple(sorted(behind)))

    # ------------------------------------------------------------ sessions

    def _abort_expired(self) -> int:
        """Returns how many did not commit meanwhile."""
        count = 0
        for one in sessions.seen(self._storage, self._notary).values():
            if not one.decided and not one.alive:
                name = names.point(one.id)
                try:
                    self._storage.put_if_absent(name, [make_abort(self._vault, one.id, LEASE)])
                except ObjectExists:
                    continue  # it committed, or another prune was here
                count += 1
        return count

    def _open_behind(self, one: CondemnedList, marked: Marked, found: Mapping[str, sessions.SessionSeen]) -> set[str] | None:
        """Sessions that may have chosen, before the list stood, what is on it, and can commit still; None where nobody wrote down which."""
        if one.behind is None:
            return None
        behind = one.behind
        undecided = set(behind - marked.decided)
        # ``found`` is older than ``marked``: one that goes on with another's choices and is not in it began after that one was decided.
        return undecided | {later for later in sessions.followers_of(found.values(), behind) if later not in marked.decided}

    def _delete_sessions(self, found: Mapping[str, sessions.SessionSeen], marked: Marked) -> None:
        """Sessions that were decided need no object any more."""
        for one in found.values():
            if one.id in marked.points | marked.aborted:
                for name in one.objects:
                    with contextlib.suppress(ObjectLocked):  # where the bucket locks everything by itself
                        self._storage.delete(name)

    # ------------------------------------------------------------ lists

    def _condemn(self) -> None:
        marked = mark(self._storage, self._notary, self._lists)
        spared = self._elsewhere()
        known = condemned.read(self._storage, self._notary)
        listed = known.going
        broken = [one for one in known.lists if one.packs is None and one.dead is None]
        old = self._storage.now() - self._grace
        if self._since is not None:
            old = min(old, self._since)
        unneeded = [
            entry
            for entry, info in stored_packs(self._storage).items()
            if entry not in marked.packs and (broken or (entry not in listed and entry not in spared and info.modified <= old))
        ]
        if unneeded:
            self._put(condemned.name(self._notary.random(16).hex()), packs=b"".join(sorted(unneeded)))
        # What stood on a list that cannot be read any more is unneeded still, so it stands on ours now.
        for one in broken:
            self._remove(one)

    def _look_behind(self, one: CondemnedList) -> None:
        """Listed after the list was put: whoever began later reads it."""
        # One that is damaged is written anew: what was open then is open still, or was decided and shows in the mark.
        self._storage.delete(condemned.name(one.id) + condemned.BEHIND)
        undecided = sorted(seen.id for seen in sessions.seen(self._storage, self._notary).values() if not seen.decided)
        self._put(condemned.name(one.id) + condemned.BEHIND, {"sessions": undecided})

    def _verdict(self, one: CondemnedList, marked: Marked, spared: set[bytes]) -> frozenset[bytes]:
        """Of this list, once and for all: whoever comes second takes what the first one said."""
        dead = (one.packs or frozenset()) - marked.packs - spared
        name = condemned.name(one.id) + condemned.DEAD
        if not self._put(name, packs=b"".join(sorted(dead))):
            stands = get_if_there(self._storage, name)
            if stands is None:
                return frozenset()  # the list is gone, and its verdict with it: a list goes first
            dead = frozenset(condemned.entries(self._notary.check(name, stands, "condemned")))
        if self._storage.head(condemned.name(one.id)) is None:
            # Another prune finished with the list while this one slept: its verdict is gone, and ours says nothing.
            self._storage.delete(name)
            return frozenset()
        return dead

    def _forget(self, orphans: Sequence[str]) -> None:
        """Lists whose dead are gone and that are old enough; the list first: without it its companions mean nothing."""
        for name in orphans:
            # A listing may miss a list whose put is not answered yet; asked by name it is there.
            if self._storage.head(name.partition(".")[0]) is None:
                self._storage.delete(name)
        stored: Mapping[bytes, ObjectInfo] | None = None
        for one in condemned.read(self._storage, self._notary).lists:
            if one.dead is None or (one.dead and self._storage.now() - one.since < REMEMBERED):
                continue
            stored = stored_packs(self._storage) if stored is None else stored
            if not any(entry in stored for entry in one.dead):
                self._remove(one)

    def _remove(self, one: CondemnedList) -> None:
        for suffix in ("", condemned.BEHIND, condemned.DEAD):
            self._storage.delete(condemned.name(one.id) + suffix)

    def _put(self, name: str, fields: Mapping[str, Any] | None = None, packs: bytes = b"") -> bool:
        try:
            self._storage.put_if_absent(name, [self._notary.make(name, "condemned", self._vault.now(), fields, packs=packs)])
        except ObjectExists:
            return False
        return True

    # ------------------------------------------------------------ deletion

    def _require_unneeded(self, dead: set[bytes], marked: Marked) -> None:
        """What no run of this protocol leads to, but a location set back to an older state, or a point put there by hand."""
        # Not what is coming: a copy may stage a point that needs what is dead already, and then it waits.
        needed = dead & marked.standing
        if needed:
            needed &= stored_packs(self._storage).keys()
        if needed:
            raise PruneUnsure(
                f"{len(needed)} packs in {self._storage.url} were found dead and are needed by a recovery point now"
                f" ({next(iter(needed))[:16].hex()} first). Nothing was deleted.",
                hint="Was the location set back to an older state? Look with 'holdfast vault check', then remove the objects below"
                " condemned/ by hand.",
                url=self._storage.url,
            )

    def _delete(self, dead: set[bytes]) -> tuple[int, int]:
        """(packs, bytes) that went."""
        there = [info for entry, info in stored_packs(self._storage).items() if entry in dead]
        # What is locked stays condemned until its lock ends.
        held = lock.locked([self._storage], [info.name for info in there])
        going = [info for info in there if info.name not in held]
        self._progress.phase(f"deleting packs in {self._storage.url}", sum(info.size for info in going))
        for info in going:
            self._storage.delete(info.name)
            self._progress.advance(info.size)
        return len(going), sum(info.size for info in going)

    def _delete_records(self) -> None:
        """Records that a pack is damaged, where the pack is gone, or that nobody believes."""
        records = damage.read(self._storage, self._notary)
        if records.found or records.void:
            stored = stored_packs(self._storage)
            for name in (*records.void, *(damage.name(entry) for entry in records.found if entry not in stored)):
                with contextlib.suppress(ObjectLocked):  # where the bucket locks everything by itself
                    self._storage.delete(name)

    def _delete_indexes(self) -> int:
        """Index objects none of whose packs are stored. One that cannot be read stays: ``check`` tells of it."""
        # Indexes first: a pack is stored before the index that tells of it, so a running session's is never taken for an old one.
        listed = [info.name for info in self._storage.list(names.INDEX)]
        present = {entry[:16] for entry in stored_packs(self._storage)}
        count = 0
        for name in listed:
            try:
                packs = objects.decode(name, self._notary.open(self._notary.check(name, self._storage.get(name), "index")))
            except (Damaged, RoleLacking):
                continue  # also one of a scope whose key is not open
            if not any(pack.id in present for pack in packs):
                with contextlib.suppress(ObjectLocked):  # it goes with the first prune after its lock
                    self._storage.delete(name)
                    count += 1
        return count
