"""The steps between the last byte read and a recovery point, in their order; each is confirmed before the next.

1. the session's packs are durable in every location of the session (``Writer`` drains its sinks);
2. so is the index that tells of them;
3. no pack that the point needs was found dead by a prune, and every pack that it reuses is still stored: a prune that condemned one
   meanwhile waits for this session and pardons it, so this only tells of a location that was set back to an older state of itself;
   nor did a check find one of them damaged everywhere meanwhile;
4. the locks of reused packs reach as far as the new point's own will;
5. the point is put, in every location that is still a member of the session (``vault.locations.placement``): that alone commits.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from holdfast.errors import Unreachable
from holdfast.model import Clock
from holdfast.storage.contract import ObjectMissing, Storage
from holdfast.vault import lock
from holdfast.vault.capture.session.session import Session, check_skew
from holdfast.vault.errors import Condemned, PackMissing, ReusedDamaged
from holdfast.vault.format import names
from holdfast.vault.keys.notary import Notary
from holdfast.vault.locations import Locations
from holdfast.vault.packs import condemned, damage
from holdfast.vault.packs.table import PackTable

_ASKED_SINGLY = 256
"""Up to so many packs are asked for one by one; for more the whole listing is quicker."""


class Commit:
    """Of one session, whose packs and index are durable."""

    def __init__(
        self,
        session: Session,
        table: PackTable,
        *,
        locations: Locations,
        notary: Notary,
        clock: Clock,
        cache: Path,
        system: str,
        age: float,
    ) -> None:
        """``system`` by name; ``age``: seconds since the session began, by a clock that nobody sets."""
        self._session = session
        self._table = table
        self._locations = locations
        self._notary = notary
        self._clock = clock
        self._cache = cache
        self._system = system
        self._age = dt.timedelta(seconds=age)

    def prepare(self) -> bytes:
        """Steps 3 and 4; returns the point's list of packs, 48 bytes each. Raises why nothing may be committed.

        A location that falls silent meanwhile is left out, as it is while packs are stored, and the steps are done again with the others.
        """
        while True:
            try:
                self._session.settle()
                return self._prepare()
            except Unreachable as error:
                self._locations.look_again(error)
            except (Condemned, PackMissing, ObjectMissing):
                if not self._session.leave_late():
                    self._session.require_open()
                    raise

    def _prepare(self) -> bytes:
        packs = self._packs()
        self._session.require_open()
        self._session.leave_late()
        check_not_condemned(self._locations, self._notary, [packs[at : at + 48] for at in range(0, len(packs), 48)])
        check_stored(self._locations, self._table.reused())
        check_not_damaged(self._locations, self._notary, [pack + digest for pack, digest in self._table.reused()])
        self._extend_locks()
        check_skew(self._locations.first, self._clock)
        return packs

    def put(self, make: Callable[[], bytes]) -> None:
        """Step 5: what ``make`` returns for the session's present id. Raises SessionAborted; Unreachable when no location takes it."""
        self._session.commit(make)

    def _packs(self) -> bytes:
        used = self._table.used()
        missing = [pack.hex() for pack, digest in used if digest is None]
        if missing:
            raise PackMissing(
                f"{len(missing)} packs that the point needs were never stored: {', '.join(missing[:3])}.", hint="This is a bug."
            )
        return b"".join(pack + digest for pack, digest in used if digest is not None)

    def _extend_locks(self) -> None:
        """Where a location locks what it holds, what the point reuses (``PackTable.reused``) is locked as long as what is new."""
        lock.before_commit(
            self._locations.storages,
            self._cache,
            reused=[names.pack(pack, digest) for pack, digest in self._table.reused()],
            fresh=lambda: [names.pack(pack, digest or b"") for pack, digest in self._table.used()],
            age=self._age,
            system=self._notary.tag("system", self._system),
            gone=ring.is_out if (ring := self._notary.ring) is not None else lambda _: False,
        )


def check_not_condemned(locations: Locations, notary: Notary, packs: Sequence[bytes]) -> None:
    """No pack that the point needs (48-byte entries) may have been found dead. What is only condemned is pardoned for this session."""
    for storage in locations.storages:
        lists = condemned.read(storage, notary).lists
        hit = sorted({entry for one in lists if one.dead is not None for entry in one.dead}.intersection(packs))
        if hit:
            raise Condemned(
                f"A prune of {storage.url} deletes {len(hit)} packs that this point reuses ({hit[0][:16].hex()} first).",
                hint="Run the backup again: it stores what is missing. Was that location set back to an older state of itself?",
                url=storage.url,
            )


def check_not_damaged(locations: Locations, notary: Notary, packs: Sequence[bytes]) -> None:
    """No pack (48-byte entries) that the point reuses was found damaged in every location since it was chosen."""
    for storage in locations.storages:
        hit = sorted(damage.read(storage, notary).found.keys() & set(packs))
        if hit:
            raise ReusedDamaged(
                f"A check found {len(hit)} packs damaged that this point reuses ({hit[0][:16].hex()} first); nothing was committed.",
                hint="Run the backup again: it stores what they hold once more.",
                packs=[entry[:16].hex() for entry in hit[:10]],
            )


def check_stored(locations: Locations, packs: Sequence[tuple[bytes, bytes]]) -> None:
    """Every pack (id, BLAKE3) that the point reuses lies in every location of the session. Call it after ``check_not_condemned``."""
    wanted = [names.pack(pack, digest) for pack, digest in packs]
    for storage in locations.storages:
        missing = _missing(storage, wanted)
        if missing:
            raise PackMissing(
                f"{len(missing)} packs that this point reuses are no longer in {storage.url} ({missing[0]} first); nothing was committed.",
                hint="Run the backup again: it stores what is missing. If no prune ran, 'holdfast vault check' tells what else was lost.",
                url=storage.url,
                packs=missing[:10],
            )


def _missing(storage: Storage, wanted: Sequence[str]) -> list[str]:
    if len(wanted) > _ASKED_SINGLY:
        held = {info.name for info in storage.list(names.PACKS)}
        return [name for name in wanted if name not in held]
    if not wanted:
        return []
    with ThreadPoolExecutor(8, thread_name_prefix="holdfast-present") as pool:
        return [name for name, found in zip(wanted, pool.map(storage.head, wanted), strict=True) if found is None]
