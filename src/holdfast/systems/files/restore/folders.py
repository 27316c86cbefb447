"""The folders of a target, open by their paths: reached name by name, never through a link."""

import errno
import os
import threading
from collections import OrderedDict
from typing import Protocol

from holdfast.systems.files.errors import TargetMoved
from holdfast.systems.files.handles import Handle

_KEPT = 256


class Abandoned(Protocol):
    """A file that is being written."""

    def abandon(self) -> None: ...


class Folders:
    """Safe from many threads. Paths are relative to ``top``; '' is ``top`` itself. ``opened``: files that are being written, ``changed``:
    how many were not as they should be.
    """

    def __init__(self, top: Handle, shown: str) -> None:
        self._top = top
        self._shown = shown.rstrip("/")
        self._open: OrderedDict[str, Handle] = OrderedDict()
        self._lock = threading.Lock()
        self.opened: set[Abandoned] = set()
        self.changed = 0

    def at(self, path: str) -> Handle:
        """Raises TargetMoved where a link, something else or nothing stands instead of a folder."""
        if not path:
            return self._top
        with self._lock:
            found = self._open.get(path)
            if found is not None:
                self._open.move_to_end(path)
                return found
        parent, _, name = path.rpartition("/")
        try:
            made = Handle.open(name, self.at(parent))
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise TargetMoved(
                    f"{self.show(path)} is no folder: it was replaced while files were restored below it, or stood there before.",
                    hint="Nothing was written through it. Look at who writes there, and restore into a new folder.",
                    path=self.show(path),
                ) from error
            if error.errno == errno.ENOENT:
                raise TargetMoved(
                    f"{self.show(path)} is not there: it was removed while files were restored below it, or the point lacks it.",
                    hint="Restore into a new folder; if it happens again, another point.",
                    path=self.show(path),
                ) from error
            raise
        with self._lock:
            self._open[path] = made
            while len(self._open) > _KEPT:
                self._open.popitem(last=False)
        return made

    def parent(self, path: str) -> tuple[Handle, str]:
        """(folder, last name) of a path."""
        folder, _, name = path.rpartition("/")
        return self.at(folder), name

    def make(self, path: str, mode: int = 0o700) -> bool:
        """A folder, if there is none; whether it was made. Raises TargetMoved for something else there."""
        folder, name = self.parent(path)
        try:
            os.mkdir(name, mode, dir_fd=folder.fd)
        except FileExistsError:
            self.at(path)
            return False
        return True

    def forget(self, path: str) -> None:
        """Something else is put where a folder was."""
        with self._lock:
            for known in [one for one in self._open if one == path or one.startswith(path + "/")]:
                del self._open[known]

    def count_changed(self) -> None:
        with self._lock:
            self.changed += 1

    def close(self) -> None:
        """Let go of all; after a failure too, so that a file system can be unmounted."""
        with self._lock:
            for file in list(self.opened):
                file.abandon()
            self.opened.clear()
            for handle in (*self._open.values(), self._top):
                handle.close()
            self._open.clear()

    def show(self, path: str) -> str:
        return f"{self._shown}/{path}"
