"""Which entries of a point are wanted: all, or folders, files and globs by their paths on the machine."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from holdfast.systems.files.patterns import compile_patterns
from holdfast.systems.files.settings import ROOT

_GLOB = re.compile(r"[*?\[]")


def in_point(path: str) -> str:
    """A path as a person writes it (``/etc/acme``, or ``files/etc/acme`` as ``ls`` shows it) as it is in a point."""
    bare = path.rstrip("/")
    if not path.startswith("/") and (bare == ROOT or bare.startswith((ROOT + "/", "git", "images"))):
        return bare
    return ROOT + "/" + bare.lstrip("/") if bare.strip("/") else ROOT


@dataclass(frozen=True, slots=True)
class Selection:
    """``wanted``: paths in the point; a folder means all below it. ``globs``: patterns of paths on the machine. Both empty: everything."""

    wanted: tuple[str, ...] = ()
    globs: tuple[str, ...] = ()
    _fits: "re.Pattern[str] | None" = field(default=None, repr=False)

    @classmethod
    def of(cls, paths: Sequence[str]) -> "Selection":
        """Raises PatternWrong."""
        plain = tuple(sorted({in_point(path) for path in paths if not _GLOB.search(path)}))
        top = tuple(one for one in plain if not any(one != other and one.startswith(other + "/") for other in plain))
        globs = tuple(path for path in paths if _GLOB.search(path))
        return cls(top, globs)

    @property
    def everything(self) -> bool:
        return not self.wanted and not self.globs

    def touches(self, first: str, last: str) -> bool:
        """Whether something of the folders between two paths may be wanted."""
        wanted = self.wanted if self.wanted and not self.globs else (ROOT,)
        below = chr(ord("/") + 1)
        return any(first < path + below and path <= last for path in wanted if path == ROOT or path.startswith(ROOT + "/"))

    def chooser(self) -> "Chooser":
        return Chooser(self)


class Chooser:
    """Asked for each entry in the order of a point."""

    def __init__(self, selection: Selection) -> None:
        self._all = selection.everything
        self._wanted = selection.wanted
        self._below = tuple(path + "/" for path in selection.wanted)
        self._glob = compile_patterns([_anchored(glob) for glob in selection.globs], "/") if selection.globs else None
        self._folders: list[str] = []
        self.hit: set[str] = set()

    def wants(self, path: str, *, folder: bool) -> bool:
        if self._all:
            return True
        if path in self._wanted or path.startswith(self._below):
            self.hit.update(one for one in self._wanted if path == one or path.startswith(one + "/"))
            return True
        if self._glob is None or not path.startswith(ROOT + "/"):
            return False
        while self._folders and not path.startswith(self._folders[-1]):
            self._folders.pop()
        if self._folders:
            return True
        if self._glob(path[len(ROOT) + 1 :], folder):
            self.hit.add("*")
            if folder:
                self._folders.append(path + "/")
            return True
        return False


def _anchored(glob: str) -> str:
    """As a pattern below '/': ``*.conf`` fits anywhere, ``/etc/*.conf`` there."""
    return glob.removeprefix(ROOT) if glob.startswith(ROOT + "/") else glob
