"""Recovery points go, in an order in which neither a crash nor a commit repeated by a host that slept brings one back.

1. The root signs that the point is dropped, in every location: from then on nobody lists it, whatever stands under its own name.
2. Its object is removed and an abort takes its name, in every location: the name is never free again.
3. The record of the drop goes. A prune that dies before is finished by the next one: the record says what was under way.
"""

from collections.abc import Iterable, Sequence

from holdfast.errors import Damaged
from holdfast.storage.contract import ObjectExists, ObjectMissing, Storage
from holdfast.vault import holds, names
from holdfast.vault.notary import Notary
from holdfast.vault.prune.errors import PruneUnsure
from holdfast.vault.prune.mark import mark
from holdfast.vault.vault import Vault

_TRIES = 20


def drop_points(vault: Vault, wanted: Sequence[str]) -> int:
    """Drop the points ``wanted`` that are not held, and finish what an earlier prune began; returns how many of ``wanted`` went."""
    storages = vault.locations.storages
    marked = mark(storages, vault.notary)
    _spread_aborts(vault, marked.uneven)
    going = [session for session in wanted if session in marked.points and session not in _held(vault)]
    for session in going:
        _record(vault, session)
    # A hold placed meanwhile: whoever placed it looks for our record afterwards, so one of the two sees the other.
    late = _held(vault).intersection(going)
    for session in late:
        vault.locations.delete(names.dropped(session))
    for session in sorted(marked.dropped.union(going) - late):
        _record(vault, session)
        abort = make_abort(vault, session)
        for storage in storages:
            _replace(storage, vault.notary, names.point(session), abort)
        for storage in storages:
            storage.delete(names.dropped(session))
    return len(set(going) - late)


def make_abort(vault: Vault, session: str) -> bytes:
    """The envelope that takes a session's one name, so that it can never commit."""
    return vault.notary.make(names.point(session), "abort", vault.now(), {"session": session})


def _held(vault: Vault) -> set[str]:
    return {hold.point for hold in holds.current(vault.locations, vault.notary)}


def _record(vault: Vault, session: str) -> None:
    """The record of the drop, in every location; one that stands there already is left."""
    name = names.dropped(session)
    data = vault.notary.make(name, "drop", vault.now(), {"session": session})
    for storage in vault.locations.storages:
        try:
            storage.put_if_absent(name, [data])
        except ObjectExists:
            vault.notary.check(name, storage.get(name), "drop")


def _replace(storage: Storage, notary: Notary, name: str, abort: bytes) -> None:
    """An abort under ``name``, whatever stood there."""
    for _ in range(_TRIES):
        try:
            if notary.check(name, storage.get(name)).kind == "abort":
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


def _spread_aborts(vault: Vault, sessions: Iterable[str]) -> None:
    """What one location records as aborted can be committed nowhere: a location that lacks the record gets it."""
    for session in sorted(sessions):
        name = names.point(session)
        data = vault.locations.read(name, lambda data, name=name: _abort_only(vault.notary, name, data))  # type: ignore[misc]
        for storage in vault.locations.storages:
            if storage.head(name) is None:
                put_same_or_leave(storage, name, data)


def _abort_only(notary: Notary, name: str, data: bytes) -> bytes:
    notary.check(name, data, "abort")
    return data


def put_same_or_leave(storage: Storage, name: str, data: bytes) -> None:
    """Put; what stands there already stays: the next mark judges it."""
    try:
        storage.put_if_absent(name, [data])
    except ObjectExists:
        return
