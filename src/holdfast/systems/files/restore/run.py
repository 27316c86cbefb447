"""Does a restore of folders: names first, content at full speed, attributes of folders last, durable at the end."""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.model import Clock, Entry, Extracted, Progress, counted
from holdfast.systems.contract import PointReader, RestorePlan, StoredEntry, Target
from holdfast.systems.files import attributes
from holdfast.systems.files.errors import TargetMoved, TargetTaken
from holdfast.systems.files.handles import Handle
from holdfast.systems.files.restore.checked import checked
from holdfast.systems.files.restore.folders import Folders
from holdfast.systems.files.restore.lacking import Lacking
from holdfast.systems.files.restore.left_out import holds_left_out
from holdfast.systems.files.restore.owner import Owners
from holdfast.systems.files.restore.plan import Detail, place_of
from holdfast.systems.files.restore.removing import mount_in_the_way, remove_tree
from holdfast.systems.files.restore.writing import FileTarget, SmallWriter, dress, failed, set_attributes, sync
from holdfast.systems.files.settings import ROOT, outside

_SMALL = 1 << 20
_FOLDERS_KEPT = 100_000
_IFMT = {"fifo": stat.S_IFIFO, "char": stat.S_IFCHR, "block": stat.S_IFBLK}


@dataclass
class FolderRestore:
    """One run. The plan had no obstacles; what stands in the way by now is seen again, name by name."""

    reader: PointReader
    plan: RestorePlan
    owners: Owners
    progress: Progress
    clock: Clock
    notes: list[str] = field(default_factory=list)
    lacking: Lacking = field(default_factory=Lacking)

    def run(self) -> Extracted:
        """Durable when it returns; what the vault has lost is then in ``lacking``. Raises TargetTaken, TargetMoved, DiskFull, NotWritten,
        and what the reader raises.
        """
        into, detail = self.plan.into, self.plan.detail
        assert isinstance(detail, Detail)
        self._delta = bool(self.plan.options.get("delta"))
        into.mkdir(parents=True, exist_ok=True)
        self._folders = Folders(Handle(os.open(into, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)), str(into))
        try:
            return self._run(into, detail)
        except BaseException:
            with contextlib.suppress(HoldfastError, OSError):
                self.lacking.put_aside(self._folders, delta=self._delta)
            raise
        finally:
            self._folders.close()

    def _run(self, into: Path, detail: Detail) -> Extracted:
        self._links: list[tuple[str, str, Entry]] = []
        self._first: dict[tuple[int, int], tuple[str, int]] = {}
        self._dirs: list[Entry] = []
        self._many_dirs = False
        self._made_way = 0
        if self.plan.options.get("in_place"):
            self._aside(into, detail)
        for unit in detail.units:
            self._ready(unit)
        self.progress.phase("restore", self.plan.bytes)
        small = None if self._delta else SmallWriter(self._folders, self.owners, self._place)
        done = self.reader.extract(self._wanted(), delta=self._delta, progress=self.progress, small=small, lost=self._lost)
        self._link()
        if self.plan.options.get("remove_extra") and self.lacking.unlisted:
            self.notes.append("Nothing was removed: a part of the point's list is lost, so nobody knows what is extra.")
        elif self.plan.options.get("remove_extra"):
            from holdfast.systems.files.restore.extra import remove_extra

            self.notes += remove_extra(self.reader, detail, into, self._folders)
        self.lacking.put_aside(self._folders, delta=self._delta)
        if self._made_way:
            self.notes.append(f"{counted(self._made_way, 'folder')}, with all inside, made way for what the point holds there.")
        self._dress_folders()
        self.progress.phase("sync")
        sync(into)
        return replace(done, changed=self._folders.changed) if self._delta else done

    # ------------------------------------------------------------ before

    def _aside(self, into: Path, detail: Detail) -> None:
        stamp = self.clock.now().strftime("%Y%m%dT%H%M%SZ")
        for unit in detail.units:
            place = place_of(into, unit)
            if not os.path.lexists(place):
                continue
            aside = place.with_name(f"{place.name}.before-{stamp}")
            if os.path.lexists(aside):
                raise TargetTaken(f"{aside} exists.", hint="Wait a second, and run it again.", path=str(aside))
            try:
                place.rename(aside)
            except OSError as error:
                failed(str(place), error)
            self.notes.append(f"What stood in {place} is in {aside}.")

    def _ready(self, unit: str) -> None:
        """Make the folders above a unit; what inherits ACLs from them would not be what it was."""
        path = self._place(unit)
        parts = path.split("/")[:-1] if path else []
        for i in range(len(parts)):
            if self._folders.make("/".join(parts[: i + 1]), 0o755):
                self._bare("/".join(parts[: i + 1]))

    def _bare(self, path: str) -> None:
        fd = self._folders.at(path).fd
        for name in ("system.posix_acl_default", "system.posix_acl_access"):
            with contextlib.suppress(OSError):
                os.removexattr(fd, name)

    def _place(self, path: str) -> str:
        """Relative to the target."""
        inner = outside(path).strip("/")
        if "\0" in inner or (inner and not {"", ".", ".."}.isdisjoint(inner.split("/"))):
            raise TargetMoved(f"The point holds a path that leads out of its folder: {path!r}.", hint="Nothing of it was written.")
        return inner

    # ------------------------------------------------------------ names and content

    def _wanted(self) -> Iterator[tuple[StoredEntry, Callable[[], Target] | None]]:
        detail = self.plan.detail
        assert isinstance(detail, Detail)
        chooser = detail.selection.chooser()
        made: set[str] = set()
        for line in self.reader.lines(self._lost_lines):
            path = line.path
            if not path.startswith(ROOT) or not (path == ROOT or path[len(ROOT)] == "/"):
                continue
            if not chooser.wants(path, folder=not line.is_file):
                continue
            entry = checked(line.entry)
            place = self._place(path)
            if detail.selection.globs or self.lacking.unlisted:
                self._above(place, made)
            if entry.kind == "dir":
                self._folder(entry, place)
            elif entry.kind == "file":
                if not self._is_link(entry, place):
                    yield line, self._opener(entry, place)
            else:
                self._other(entry, place)

    def _lost(self, stored: StoredEntry, target: Target | None, error: HoldfastError) -> None:
        self.lacking.file(stored, self._place(stored.entry.path), target, error)

    def _lost_lines(self, first: str, last: str, count: int, error: HoldfastError) -> None:
        detail = self.plan.detail
        assert isinstance(detail, Detail)
        if detail.selection.touches(first, last):
            self.lacking.lines(first, last, count, error)

    def _opener(self, entry: Entry, place: str) -> Callable[[], Target] | None:
        if self._delta:
            self._clear(place, "file")
        elif entry.size <= _SMALL:
            return None
        return lambda: FileTarget(place, entry, self._folders, self.owners, delta=self._delta)

    def _above(self, place: str, made: set[str]) -> None:
        """Folders above a file that a glob chose by itself."""
        parts = place.split("/")[:-1]
        for i in range(len(parts)):
            path = "/".join(parts[: i + 1])
            if path not in made:
                if len(made) > _FOLDERS_KEPT:
                    made.clear()
                self._folders.make(path, 0o755)
                made.add(path)

    def _folder(self, entry: Entry, place: str) -> None:
        if self._delta:
            self._clear(place, "dir")
        try:
            if place:
                if self._folders.make(place):
                    self._bare(place)
                elif self._delta:
                    self._open_up(place)
        except OSError as error:
            failed(self._folders.show(place), error)
        if len(self._dirs) < _FOLDERS_KEPT:
            self._dirs.append(entry)
        else:
            self._many_dirs = True

    def _open_up(self, place: str) -> None:
        """A folder that is repaired must let its owner in; its mode is set at the end."""
        fd = self._folders.at(place).fd
        with contextlib.suppress(OSError):
            os.removexattr(fd, "system.posix_acl_default")  # what is made anew inside would inherit it
        mode = os.fstat(fd).st_mode
        if mode & 0o700 != 0o700:
            with contextlib.suppress(PermissionError):
                os.fchmod(fd, stat.S_IMODE(mode) | 0o700)

    def _is_link(self, entry: Entry, place: str) -> bool:
        """Whether the file is another name of one that is restored already."""
        links = entry.extra.get("n", 1)
        if links < 2:
            return False
        key = (entry.extra.get("v", 0), entry.extra["i"])
        first = self._first.get(key)
        if first is None:
            self._first[key] = place, links - 1
            return False
        path, left = first
        self._links.append((path, place, entry))
        if left > 1:
            self._first[key] = path, left - 1
        else:
            del self._first[key]
        return True

    def _other(self, entry: Entry, place: str) -> None:
        """A symbolic link, FIFO, device; sockets are told, and left out."""
        if entry.kind == "socket":
            self.owners.miss("socket")
            return
        folder, name = self._folders.parent(place)
        uid, gid, mode = self.owners.of(entry)
        try:
            if self._delta and self._as_wanted(entry, folder, place):
                return
            if entry.kind == "symlink":
                os.symlink(entry.target or "", name, dir_fd=folder.fd)
            else:
                device = os.makedev(*entry.extra["d"]) if "d" in entry.extra else 0
                os.mknod(name, _IFMT[entry.kind] | 0o600, device, dir_fd=folder.fd)
            if uid >= 0 or gid >= 0:
                os.chown(name, uid, gid, dir_fd=folder.fd, follow_symlinks=False)
            if entry.kind != "symlink":
                os.chmod(name, mode, dir_fd=folder.fd)
            if "a" in entry.extra:
                set_attributes(f"/proc/self/fd/{folder.fd}/{name}", attributes.decoded(entry.extra["a"]), self.owners)
            os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=folder.fd, follow_symlinks=False)
        except PermissionError as error:
            if entry.kind not in ("char", "block"):
                failed(self._folders.show(place), error)
            self.owners.miss("device")
        except OSError as error:
            failed(self._folders.show(place), error)

    # ------------------------------------------------------------ delta

    def _as_wanted(self, entry: Entry, folder: Handle, place: str) -> bool:
        """Whether just this stands there; what else does makes way."""
        name = place.rpartition("/")[2]
        try:
            status = os.stat(name, dir_fd=folder.fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if entry.kind == "symlink" and stat.S_ISLNK(status.st_mode) and os.readlink(name, dir_fd=folder.fd) == entry.target:
            uid, gid, _ = self.owners.of(entry)
            if (uid, gid) in ((status.st_uid, status.st_gid), (-1, -1)):
                os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=folder.fd, follow_symlinks=False)
                return True
        self._remove(folder, place, status)
        return False

    def _clear(self, place: str, kind: str) -> None:
        """Make way for a file or folder where something of another type stands."""
        if not place:
            return
        folder, name = self._folders.parent(place)
        try:
            status = os.stat(name, dir_fd=folder.fd, follow_symlinks=False)
        except FileNotFoundError:
            return
        if stat.S_ISREG(status.st_mode) if kind == "file" else stat.S_ISDIR(status.st_mode):
            return
        self._remove(folder, place, status)

    def _remove(self, folder: Handle, place: str, status: os.stat_result) -> None:
        """Of what stands where the point holds something else: a folder with something in it goes only where extra entries go."""
        name = place.rpartition("/")[2]
        self._folders.forget(place)
        try:
            if not stat.S_ISDIR(status.st_mode):
                os.unlink(name, dir_fd=folder.fd)
                return
            try:
                os.rmdir(name, dir_fd=folder.fd)
            except OSError as error:
                if error.errno == errno.EBUSY:
                    raise mount_in_the_way([self._folders.show(place)], "where the point holds something else") from error
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                if not self._may_remove_extra():
                    raise self._in_the_way(place) from error
                self._nothing_left_out(folder, name, place)
                remove_tree(folder, name, self._folders.show(place))
                self._made_way += 1
        except OSError as error:
            failed(self._folders.show(place), error)

    def _nothing_left_out(self, folder: Handle, name: str, place: str) -> None:
        """Raises TargetTaken where the folder holds something that the plan excludes: that is never removed."""
        detail = self.plan.detail
        assert isinstance(detail, Detail)
        if not detail.left_out:
            return
        judge = detail.left_out.judge(str(self.plan.into))
        if judge.stays(place, folder=True) or holds_left_out(judge, Handle.open(name, folder), place):
            shown = self._folders.show(place)
            raise TargetTaken(
                f"{shown} is a folder with something in it that the plan excludes, and the point holds something else there.",
                hint="Move it away; then run the restore again.",
                path=shown,
            )

    def _may_remove_extra(self) -> bool:
        """What lies below a place where the point holds no folder is extra; with a selection by globs nothing is."""
        detail = self.plan.detail
        assert isinstance(detail, Detail)
        return bool(self.plan.options.get("remove_extra") and detail.units)

    def _in_the_way(self, place: str) -> TargetTaken:
        detail = self.plan.detail
        assert isinstance(detail, Detail)
        shown = self._folders.show(place)
        return TargetTaken(
            f"{shown} is a folder with something in it, and the point holds something else there.",
            hint=f"Move it away{', or say --remove-extra to have it removed' if detail.units else ''}; then run the restore again.",
            path=shown,
        )

    # ------------------------------------------------------------ after the content

    def _link(self) -> None:
        for first, place, entry in self._links:
            if self.lacking.has(first):
                self.lacking.name_of(place, entry.path, first)
                continue
            source, source_name = self._folders.parent(first)
            folder, name = self._folders.parent(place)
            try:
                if self._delta:
                    with contextlib.suppress(FileNotFoundError):
                        there = os.stat(name, dir_fd=folder.fd, follow_symlinks=False)
                        if os.path.samestat(there, os.stat(source_name, dir_fd=source.fd, follow_symlinks=False)):
                            continue
                        self._remove(folder, place, there)
                os.link(source_name, name, src_dir_fd=source.fd, dst_dir_fd=folder.fd, follow_symlinks=False)
            except OSError as error:
                failed(self._folders.show(place), error)

    def _dress_folders(self) -> None:
        """From the deepest up, so that a folder may close itself behind what was set inside it."""
        folders = reversed(self._dirs) if not self._many_dirs else reversed(list(self._all_dirs()))
        for entry in folders:
            place = self._place(entry.path)
            try:
                dress(self._folders.at(place).fd, entry, self.owners, clean=True)
            except OSError as error:
                failed(self._folders.show(place), error)

    def _all_dirs(self) -> Iterator[Entry]:
        detail = self.plan.detail
        assert isinstance(detail, Detail)
        chooser = detail.selection.chooser()
        for line in self.reader.lines(lambda *_: None):  # what is lost was told before
            if chooser.wants(line.path, folder=not line.is_file) and line.entry.kind == "dir" and line.path.startswith(ROOT):
                yield line.entry
