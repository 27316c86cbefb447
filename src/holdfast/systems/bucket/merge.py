"""Lines of a point and lines of a listing side by side, both in the order of their keys; nothing of either is kept in memory."""

from collections.abc import Callable, Iterator

from holdfast.connect.objects import Listed
from holdfast.systems.bucket.entries import Named, name_of, place
from holdfast.systems.contract import StoredLine


class BaseLines:
    """The lines of the last point, asked for in the order of a listing."""

    def __init__(self, lines: Iterator[StoredLine]) -> None:
        self._lines = lines
        self._next: StoredLine | None = None
        self._name = Named("")
        self._advance()

    def at(self, listed: Listed) -> StoredLine | None:
        """The line under the same path, None where there is none."""
        path = place(listed)
        key = _order(listed.key)
        while self._next is not None:
            here = _order(self._name.key)
            if here > key:
                return None
            if here == key:
                if self._next.path == path:
                    found = self._next
                    self._advance()
                    return found
                # Of one key the newest stands first: a line that is newer than what is asked for is not listed any more.
                if self._next.mtime_ns <= listed.modified_ns:
                    return None
            self._advance()
        return None

    def _advance(self) -> None:
        self._next = next(self._lines, None)
        if self._next is not None:
            self._name = name_of(self._next.path)


def _order(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")


def pairs(
    lines: Iterator[StoredLine], listing: Iterator[Listed], name: Callable[[str], str]
) -> Iterator[tuple[StoredLine | None, Listed | None]]:
    """Each key once: what the point holds as current under it (its key as ``name`` makes it), and what is listed now."""
    line, listed = next(lines, None), next(listing, None)
    while line is not None or listed is not None:
        mine = _order(name(name_of(line.path).key)) if line is not None else None
        theirs = _order(listed.key) if listed is not None else None
        if theirs is None or (mine is not None and mine < theirs):
            yield line, None
            line = next(lines, None)
        elif mine is None or theirs < mine:
            yield None, listed
            listed = next(listing, None)
        else:
            yield line, listed
            line, listed = next(lines, None), next(listing, None)
