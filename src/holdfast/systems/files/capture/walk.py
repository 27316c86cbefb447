"""Walks a tree in the order of its paths, with nothing but one folder's names in memory.

A folder's names are sorted so that what is yielded comes in the plain order of the paths as strings: below ``a``, ``a`` itself comes first,
then ``a.txt``, then what is in ``a``, for '.' is smaller than '/'. So a point's tree is sorted, and is compared with the last one's as two
sorted lists are.
"""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from holdfast.systems.files.capture.ledger import Ledger
from holdfast.systems.files.errors import PathVanished
from holdfast.systems.files.handles import Handle
from holdfast.systems.files.patterns import Excluded, compile_patterns
from holdfast.systems.files.settings import FilesSettings, inside

_TAG = "CACHEDIR.TAG"
_SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55"
_GONE = frozenset({errno.ENOENT, errno.ESTALE})
_SWAPPED = frozenset({errno.ELOOP, errno.ENOTDIR, errno.ENXIO})
_OPEN = 64
"""Folders on the way down that stay open; deeper trees open their upper ones again on the way back."""


@dataclass(slots=True)
class Found:
    """``path`` in the point; ``name`` in ``folder``. ``opened``: of a folder, its own handle."""

    path: str
    name: str
    folder: Handle
    status: os.stat_result
    opened: Handle | None = None


@dataclass(slots=True)
class _Level:
    """``names``: still to come, the next one last; one that ends with '/' means: go down."""

    prefix: str
    name: str
    device: int
    inode: int
    handle: Handle | None
    names: list[str]
    waiting: dict[str, Handle] = field(default_factory=dict)


