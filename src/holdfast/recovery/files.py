"""Entries of a recovery point written out as plain files: for `get` and `export`, where no system is started on them."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from holdfast.connect.durable import sync_file_system
from holdfast.errors import Damaged, HoldfastError
from holdfast.model import Extracted, Progress
from holdfast.systems.contract import Lack, PointReader, StoredEntry, Target, restored_partly, set_aside


class PathEscapes(Damaged):
    """Entries of a point would lead out of the folder that they are written into, or do not go together."""

    code = "entry-path-escapes"


class PlainFile:
    """One file being written under its own name; created anew, never over something."""

    def __init__(self, path: Path, mode: int, mtime_ns: int, size: int) -> None:
        self._path = path
        self._written = False
        self._mode = mode
        self._mtime_ns = mtime_ns
        self._handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
        # Zeros are not written: they are there from the beginning.
        os.ftruncate(self._handle, size)

    def write(self, offset: int, data: memoryview) -> None:
        self._written = True
        while data:
            written = os.pwrite(self._handle, data, offset)
            data, offset = data[written:], offset + written

    def existing(self, offset: int, buffer: memoryview) -> int:
        del offset, buffer
        return 0

    def give_up(self) -> Path | None:
        """It cannot become whole: nothing is left, or what could be had under a name that says so, which is returned."""
        os.close(self._handle)
        if not self._written:
            self._path.unlink()
            return None
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            kept = set_aside(folder, self._path.name)
        finally:
            os.close(folder)
        return None if kept is None else self._path.with_name(kept)

    def close(self) -> None:
        os.fchmod(self._handle, self._mode & 0o777)
        os.utime(self._handle, ns=(self._mtime_ns, self._mtime_ns))
        os.close(self._handle)


def write_out(reader: PointReader, entries: Sequence[StoredEntry], root: str, target: Path, progress: Progress) -> Extracted:
    """Write ``entries`` (all at or below ``root``) so that ``root`` becomes ``target``. Durable when it returns.

    Links are written as they are and nothing is written through one, whoever made the point. Raises PathEscapes before anything is
    written; RestoredPartly when all else is durable for what the vault has lost; FileExistsError's kin only for names that appear
    meanwhile.
    """
    places = _places(entries, root, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    progress.phase("get", sum(stored.entry.size for stored in entries if stored.entry.kind == "file"))
    folders = [(place, stored.entry) for place, stored in places.items() if stored.entry.kind == "dir"]
    for place, _ in sorted(folders, key=lambda one: one[1].path):
        place.mkdir(parents=True, exist_ok=True, mode=0o700)

    def wanted() -> Iterable[tuple[StoredEntry, Callable[[], Target]]]:
        for place, stored in places.items():
            entry = stored.entry
            place.parent.mkdir(parents=True, exist_ok=True)
            if entry.kind == "symlink":
                place.symlink_to(entry.target or "")
            elif entry.kind == "file":
                yield stored, lambda place=place, entry=entry: PlainFile(place, entry.mode, entry.mtime_ns, entry.size)  # type: ignore[misc]

    lacks: list[Lack] = []
    given_up: list[tuple[str, Target | None, HoldfastError]] = []
    done = reader.extract(wanted(), progress=progress, lost=lambda stored, file, error: given_up.append((stored.entry.path, file, error)))
    # Only now: a name that says "incomplete" could be one that the point holds too.
    for path, file, error in given_up:
        kept = file.give_up() if isinstance(file, PlainFile) else None
        lacks.append(Lack(path, error.message, None if kept is None else str(kept)))
    for place, entry in sorted(folders, key=lambda one: one[1].path, reverse=True):
        place.chmod(entry.mode & 0o777)
        os.utime(place, ns=(entry.mtime_ns, entry.mtime_ns))
    sync_file_system(target.parent)
    if lacks:
        hint = "Heal the vault where another location has it (holdfast vault check --read all --heal), or look for it in another point."
        raise restored_partly(lacks, target, None, hint, files=done.files, written=done.written)
    return done


def _places(entries: Sequence[StoredEntry], root: str, target: Path) -> dict[Path, StoredEntry]:
    """Where each goes: every path plain and once, and nothing below a file or a link. Whoever holds a writer's key signs any tree."""
    kinds: dict[str, str] = {}
    for stored in entries:
        path = stored.entry.path
        inner = path.removeprefix(root).removeprefix("/") if root else path
        odd = inner and not {"", ".", ".."}.isdisjoint(inner.split("/"))
        if odd or "\0" in path or path.startswith("/") or (root and path != root and not path.startswith(root + "/")):
            raise _escapes(path, "leads out of its folder")
        if inner in kinds:
            raise _escapes(path, "is there twice")
        if stored.entry.kind == "symlink" and (not stored.entry.target or "\0" in stored.entry.target):
            raise _escapes(path, "is a link to nothing")
        kinds[inner] = stored.entry.kind
    for inner in kinds:
        above = inner
        while above:
            above = above.rpartition("/")[0]
            if kinds.get(above, "dir") != "dir":
                raise _escapes(inner, f"lies below {above!r}, which is no folder")
    return {target / inner if inner else target: stored for inner, stored in zip(kinds, entries, strict=True)}


def _escapes(path: str, why: str) -> PathEscapes:
    return PathEscapes(f"The point holds an entry that {why}: {path!r}.", hint="Nothing of it was written. Look at who made the point.")
