"""Entries of a tree: what stat says, and what recognises a file as unchanged the next time."""

import os
import stat
from typing import Any

from holdfast.model import Entry
from holdfast.model.entry import Kind

_SECOND = 1_000_000_000
_TICK = 50_000_000
"""ns. Time stamps come from a clock that ticks every 1 to 10 ms."""
_COARSE = 2 * _SECOND
"""ns. File systems that keep whole seconds (or, FAT, every second one)."""

_KINDS: dict[int, Kind] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
}


class Stamps:
    """``began_ns``: when the capture began.

    A file whose content was changed so shortly before that a second change could leave the same time stamp (git's "racy" files) is not
    recognised the next time: its entry holds no ctime.
    """

    def __init__(self, began_ns: int) -> None:
        self._fine = began_ns - _TICK
        self._coarse = began_ns - _COARSE

    def extra(self, inode: int, ctime_ns: int, links: int, device: int) -> dict[str, Any]:
        """``i`` inode, ``c`` ctime in ns, and of a file with several names ``n`` how many and ``v`` the device."""
        found: dict[str, Any] = {"i": inode}
        if ctime_ns < (self._fine if ctime_ns % _SECOND else self._coarse):
            found["c"] = ctime_ns
        if links > 1:
            found["n"] = links
            found["v"] = device
        return found


def plain_entry(path: str, status: os.stat_result, extra: dict[str, Any] | None = None, target: str | None = None) -> Entry:
    """Of anything; a device's numbers are in ``d``."""
    kind = _KINDS[stat.S_IFMT(status.st_mode)]
    found = dict(extra or {})
    if kind in ("char", "block"):
        found["d"] = [os.major(status.st_rdev), os.minor(status.st_rdev)]
    size = status.st_size if kind == "file" else 0
    return Entry(path, kind, size, status.st_mode & 0o7777, status.st_uid, status.st_gid, status.st_mtime_ns, target, found)
