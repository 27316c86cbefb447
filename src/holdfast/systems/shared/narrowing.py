"""Which units (entries, objects) of two places differ, and samples of them: by hashes of their keys, in bounded memory."""

import threading
from collections.abc import Callable
from typing import Any

import blake3

from holdfast.systems.contract import Draw, Sampled

PARTS = 4096
"""A place is cut into so many by a hash of its keys; only those that differ are looked at unit by unit."""
AT_A_TIME = 200_000
"""Units in memory at a time, of each side."""
_MOST = 1 << 256

Choose = Callable[[str], bool]
Note = Callable[[str, bytes], None]
Each = Callable[[Choose, Note], None]
"""Reads the units that are chosen, and notes the hash of each (key, attributes and content): from any thread, in any order."""


def number(key: str, seed: str = "") -> int:
    return int.from_bytes(blake3.blake3(f"{seed}\0{key}".encode("utf-8", "surrogatepass")).digest()[:8], "big")


def differing(mine: Each, theirs: Each, limit: int = 5) -> dict[str, Any]:
    """``{"missing", "extra", "changed", "examples"}``; missing: only theirs has it."""
    left, right = _parts(mine), _parts(theirs)
    wrong = sorted(part for part in left.keys() | right.keys() if left.get(part) != right.get(part))
    found: dict[str, Any] = {"missing": 0, "extra": 0, "changed": 0, "examples": []}
    group: set[int] = set()
    held = 0
    for part in wrong:
        size = max(side[part][0] for side in (left, right) if part in side)
        if group and held + size > AT_A_TIME:
            _look(mine, theirs, group, found, limit)
            group, held = set(), 0
        group.add(part)
        held += size
    if group:
        _look(mine, theirs, group, found, limit)
    return found


def _parts(each: Each) -> dict[int, tuple[int, int]]:
    """Part → (units, sum of their hashes)."""
    found: dict[int, tuple[int, int]] = {}
    lock = threading.Lock()

    def note(key: str, digest: bytes) -> None:
        part = number(key) % PARTS
        whole = int.from_bytes(blake3.blake3(key.encode("utf-8", "surrogatepass") + b"\0" + digest).digest(), "big")
        with lock:
            count, total = found.get(part, (0, 0))
            found[part] = count + 1, (total + whole) % _MOST

    each(lambda _: True, note)
    return found


def _gathered(each: Each, choose: Choose) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    each(choose, found.__setitem__)
    return found


def _look(mine: Each, theirs: Each, parts: set[int], found: dict[str, Any], limit: int) -> None:
    def choose(key: str) -> bool:
        return number(key) % PARTS in parts

    ours, others = _gathered(mine, choose), _gathered(theirs, choose)
    for key in sorted(ours.keys() | others.keys()):
        if ours.get(key) == others.get(key):
            continue
        kind = "missing" if key not in ours else "extra" if key not in others else "changed"
        found[kind] += 1
        if len(found["examples"]) < limit:
            found["examples"].append({"key": key[:200], "difference": kind})


def sampled(name: str, unit: str, count: Callable[[], int], each: Each, draw: Draw) -> Sampled:
    """``count`` tells how many units there are, without reading them."""
    total = count()
    asked = draw.one_in.get(name)
    one_in = max(1, asked or total // max(1, draw.wanted))
    drawn = _gathered(each, lambda key: number(key, draw.seed) % one_in == 0)
    return Sampled(unit, total, one_in, {key: digest.hex() for key, digest in drawn.items()})
