"""Entries of a point as plain files in a folder of ours: what Git and registries are given, before it is made usable again."""

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from holdfast.errors import Damaged, HoldfastError
from holdfast.model import Extracted, Progress
from holdfast.systems.contract import PointReader, StoredEntry, Target
from holdfast.systems.files.handles import Handle
from holdfast.systems.files.restore.writing import failed


class EntryUnexpected(Damaged):
    """A point holds an entry that no capture writes there."""

    code = "files-entry-unexpected"


class Folder:
    """A tree below one folder, reached name by name without following links; subfolders are made when they are missing."""

    def __init__(self, top: Path) -> None:
        top.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._open: dict[tuple[str, ...], Handle] = {(): Handle.open(str(top))}

    def at(self, names: tuple[str, ...]) -> Handle:
        """Raises OSError: a link or a file stands there."""
        found = self._open.get(names)
        if found is None:
            parent = self.at(names[:-1])
            with contextlib.suppress(FileExistsError):
                os.mkdir(names[-1], 0o755, dir_fd=parent.fd)
            found = self._open[names] = Handle.open(names[-1], parent)
        return found


class PlainTarget:
    """One new file. It has a name of its own until it is whole; then it takes ``name``, which must be free."""

    def __init__(self, folder: Handle, name: str, size: int) -> None:
        self._folder = folder
        self._name = name
        self._partial = f".{name[:200]}.partial"
        with_mode = os.O_CREAT | os.O_TRUNC | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(self._partial, with_mode, 0o644, dir_fd=folder.fd)
        # Zeros are not written: they are there from the beginning.
        os.ftruncate(self._fd, size)

    def write(self, offset: int, data: memoryview) -> None:
        while data:
            written = os.pwrite(self._fd, data, offset)
            data, offset = data[written:], offset + written

    def existing(self, offset: int, buffer: memoryview) -> int:  # noqa: ARG002
        return 0

    def abandon(self) -> None:
        """It cannot become whole."""
        os.close(self._fd)
        os.unlink(self._partial, dir_fd=self._folder.fd)

    def close(self) -> None:
        os.close(self._fd)
        os.rename(self._partial, self._name, src_dir_fd=self._folder.fd, dst_dir_fd=self._folder.fd)


def chosen(reader: PointReader, root: str, form: "re.Pattern[str]", paths: Sequence[str]) -> Iterator[StoredEntry]:
    """Files below ``root`` (of them those at or below ``paths``; none named: all), each of a form that a capture writes.

    Raises EntryUnexpected: what has another form could lead anywhere.
    """
    for stored in reader.entries(f"{root}/"):
        entry = stored.entry
        if entry.kind != "file" or not form.fullmatch(entry.path):
            raise EntryUnexpected(
                f"The point holds {entry.path[:200]!r} ({entry.kind}), which does not belong below {root}.",
                hint="Restore another recovery point.",
            )
        if not paths or any(entry.path == path or entry.path.startswith(f"{path}/") for path in paths):
            yield stored


def extract(
    reader: PointReader,
    entries: Sequence[StoredEntry],
    root: str,
    top: Path,
    progress: Progress,
    *,
    skip: Callable[[str], bool] | None = None,
    lack: Callable[[str, HoldfastError], None] | None = None,
) -> Extracted:
    """Write ``entries`` (checked by ``chosen``), all at or below ``root``, to the same places below ``top``. Not yet durable.

    ``skip``: (path below the root) → it is there already. ``lack`` hears (path, why) of what damage keeps from being written.
    Raises DiskFull, NotWritten (a link stands where a folder belongs), and what the reader raises.
    """
    progress.phase("restore", sum(stored.entry.size for stored in entries))
    made: list[tuple[StoredEntry, Callable[[], Target]]] = []
    try:
        folder = Folder(top)
        for stored in entries:
            inner = stored.entry.path[len(root) + 1 :]
            if skip is not None and skip(inner):
                progress.advance(stored.entry.size)
                continue
            *names, name = inner.split("/")
            place = folder.at(tuple(names))
            made.append((stored, lambda place=place, name=name, size=stored.entry.size: PlainTarget(place, name, size)))  # type: ignore[misc]

        def lost(stored: StoredEntry, target: Target | None, error: HoldfastError) -> None:
            assert lack is not None
            if isinstance(target, PlainTarget):
                target.abandon()
            lack(stored.entry.path, error)

        return reader.extract(made, progress=progress, lost=lost if lack is not None else None)
    except OSError as error:
        failed(str(top), error)