class Walk:
    """``counts``: entries yielded for each path of the plan."""

    def __init__(self, settings: FilesSettings, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger
        self.counts: dict[str, int] = {}

    def run(self) -> Iterator[Found]:
        """Raises PathVanished when a path of the plan is not there; what is lost below is in the ledger."""
        for root in self._settings.roots():
            count = 0
            for found in self._root(root):
                count += 1
                yield found
            self.counts[root] = count

    def _root(self, root: str) -> Iterator[Found]:
        parent, name = os.path.split(root)
        try:
            folder = Handle(os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            status = os.stat(name or ".", dir_fd=folder.fd, follow_symlinks=False)
        except OSError as error:
            raise missing(root, error) from error
        if stat.S_ISLNK(status.st_mode):
            target = os.readlink(root)
            raise PathVanished(
                f"{root} is a symbolic link to {target}.",
                hint="Name the folder itself in the plan: a link may be turned elsewhere.",
                path=root,
            )
        if not stat.S_ISDIR(status.st_mode):
            yield Found(inside(root), name, folder, status)
            return
        try:
            top = Handle.open(name or ".", folder)
        except OSError as error:
            raise missing(root, error) from error
        status = os.stat(top.fd)
        yield Found(inside(root), name, folder, status, top)
        yield from self._below(root, top, status)

    def _below(self, root: str, top: Handle, status: os.stat_result) -> Iterator[Found]:
        start = inside(root) + "/"
        excluded = compile_patterns(self._settings.exclude, root)
        cut = len(start)
        try:
            names = self._names(top, start, excluded, cut)
        except OSError as error:
            raise missing(root, error) from error
        levels = [_Level(start, "", status.st_dev, status.st_ino, top, names)]
        while levels:
            level = levels[-1]
            if not level.names:
                levels.pop()
                continue
            name = level.names.pop()
            if level.handle is None and not self._reopen(levels):
                levels.pop()
                continue
            handle = level.handle
            assert handle is not None
            if name.endswith("/"):
                below = level.waiting.pop(name, None)
                if below is not None:
                    self._down(levels, below, name, excluded, cut)
                continue
            path = level.prefix + name
            found = self._one(path, name, handle)
            if found is None:
                continue
            if found.opened is not None:
                if not _holds(level.names, name + "/"):
                    # Listed as something else: what was listed is gone, and what came in its place came after the listing.
                    self._ledger.is_gone(path)
                    continue
                if not self._settings.one_filesystem or found.status.st_dev == status.st_dev:
                    level.waiting[name + "/"] = found.opened
            yield found

    def _one(self, path: str, name: str, handle: Handle) -> Found | None:
        for _ in range(3):
            try:
                status = os.stat(name, dir_fd=handle.fd, follow_symlinks=False)
                if not stat.S_ISDIR(status.st_mode):
                    return Found(path, name, handle, status)
                try:
                    opened = Handle.open(name, handle)
                except PermissionError as error:
                    self._ledger.cannot_read(path, error.errno or errno.EACCES, " with what lies in it")
                    return Found(path, name, handle, status)
                return Found(path, name, handle, os.stat(opened.fd), opened)
            except OSError as error:
                if error.errno in _GONE:
                    self._ledger.is_gone(path)
                    return None
                if error.errno not in _SWAPPED:
                    self._ledger.cannot_read(path, error.errno or errno.EIO)
                    return None
        self._ledger.is_gone(path)
        return None

    def _down(self, levels: list[_Level], below: Handle, name: str, excluded: Excluded | None, cut: int) -> None:
        prefix = levels[-1].prefix + name
        try:
            names = self._names(below, prefix, excluded, cut)
            status = os.stat(below.fd)
        except OSError as error:
            self._ledger.cannot_read(prefix[:-1], error.errno or errno.EIO, " with all that lies in it")
            return
        levels.append(_Level(prefix, name[:-1], status.st_dev, status.st_ino, below, names))
        if len(levels) > _OPEN and not levels[-_OPEN].waiting:
            levels[-_OPEN].handle = None

    def _names(self, handle: Handle, prefix: str, excluded: Excluded | None, cut: int) -> list[str]:
        """What there is to do in a folder, the first last."""
        found: list[str] = []
        with os.scandir(handle.fd) as listing:
            for one in listing:
                name = one.name
                folder = one.is_dir(follow_symlinks=False)
                if excluded is not None and excluded((prefix + name)[cut:], folder):
                    continue
                found.append(name)
                if folder:
                    found.append(name + "/")
        if self._settings.exclude_caches and _TAG in found and _is_cache(handle):
            found = [_TAG]
        found.sort(reverse=True)
        return found

    def _reopen(self, levels: list[_Level]) -> bool:
        """Open the last level's folder again, from the nearest one above that is open. It must be the same one."""
        at = next(i for i in range(len(levels) - 1, -1, -1) if levels[i].handle is not None)
        for above, level in zip(levels[at:], levels[at + 1 :], strict=False):
            try:
                assert above.handle is not None
                handle = Handle.open(level.name, above.handle)
                status = os.stat(handle.fd)
            except OSError as error:
                self._ledger.cannot_read(level.prefix[:-1], error.errno or errno.EIO, " with the rest that lies in it")
                return False
            if (status.st_dev, status.st_ino) != (level.device, level.inode):
                self._ledger.is_gone(level.prefix[:-1])
                return False
            level.handle = handle
        return True


def _holds(names: list[str], name: str) -> bool:
    """Whether a list that is sorted backwards holds a name."""
    low, high = 0, len(names)
    while low < high:
        middle = (low + high) // 2
        if names[middle] > name:
            low = middle + 1
        else:
            high = middle
    return low < len(names) and names[low] == name


def is_cache_folder(path: str) -> bool:
    """Whether a folder is one that ``exclude_caches`` leaves out."""
    try:
        handle = Handle(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    except OSError:
        return False
    return _is_cache(handle)


def _is_cache(handle: Handle) -> bool:
    try:
        fd = os.open(_TAG, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=handle.fd)
    except OSError:
        return False
    try:
        return os.read(fd, len(_SIGNATURE)) == _SIGNATURE
    except OSError:
        return False
    finally:
        os.close(fd)


def missing(root: str, error: OSError) -> PathVanished:
    return PathVanished(
        f"{root} cannot be opened: {error.strerror}.",
        hint="Is it mounted, and may this account read it? Else take it out of the plan.",
        path=root,
    )
