"""What the plan says about the folders of a system."""

from dataclasses import dataclass

ROOT = "files"
"""Where a point keeps what came from folders: ``files/<absolute path>``. Beside it lie ``git`` and ``images``."""


@dataclass(frozen=True, slots=True)
class FilesSettings:
    """``paths`` are absolute. ``exclude`` are patterns as in .gitignore, relative to each path. ``exclude_caches``: leave out what lies
    beside a CACHEDIR.TAG. ``one_filesystem``: stay on the file system of each path; what is mounted below is an empty folder in the point.
    ``vaults``: (name, absolute path) of the vault's locations that are folders of this machine.
    """

    paths: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    exclude_caches: bool = False
    one_filesystem: bool = False
    vaults: tuple[tuple[str, str], ...] = ()

    def roots(self) -> tuple[str, ...]:
        """The paths without those that lie below another, in the order in which a point holds them."""
        found: list[str] = []
        for path in sorted({path.rstrip("/") or "/" for path in self.paths}, key=_order):
            if not any(path == other or path.startswith(other.rstrip("/") + "/") for other in found):
                found = [other for other in found if not other.startswith(path.rstrip("/") + "/")]
                found.append(path)
        return tuple(found)


def _order(path: str) -> str:
    return path.rstrip("/") + "/"


def inside(path: str) -> str:
    """The path in a point of an absolute path on the machine."""
    return ROOT + path.rstrip("/") if path != "/" else ROOT


def outside(path: str) -> str:
    """The inverse of ``inside``."""
    return path[len(ROOT) :] or "/"
