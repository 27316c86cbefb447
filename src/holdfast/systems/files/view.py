"""What validation looks at: a restored copy, held against its point, and the source."""

import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import blake3

from holdfast.errors import Damaged, HoldfastError
from holdfast.model import Clock, Progress, RecoveryPoint, counted
from holdfast.systems.contract import Draw, Isolated, PointReader, Relation, Sampled, StoredEntry, Structural, Target
from holdfast.systems.files import attributes
from holdfast.systems.files.capture import reading
from holdfast.systems.files.capture.ledger import Ledger
from holdfast.systems.files.capture.walk import Found, Walk
from holdfast.systems.files.compare import differing, of_point, on_machine, pairs
from holdfast.systems.files.errors import NoQuestions, TargetMoved
from holdfast.systems.files.handles import Handle
from holdfast.systems.files.parts import Part
from holdfast.systems.files.restore.folders import Folders
from holdfast.systems.files.settings import FilesSettings, outside
from holdfast.systems.shared import narrowing
from holdfast.systems.shared.tabular import of_files
from holdfast.systems.shared.views import PlainView

_RUN = 1 << 20
_NAMED = 5


class _View(PlainView):
    """A tree as it stands on the machine. ``prefix``: what its paths have in front of those of the point."""

    def __init__(self, settings: FilesSettings, prefix: str, reached: Mapping[str, Any], connection: str) -> None:
        super().__init__(reached, connection)
        self._settings = settings
        self._prefix = prefix

    def unasked(self, table: str | None) -> HoldfastError:
        """A table is a path or pattern of Parquet or CSV files."""
        if table is None:
            return NoQuestions("Files answer no SQL.", hint="Write the check with command: it finds the folder in HOLDFAST_CONNECTION.")
        return NoQuestions("Files are asked in an isolated copy only.")

    def digest(self, selection: Sequence[str] = ()) -> Mapping[str, Any]:
        """For each path of the plan: how many entries, bytes, and a hash over all names, attributes and content below it."""
        found: dict[str, Any] = {}
        for name, root in self._named(selection):
            whole = blake3.blake3()
            entries = size = 0
            for path, one in self._walk(root):
                whole.update(_digest(path, one))
                entries += 1
                size += one.status.st_size if stat.S_ISREG(one.status.st_mode) else 0
            found[name] = {"entries": entries, "bytes": size, "hash": whole.hexdigest()}
        return found

    def sample(self, draw: Draw, selection: Sequence[str] = ()) -> Mapping[str, Sampled]:
        """Entries drawn by their paths."""
        return {
            name: narrowing.sampled(name, "entries", lambda root=root: sum(1 for _ in self._walk(root)), self._each(root), draw)  # type: ignore[misc]
            for name, root in self._named(selection)
        }

    def differences(self, other: Isolated, name: str, limit: int = 5) -> Mapping[str, Any]:
        """Of two copies of one path; keys are paths."""
        theirs = other.each(name) if isinstance(other, _View) else _nothing
        return narrowing.differing(self.each(name), theirs, limit)

    def each(self, name: str) -> narrowing.Each:
        """The entries below one path of the plan."""
        root = dict(self._named((name,))).get(name)
        return self._each(root) if root is not None else _nothing

    def _each(self, root: str) -> narrowing.Each:
        def each(choose: narrowing.Choose, note: narrowing.Note) -> None:
            for path, one in self._walk(root):
                if choose(path):
                    note(path, _digest(path, one))

        return each

    def _named(self, selection: Sequence[str]) -> Iterator[tuple[str, str]]:
        """(path of the plan, where it lies here)."""
        for root in self._settings.roots():
            name = root[len(self._prefix) :] or "/"
            if not selection or name in selection:
                yield name, root

    def _walk(self, root: str) -> Iterator[tuple[str, Found]]:
        """What comes back of the entries below ``root``, by their paths at the source."""
        one_root = FilesSettings((root,), self._settings.exclude, self._settings.exclude_caches, self._settings.one_filesystem)
        for one in Walk(one_root, Ledger()).run():
            if _comes_back(stat.S_IFMT(one.status.st_mode)):
                yield outside(one.path)[len(self._prefix) :], one


def _nothing(choose: narrowing.Choose, note: narrowing.Note) -> None:
    del choose, note


def _comes_back(file_type: int) -> bool:
    """Sockets are never restored, devices by root alone: a source that has some differs in nothing from its copy."""
    return file_type != stat.S_IFSOCK and (os.geteuid() == 0 or file_type not in (stat.S_IFCHR, stat.S_IFBLK))


