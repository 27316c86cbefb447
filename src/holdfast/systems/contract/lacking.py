"""A restore of files out of a damaged vault: what could be had is there, what lacks is named, and nothing half-written has a right name."""

import contextlib
import datetime as dt
import errno
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.errors import Damaged

INCOMPLETE = ".holdfast-incomplete"
"""What the name of a file ends with that has only a part of its content; where that could not be had there are zeros, or what was there."""
_NAMED = 5
_LONGEST = 255


class RestoredPartly(Damaged):
    """Everything that the vault still has was restored; what it has lost is named, and is not there."""

    code = "restored-partly"


@dataclass(frozen=True, slots=True)
class Lack:
    """``path`` as its system calls it, ``kept``: where the part of it lies that could be had. ``entries``: more than one where a stretch
    of the point's own list is lost; ``path`` and ``last`` are then its smallest and greatest path, and nobody knows the others' names.
    """

    path: str
    why: str
    kept: str | None = None
    entries: int = 1
    last: str | None = None

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"path": self.path, "why": self.why, "kept": self.kept}
        return found if self.last is None else {**found, "last": self.last, "entries": self.entries}


def restored_partly(lacks: Sequence[Lack], into: Path, listed: Path | None, hint: str, **facts: Any) -> RestoredPartly:
    """``facts`` go into the details beside ``lacking`` (a count), ``lacks`` (all of them) and ``list`` (the file that holds the same)."""
    count = sum(lack.entries for lack in lacks)
    named = ", ".join(_shown(lack) for lack in lacks[:_NAMED]) + (f" and {len(lacks) - _NAMED} more" if len(lacks) > _NAMED else "")
    kept = sum(1 for lack in lacks if lack.kept)
    parts = f" Of {kept} a part is there, under a name that ends in {INCOMPLETE}." if kept else ""
    whole = f" All of them: {listed}." if listed is not None else ""
    return RestoredPartly(
        f"{count} {'entry' if count == 1 else 'entries'} could not be restored: {named}. {lacks[0].why}{parts}",
        hint=f"Everything else is in {into}.{whole}\n{hint}",
        lacking=count,
        lacks=[lack.to_json() for lack in lacks],
        list=None if listed is None else str(listed),
        **facts,
    )


def write_list(lacks: Sequence[Lack], into: Path, now: dt.datetime) -> Path | None:
    """A new file beside ``into`` (inside, where there is no writing beside it) with one JSON object a line; None where neither works."""
    stamp = f"lacking-{now.astimezone(dt.UTC).strftime('%Y%m%dT%H%M%SZ')}"
    lines = "".join(json.dumps(lack.to_json()) + "\n" for lack in lacks)
    beside = [into.with_name(f"{into.name}.{stamp}.jsonl")] if into.name else []
    for place in (*beside, into / f"holdfast-{stamp}.jsonl"):
        with contextlib.suppress(OSError):
            return _write(place, lines)
    return None


def _write(place: Path, text: str) -> Path:
    stem, number = place.with_suffix(""), 1
    while True:
        try:
            with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w", encoding="ascii") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            return place
        except FileExistsError:
            number += 1
            place = stem.with_name(f"{stem.name}-{number}.jsonl")


def set_aside(folder: int, name: str) -> str | None:
    """Give what stands under ``name`` in the open ``folder`` a name that says it is incomplete, and that nothing has. Returns it; None
    where nothing stands. Raises OSError.
    """
    for number in range(1, 10_000):
        ending = os.fsencode(INCOMPLETE if number == 1 else f"{INCOMPLETE}-{number}")
        new = os.fsdecode(os.fsencode(name)[: _LONGEST - len(ending)] + ending)
        if _exists(folder, new):
            continue
        try:
            os.rename(name, new, src_dir_fd=folder, dst_dir_fd=folder)
        except FileNotFoundError:
            return None
        return new
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)


def _exists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _shown(lack: Lack) -> str:
    path = lack.path if lack.path.isprintable() else ascii(lack.path)
    return (
        path if lack.last is None else f"{lack.entries} entries from {path} to {lack.last if lack.last.isprintable() else ascii(lack.last)}"
    )
