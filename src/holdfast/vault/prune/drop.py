"""Recovery points go, in an order in which neither a crash nor a commit repeated by a host that slept brings one back.

1. The root signs that the point is dropped, in every location: from then on nobody lists it, whatever stands under its own name.
2. Its object is removed and an abort takes its name, in every location: the name is never free again. This is looked at once more when it
   is done everywhere, since a copy that replaces the abort of a session that came too late may have removed ours instead.
3. The record of the drop goes. A prune that dies before is finished by the next one: the record says what was under way.

"Every location" means those that answer. Where one is silent the point stays, with all that it needs; retention asks for it again.
"""

import contextlib
from collections.abc import Iterable, Sequence

from holdfast.errors import Damaged
from holdfast.storage.contract import ObjectExists, ObjectMissing, Storage
from holdfast.vault.format import names
from holdfast.vault.keys.notary import Notary
from holdfast.vault.points import holds
from holdfast.vault.prune.errors import PruneUnsure
from holdfast.vault.prune.mark import PackLists, mark
from holdfast.vault.vault import Vault

_TRIES = 20
DROPPED = "dropped"
LEASE = "lease"


def drop_points(vault: Vault, storages: Sequence[Storage], wanted: Sequence[str], lists: PackLists | None = None) -> int:
    """Drop the points ``wanted`` that are not held, and finish what an earlier prune began; returns how many of ``wanted`` went."""
    marked = [mark(storage, vault.notary, lists) for storage in storages]
    there = set().union(*(one.points | one.coming for one in marked))
    begun = set().union(*(one.dropped for one in marked))
    held = _held(vault)
    going = [session for session in wanted if session in there and session not in held]
    for session in going:
        _record(vault, storages, session)
    # A hold placed meanwhile: whoever placed it looks for our record afterwards, so one of the two sees the other.
    late = _held(vault).intersection(going) if going else set()
    for session in late:
        for storage in storages:
            storage.delete(names.dropped(session))
    for session in sorted(begun.union(going) - late):
        _record(vault, storages, session)
        abort = make_abort(vault, session, DROPPED)
        for storage in storages:
            _replace(storage, vault.notary, names.point(session), abort)
            storage.delete(names.coming(session))
        # A copy may have taken ours for the abort that it read before, and put the point in its place. One that does so later than we look
        # here finds the record, or an abort for good where it has the point from, and puts that itself.
        for storage in storages:
            _replace(storage, vault.notary, names.point(session), abort)
        for storage in storages:
            storage.delete(names.dropped(session))
    return len(set(going) - late)


def make_abort(vault: Vault, session: str, why: str) -> bytes:
    """The envelope that takes a session's one name, so that it can never commit here.

    ``why``: DROPPED, for good; or LEASE, since the session came too late: if its point is in another location, a copy may bring it.
    """
    return vault.notary.make(names.point(session), "abort", vault.now(), {"session": session, "why": why})


def _held(vault: Vault) -> set[str]:
    return {hold.point for hold in holds.current(vault.locations, vault.notary)}


def _record(vault: Vault, storages: Iterable[Storage], session: str) -> None:
    """The record of the drop, in every location; one that stands there already is left."""
    name = names.dropped(session)
    data = vault.notary.make(name, "drop", vault.now(), {"session": session})
    for storage in storages:
        try:
            storage.put_if_absent(name, [data])
        except ObjectExists:
            # Another prune is at it as well; when it is over, an abort stands in the point's place, which we shall find.
            with contextlib.suppress(ObjectMissing):
                vault.notary.check(name, storage.get(name), "drop")


def _replace(storage: Storage, notary: Notary, name: str, abort: bytes) -> None:
    """An abort for good under ``name``, whatever stood there."""
    for _ in range(_TRIES):
        try:
            found = notary.check(name, storage.get(name))
            if found.kind == "abort" and found.clear.get("why") != LEASE:
                return
        except (ObjectMissing, Damaged):
            pass
        storage.delete(name)
        try:
            storage.put_if_absent(name, [abort])
        except ObjectExists:
            continue  # a commit was repeated between the two calls: it is taken away again
        return
    raise PruneUnsure(
        f"{name} in {storage.url} comes back each time it is removed: its writer repeats its commit.",
        hint="Stop the backup that does so, then prune again. The point is not listed any more.",
        object=name,
        url=storage.url,
    )
