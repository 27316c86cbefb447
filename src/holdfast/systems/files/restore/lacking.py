"""What a restore of folders could not bring back, and what becomes of the names that it should have had."""

import os
import stat
from dataclasses import dataclass, field
from pathlib import PurePath

from holdfast.errors import HoldfastError
from holdfast.systems.contract import Lack, StoredEntry, Target, set_aside
from holdfast.systems.files.restore.folders import Folders
from holdfast.systems.files.restore.writing import FileTarget, failed
from holdfast.systems.files.settings import ROOT, outside


@dataclass(slots=True)
class _File:
    path: str
    place: str
    why: str
    opened: bool
    written: bool


@dataclass
class Lacking:
    """Told of one loss at a time. ``found``: what lacks, complete after ``put_aside``; ``unlisted``: names of the point are lost too."""

    found: list[Lack] = field(default_factory=list)
    unlisted: bool = False
    _files: dict[str, _File] = field(default_factory=dict)

    def file(self, stored: StoredEntry, place: str, target: Target | None, error: HoldfastError) -> None:
        """A file without all its content; ``target`` is let go of."""
        written = False
        if isinstance(target, FileTarget):
            written = bool(target.written)
            target.abandon()
        self._files[place] = _File(outside(stored.entry.path), place, error.message, target is not None, written)

    def name_of(self, place: str, path: str, other: str) -> None:
        """Another name of the lost file at ``other``."""
        self._files[place] = _File(outside(path), place, self._files[other].why, opened=False, written=False)

    def lines(self, first: str, last: str, count: int, error: HoldfastError) -> None:
        """A stretch of the point's list."""
        self.unlisted = True
        self.found.append(Lack(_shown(first), error.message, entries=count, last=_shown(last)))

    def add(self, path: str, error: HoldfastError) -> None:
        """Something that has no place in a folder, or keeps none."""
        self.found.append(Lack(path, error.message))

    def has(self, place: str) -> bool:
        return place in self._files

    def put_aside(self, folders: Folders, *, delta: bool) -> None:
        """No half-written file keeps a right name: what nothing was written to goes, else it is renamed; in a delta restore also what
        stood there before and could not be proved right.
        """
        for file in self._files.values():
            folder, name = folders.parent(file.place)
            kept = None
            try:
                if file.written or (delta and _is_file(folder.fd, name)):
                    kept = set_aside(folder.fd, name)
                elif file.opened:
                    os.unlink(name, dir_fd=folder.fd)
            except OSError as error:
                failed(folders.show(file.place), error)
            shown = None if kept is None else str(PurePath(folders.show(file.place)).with_name(kept))
            self.found.append(Lack(file.path, file.why, shown))
        self._files.clear()


def _shown(path: str) -> str:
    return outside(path) if path == ROOT or path.startswith(ROOT + "/") else path


def _is_file(folder: int, name: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False