def _digest(path: str, one: Found) -> bytes:
    """Of all that is restored of an entry. Owners are in it for root alone, who alone restores them."""
    status = one.status
    owner = (status.st_uid, status.st_gid) if os.geteuid() == 0 else ()
    link = os.readlink(one.name, dir_fd=one.folder.fd) if stat.S_ISLNK(status.st_mode) else ""
    place: int | str = one.opened.fd if one.opened is not None else f"/proc/self/fd/{one.folder.fd}/{one.name}"
    mode = 0 if link else status.st_mode
    said = repr((path, mode, owner, status.st_mtime_ns, link, sorted(attributes.read_attributes(place).items())))
    found = blake3.blake3(said.encode("utf-8", "surrogatepass"))
    if stat.S_ISREG(status.st_mode):
        fd = reading.open_file(one.folder.fd, one.name)
        try:
            while data := os.read(fd, _RUN):
                found.update(data)
        finally:
            os.close(fd)
    return found.digest()


class SourceView(_View):
    """The paths of the plan themselves."""

    def __init__(self, settings: FilesSettings, clock: Clock) -> None:
        super().__init__(settings, "", {"time": clock.now().isoformat()}, "/")


class RestoredView(_View):
    """A copy of ``point`` below ``into``."""

    def __init__(
        self, into: Path, reader: PointReader, point: RecoveryPoint, reached: Mapping[str, Any], parts: Sequence[Part] = ()
    ) -> None:
        self._parts = parts
        self._roots = tuple(point.facts.get("roots", {}))
        super().__init__(FilesSettings(tuple(str(into / root.lstrip("/")) for root in self._roots)), str(into), reached, str(into))
        self._into = into
        self._reader = reader

    def relation(self, table: str, database: str | None = None) -> Relation:
        del database
        return of_files(self._into, table, self._into.parent)

    def structure(self, progress: Progress | None = None) -> Iterator[Structural]:
        """Everything the point holds is there, with its attributes, and nothing else is; and its content is what was recorded."""
        del progress  # it counts checks, not bytes
        if self._roots:
            yield self._entries()
            yield self._content()
        for part in self._parts:
            yield from part.examine(self._into / part.name)

    def _entries(self) -> Structural:
        wrong: list[str] = []
        count = bad = 0
        root = os.geteuid() == 0
        for line, found in pairs(of_point(self._reader), on_machine(self._into, self._roots, Ledger())):
            count += 1
            said = ""
            if line is None:
                said = f"{outside(found.path)[len(self._prefix) :] if found else ''} is too many"
            elif found is None:
                if line.entry.kind == "socket" or (not root and line.entry.kind in ("char", "block")):
                    continue
                said = f"{outside(line.path)} is missing"
            elif what := differing(line.entry, found, owners=root):
                said = f"{outside(line.path)}: {', '.join(what)}"
            if said:
                bad += 1
                if len(wrong) < _NAMED:
                    wrong.append(said)
        if bad:
            return Structural("names and attributes", "failed", f"{bad} of {counted(count, 'entry', 'entries')}: {'; '.join(wrong)}")
        if not count:
            return Structural(
                "names and attributes", "failed", f"the point says that {', '.join(self._roots)} is in it, and holds no entry"
            )
        return Structural("names and attributes", "passed", counted(count, "entry", "entries"))

    def _content(self) -> Structural:
        wrong: list[str] = []
        folders = Folders(Handle.open(str(self._into)), str(self._into))

        def wanted() -> Iterator[tuple[StoredEntry, Callable[[], Target]]]:
            for line in of_point(self._reader):
                if line.is_file:
                    place = outside(line.path).lstrip("/")
                    yield line, lambda place=place, size=line.size: _Compared(folders, place, size, wrong)  # type: ignore[misc]

        try:
            done = self._reader.extract(wanted(), delta=True)
        except (Damaged, OSError) as error:
            return Structural("content as recorded", "failed", str(error))
        finally:
            folders.close()
        if wrong:
            named = ", ".join(sorted(set(wrong))[:_NAMED])
            what = counted(len(set(wrong)), "file differs", "files differ")
            return Structural("content as recorded", "failed", f"{what} from what was recorded: {named}")
        # A tree without files has no content to be compared.
        state = "passed" if done.files else "skipped"
        return Structural("content as recorded", state, f"{counted(done.files, 'file')}, {done.kept} bytes equal what was recorded")


class _Compared:
    """A target that is only looked at: the reader asks what exists, and would write only what differs. What is not there differs."""

    def __init__(self, folders: Folders, place: str, size: int, wrong: list[str]) -> None:
        self._shown = folders.show(place)
        self._size = size
        self._wrong = wrong
        self._fd = -1
        with contextlib.suppress(OSError, TargetMoved):
            folder, name = folders.parent(place)
            fd = reading.open_file(folder.fd, name)
            if stat.S_ISREG(os.fstat(fd).st_mode):
                self._fd = fd
            else:
                os.close(fd)

    def write(self, offset: int, data: memoryview) -> None:
        del offset, data
        self._wrong.append(self._shown)

    def existing(self, offset: int, buffer: memoryview) -> int:
        return 0 if self._fd < 0 else os.preadv(self._fd, [buffer], offset)

    def close(self) -> None:
        if self._fd < 0:
            self._wrong.append(self._shown)
            return
        if os.fstat(self._fd).st_size != self._size:
            self._wrong.append(self._shown)
        os.close(self._fd)
