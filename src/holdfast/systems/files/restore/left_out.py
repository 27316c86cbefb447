"""What the plan leaves out of its backups: no point can hold it, so to a restore it is nothing extra."""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.systems.files.capture.walk import is_cache_folder
from holdfast.systems.files.handles import Handle
from holdfast.systems.files.patterns import Excluded, compile_patterns


@dataclass(frozen=True, slots=True)
class LeftOut:
    """``roots``: the absolute paths that patterns are relative to. ``caches``: what lies beside a CACHEDIR.TAG is left out as well."""

    roots: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    caches: bool = False

    def __bool__(self) -> bool:
        return bool(self.patterns or self.caches)

    def judge(self, into: str) -> "Judge":
        """For a target below ``into``. Raises PatternWrong."""
        return Judge([(root, compile_patterns(self.patterns, root)) for root in self.roots], into, caches=self.caches)


class Judge:
    """Asked for each entry of a target, a folder before what is in it. Paths are relative to the target."""

    def __init__(self, roots: Sequence[tuple[str, Excluded | None]], into: str, *, caches: bool) -> None:
        self._roots = roots
        self._into = into.rstrip("/")
        self._caches = caches
        self._folders: set[str] = set()
        self._cache: tuple[str, bool] = ("", False)

    def stays(self, place: str, *, folder: bool) -> bool:
        """Whether the plan leaves it out, by itself or with a folder above it."""
        found = self._stays(place, folder)
        if found and folder:
            self._folders.add(place)
        return found

    def _stays(self, place: str, folder: bool) -> bool:
        above = place.rpartition("/")[0]
        if above in self._folders:
            return True
        for root, excluded in self._roots:
            start = root.strip("/") + "/" if root != "/" else ""
            if excluded is not None and place.startswith(start) and place != start and excluded(place[len(start) :], folder):
                return True
        # The tag, too: without it the next backup would take the rest, and the next restore remove it.
        return self._caches and self._beside_tag(above)

    def _beside_tag(self, folder: str) -> bool:
        if self._cache[0] != folder:
            self._cache = (folder, is_cache_folder(f"{self._into}/{folder}"))
        return self._cache[1]


def holds_left_out(judge: Judge, folder: Handle, place: str) -> bool:
    """Whether something below an open folder stays; ``place``: its path in the target."""
    for name in os.listdir(folder.fd):
        inner = f"{place}/{name}"
        if _is_folder(folder, name):
            if judge.stays(inner, folder=True) or holds_left_out(judge, Handle.open(name, folder), inner):
                return True
        elif judge.stays(inner, folder=False):
            return True
    return False


def _is_folder(folder: Handle, name: str) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=folder.fd, follow_symlinks=False).st_mode)
