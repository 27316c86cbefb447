"""Brings the locations of a branch to one state: what one has, all get."""

import contextlib
from collections.abc import Callable, Mapping, Sequence

from holdfast.errors import Damaged, HoldfastError, Unreachable
from holdfast.model import Increment
from holdfast.storage.contract import ObjectExists, Storage
from holdfast.vault.keys.notary import Notary
from holdfast.vault.logs import body, names

Listed = Mapping[str, Increment]


def listed(storage: Storage, folder: str, position: int | None) -> dict[str, Increment]:
    """Increments of a branch by name: all, or those that a reader at ``position`` may need and what lies behind."""
    after = f"{folder}{max(0, position - names.LONGEST):016x}" if position else ""
    return {one.name: one for one in names.increments(storage.list(folder, after))}


def reaches(found: Listed, position: int) -> bool:
    """Whether something there covers the byte before ``position``: the state that was remembered is the one that is there."""
    return any(one.start < position <= one.end for one in found.values())


def fill(notary: Notary, source: tuple[Storage, Listed], target: tuple[Storage, Listed], stop: Callable[[], bool] = lambda: False) -> int:
    """Copy what the target lacks; returns how much that was. What is not believed is copied nowhere. Raises what the storages raise."""
    missing = sorted(source[1].keys() - target[1].keys())
    for name in missing:
        if stop():
            break
        data = _sound(notary, source[0], name)
        if data is not None:
            _put(target[0], name, data)
    return len(missing)


def level(notary: Notary, held: Sequence[tuple[Storage, Listed]], failed: Callable[[Storage, HoldfastError], None]) -> set[str]:
    """Every location gets what any other has. ``failed`` is told who does not serve or take: it raises, or leaves that one out.

    Returns the names that are not believed.
    """
    refused: set[str] = set()
    out: set[int] = set()

    def leave_out(storage: Storage, error: HoldfastError) -> None:
        out.add(id(storage))
        failed(storage, error)

    for name in sorted(set().union(*(found for _, found in held))):
        lacking = [storage for storage, found in held if name not in found and id(storage) not in out]
        if not lacking:
            continue
        for storage, found in held:
            if name not in found or id(storage) in out:
                continue
            try:
                data = _sound(notary, storage, name)
            except Unreachable as error:
                leave_out(storage, error)
                continue
            if data is None:
                refused.add(name)
                break
            for other in lacking:
                try:
                    _put(other, name, data)
                except Unreachable as error:
                    leave_out(other, error)
            break
    return refused


def _sound(notary: Notary, storage: Storage, name: str) -> bytes | None:
    """None for what is gone meanwhile, damaged or not believed."""
    try:
        data = storage.get(name)
        body.check(notary, name, data)
    except Damaged:
        return None
    return data


def _put(storage: Storage, name: str, data: bytes) -> None:
    with contextlib.suppress(ObjectExists):
        storage.put_if_absent(name, [data])
