"""One recovery point of folders."""

import errno
import grp
import os
import pwd
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from holdfast.model import Entry, Progress
from holdfast.systems.contract import Bulk, CaptureWriter, StoredLine
from holdfast.systems.files import attributes
from holdfast.systems.files.capture import reading
from holdfast.systems.files.capture.entries import Stamps, plain_entry
from holdfast.systems.files.capture.large import LargeFile
from holdfast.systems.files.capture.ledger import Ledger
from holdfast.systems.files.capture.reading import Got
from holdfast.systems.files.capture.walk import Found, Walk
from holdfast.systems.files.errors import PathEmptied
from holdfast.systems.files.handles import Handle
from holdfast.systems.files.settings import FilesSettings

_BLOCK = 4096
_GONE = frozenset({errno.ENOENT, errno.ESTALE})
_OTHER = frozenset({errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.ENOTDIR, reading.NOT_REGULAR, reading.TOO_LARGE})
"""It is something else than it was when it was listed: looked at again at the end."""
_MOST_AGAIN = 10_000


class _Small(NamedTuple):
    """A file in a batch, by its open folder."""

    folder: Handle
    name: str
    path: str


@dataclass
class FolderCapture:
    """One run. ``began_ns``: the time before anything was read."""

    settings: FilesSettings
    writer: CaptureWriter
    progress: Progress
    began_ns: int
    ledger: Ledger = field(default_factory=Ledger)

    def __post_init__(self) -> None:
        self._stamps = Stamps(self.began_ns)
        self._base = _Base(self.writer)
        self._bulk: Bulk = self.writer.bulk(self._read_many)
        self._again: list[_Small] = []
        self._users: set[int] = set()
        self._groups: set[int] = set()
        self._kinds: Counter[str] = Counter()
        self._disk = 0
        self._kept = 0

    def run(self) -> Mapping[str, Any]:
        """Everything that the paths hold goes to the writer. Returns facts. Raises PathVanished, PathEmptied and what the writer raises."""
        walk = Walk(self.settings, self.ledger)
        self.progress.phase("files")
        for found in walk.run():
            self._take(found)
        self._bulk.flush()
        self.writer.flush()
        self._once_more()
        self.writer.flush()
        self._not_emptied(walk.counts)
        return {
            "roots": walk.counts,
            "kinds": dict(self._kinds),
            "disk": self._disk,
            "unread": self._kept,
            "users": _names(self._users, lambda number: pwd.getpwuid(number).pw_name),
            "groups": _names(self._groups, lambda number: grp.getgrgid(number).gr_name),
            **self.ledger.facts(),
        }

    # ------------------------------------------------------------ the walk

    def _take(self, found: Found) -> None:
        status = found.status
        self._users.add(status.st_uid)
        self._groups.add(status.st_gid)
        if not stat.S_ISREG(status.st_mode):
            self._other(found)
            return
        self._kinds["file"] += 1
        size = status.st_size
        self._disk += min(-(-size // _BLOCK) * _BLOCK, max(status.st_blocks * 512, _BLOCK))
        line = self._base.at(found.path)
        if line is not None and unchanged(line, status) and self._bulk.keep(line):
            self._kept += 1
        elif size <= self._bulk.largest:
            self._bulk.small(found.path, size, _Small(found.folder, found.name, found.path))
        else:
            self._bulk.flush()
            self._large(_Small(found.folder, found.name, found.path), last=False)

    def _other(self, found: Found) -> None:
        """A folder, a link, a device: no content, only what it is."""
        extra: dict[str, Any] = {}
        target = None
        try:
            if found.opened is not None:
                attributes_ = attributes.read_attributes(found.opened.fd)
            else:
                attributes_ = attributes.read_attributes(f"/proc/self/fd/{found.folder.fd}/{found.name}")
            if stat.S_ISLNK(found.status.st_mode):
                target = os.readlink(found.name, dir_fd=found.folder.fd)
        except OSError as error:
            if error.errno in _GONE or error.errno == errno.EINVAL:
                self.ledger.is_gone(found.path)
            else:
                self.ledger.cannot_read(found.path, error.errno or errno.EIO)
            return
        if attributes_:
            extra["a"] = attributes_
        if found.status.st_nlink > 1 and found.opened is None and not stat.S_ISDIR(found.status.st_mode):
            extra |= {"i": found.status.st_ino, "n": found.status.st_nlink, "v": found.status.st_dev}
        entry = plain_entry(found.path, found.status, extra, target)
        self._kinds[entry.kind] += 1
        self._disk += _BLOCK if entry.kind == "dir" else 0
        self._bulk.entry(entry)

    # ------------------------------------------------------------ small files, in a worker's thread

    def _read_many(self, handles: Sequence[_Small], view: memoryview) -> Sequence[tuple[Entry, int, int] | None]:
        answers = reading.read_files([(one.folder.fd, os.fsencode(one.name)) for one in handles], view)
        found: list[tuple[Entry, int, int] | None] = []
        for one, answer in zip(handles, answers, strict=True):
            if answer[0]:
                self._not_read(one, answer[0])
                found.append(None)
                continue
            got = Got(*answer[1:])
            extra = self._extra(one.path, got.inode, got.ctime_ns, got.links, got.device, changed=bool(got.changed))
            if got.details and not self._details(one, got, extra):
                found.append(None)
                continue
            entry = Entry(one.path, "file", got.stop - got.start, got.mode & 0o7777, got.uid, got.gid, got.mtime_ns, None, extra)
            found.append((entry, got.start, got.stop))
        return found

    def _extra(self, path: str, inode: int, ctime_ns: int, links: int, device: int, *, changed: bool) -> dict[str, Any]:
        extra = self._stamps.extra(inode, ctime_ns, links, device)
        if changed:
            self.ledger.kept_changing(path)
            extra.pop("c", None)
            extra["w"] = 1
        return extra

    def _details(self, one: _Small, got: Got, extra: dict[str, Any]) -> bool:
        """Attributes and holes, of the file as it was read; False when it is another by now and must be looked at again."""
        try:
            fd = reading.open_file(one.folder.fd, one.name)
        except OSError as error:
            self._not_read(one, error.errno or errno.EIO)
            return False
        try:
            now = os.fstat(fd)
            if (now.st_ino, now.st_ctime_ns) != (got.inode, got.ctime_ns) and not got.changed:
                self._look_again(one)
                return False
            self._look(fd, now.st_size, extra)
        except OSError as error:
            self._not_read(one, error.errno or errno.EIO)
            return False
        finally:
            os.close(fd)
        return True

    @staticmethod
    def _look(fd: int, size: int, extra: dict[str, Any]) -> None:
        kept = attributes.read_attributes(fd)
        if kept:
            extra["a"] = kept
        ranges = attributes.data_ranges(fd, size)
        if ranges is not None:
            extra["h"] = ranges

    def _not_read(self, one: _Small, error: int) -> None:
        if error in _GONE:
            self.ledger.is_gone(one.path)
        elif error in _OTHER:
            self._look_again(one)
        else:
            self.ledger.cannot_read(one.path, error)

    def _look_again(self, one: _Small) -> None:
        if len(self._again) < _MOST_AGAIN:
            self._again.append(one)
        else:
            self.ledger.cannot_read(one.path, errno.EBUSY)

    # ------------------------------------------------------------ large files, and whatever changed while it was read

    def _large(self, one: _Small, *, last: bool) -> None:
        """``last``: it was read before and had changed; if it does again, that is told with the point."""
        try:
            fd = reading.open_file(one.folder.fd, one.name)
        except OSError as error:
            if last and error.errno in _OTHER:
                self.ledger.is_gone(one.path)
            else:
                self._not_read(one, error.errno or errno.EIO)
            return
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                os.close(fd)
                self._look_again(one)
                return
            extra = self._stamps.extra(status.st_ino, status.st_ctime_ns, status.st_nlink, status.st_dev)
            self._look(fd, status.st_size, extra)
        except OSError as error:
            os.close(fd)
            self._not_read(one, error.errno or errno.EIO)
            return

        def moved() -> bool:
            if not last and len(self._again) < _MOST_AGAIN:
                self._again.append(one)
                return False
            self.ledger.kept_changing(one.path)
            extra.pop("c", None)
            extra["w"] = 1
            return True

        ranges = extra.get("h")
        entry = plain_entry(one.path, status, extra)
        self.writer.add(entry, LargeFile(fd, status, ranges, moved))

    def _once_more(self) -> None:
        """What was something else than it had been listed as, or changed while it was read: each once more, as it is now."""
        again, self._again = self._again, []
        for one in sorted(again, key=lambda one: one.path):
            try:
                status = os.stat(one.name, dir_fd=one.folder.fd, follow_symlinks=False)
            except OSError as error:
                self._not_read(one, error.errno or errno.EIO)
                continue
            if stat.S_ISREG(status.st_mode):
                self._large(one, last=True)
            elif stat.S_ISDIR(status.st_mode):
                self.ledger.is_gone(one.path)
            else:
                self._other(Found(one.path, one.name, one.folder, status))
        self._bulk.flush()
        for one in self._again:
            self.ledger.is_gone(one.path)

    # ------------------------------------------------------------

    def _not_emptied(self, counts: Mapping[str, int]) -> None:
        base = self.writer.base
        before: Mapping[str, int] = base.point.facts.get("roots", {}) if base is not None else {}
        for root, count in counts.items():
            if count == 1 and before.get(root, 0) > 1:
                raise PathEmptied(
                    f"{root} is empty, and held {before[root] - 1} entries in the last point: nothing was committed.",
                    hint="Is it mounted? If it is meant to be empty, take the point with --full.",
                    path=root,
                )


class _Base:
    """The files of the last point, asked for in the order of their paths."""

    def __init__(self, writer: CaptureWriter) -> None:
        self._lines: Iterator[StoredLine] = iter(()) if writer.base is None else writer.base.lines()
        self._next: StoredLine | None = next(self._lines, None)

    def at(self, path: str) -> StoredLine | None:
        line = self._next
        while line is not None and line.path < path:
            line = next(self._lines, None)
        self._next = line
        return line if line is not None and line.path == path else None


def unchanged(line: StoredLine, status: os.stat_result) -> bool:
    """Same inode, ctime, mtime, size, so the content and all else is what it was: whatever changes a file sets its ctime."""
    extra = line.extra
    return (
        extra.get("c") == status.st_ctime_ns
        and line.is_file
        and line.size == status.st_size
        and line.mtime_ns == status.st_mtime_ns
        and extra.get("i") == status.st_ino
        and (status.st_nlink == 1 or (extra.get("n"), extra.get("v")) == (status.st_nlink, status.st_dev))
    )


def _names(numbers: set[int], name: Callable[[int], str]) -> dict[str, str]:
    found = {}
    for number in sorted(numbers):
        try:
            found[str(number)] = name(number)
        except (KeyError, OverflowError):
            continue
    return found
