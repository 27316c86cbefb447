"""Names of increments, and which of several overlapping ones to read."""

import re
from collections.abc import Iterable, Iterator

from holdfast.model import Increment
from holdfast.storage.contract import ObjectInfo
from holdfast.vault.format import names

LONGEST = 1 << 26
"""Bytes of the log that one increment covers at most (64 MiB): a reader that begins at a position lists from that far before it."""

_NAME = re.compile(r"logs/([0-9a-f]{16})/([0-9a-f]{16})/([0-9a-f]{16})-([0-9a-f]{16})\Z")


def folder(system: str, branch: str) -> str:
    """Both are tags."""
    return f"{names.LOGS}{system}/{branch}/"


def increment(system: str, branch: str, start: int, end: int) -> str:
    return f"{folder(system, branch)}{start:016x}-{end:016x}"


def parse(name: str) -> tuple[str, str, int, int] | None:
    """(system tag, branch tag, start, end), None when it is no increment's name."""
    match = _NAME.match(name)
    if match is None or not 0 < int(match[4], 16) - int(match[3], 16) <= LONGEST:
        return None
    return match[1], match[2], int(match[3], 16), int(match[4], 16)


def increments(found: Iterable[ObjectInfo]) -> Iterator[Increment]:
    """Objects as increments, in the given order; other objects are passed over."""
    for info in found:
        parsed = parse(info.name)
        if parsed is not None:
            yield Increment(parsed[2], parsed[3], info.name, info.modified, info.size)


def furthest(sorted_increments: Iterable[Increment], start: int) -> Iterator[Increment]:
    """Of increments sorted by start, those needed to read from ``start`` on: at each position the one that reaches furthest.

    They may overlap (each is read from where the one before ended) and leave gaps (the next begins behind the end of the one before).
    """
    position = start
    best: Increment | None = None
    for found in sorted_increments:
        if best is not None and found.start > position:
            yield best
            position = best.end
            best = None
        if found.end <= position:
            continue
        position = max(position, found.start)
        if best is None or found.end > best.end:
            best = found
    if best is not None:
        yield best
