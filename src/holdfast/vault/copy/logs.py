"""Which log increments a location lacks."""

from collections.abc import Iterable, Sequence

from holdfast.model import Increment
from holdfast.storage.contract import ObjectInfo
from holdfast.vault.logs.names import furthest, increments


def lacking_increments(elsewhere: Iterable[ObjectInfo], here: Iterable[ObjectInfo]) -> tuple[list[Increment], int]:
    """(increments whose positions are not all covered here, in order of branch and position; how many need no copy).

    Of several that cover one position the one that reaches furthest is taken: what a compacted one doubles is not copied.
    """
    covered = {folder: list(furthest(found, 0)) for folder, found in _by_branch(here).items()}
    missing: list[Increment] = []
    there = 0
    for folder, found in sorted(_by_branch(elsewhere).items()):
        own = covered.get(folder, [])
        names = {one.name for one in own}
        for one in furthest(found, 0):
            if one.name in names or covers(own, one.start, one.end):
                there += 1
            else:
                missing.append(one)
    return missing, there


def covers(sorted_increments: Sequence[Increment], start: int, end: int) -> bool:
    """Whether all of [start, end) is in them."""
    position = start
    for one in sorted_increments:
        if one.start <= position < one.end:
            position = one.end
    return position >= end


def _by_branch(infos: Iterable[ObjectInfo]) -> dict[str, list[Increment]]:
    found: dict[str, list[Increment]] = {}
    for one in increments(infos):
        found.setdefault(one.name.rsplit("/", 1)[0], []).append(one)
    return {folder: sorted(some, key=lambda one: (one.start, one.end)) for folder, some in found.items()}
