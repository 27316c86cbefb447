"""Lists a data directory as a backup keeps it: folders with modes, files, the content of tablespaces; nothing that must stay behind."""

# ruff: noqa: PTH115, PTH116 - plain strings all along this hot path

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.model import Entry
from holdfast.systems.postgres import layout
from holdfast.systems.postgres.controlfile import PATH as CONTROL
from holdfast.systems.postgres.faults import DataDirectoryUnreadable


@dataclass(slots=True)
class Walk:
    """Lists ``root``. ``spaces``: tablespaces by oid (their path and name); ``version_folder``: the folder in each that is this cluster's.

    ``entries`` after ``run``: sorted by path, without the control file; ``notes``: links that were followed.
    """

    root: str
    spaces: Mapping[int, Mapping[str, Any]]
    version_folder: str
    entries: list[Entry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def run(self) -> list[Entry]:
        """Raises DataDirectoryUnreadable for what this user may not read. What vanishes meanwhile is left out."""
        try:
            self._folder(self.root, "")
        except PermissionError as error:
            raise DataDirectoryUnreadable(
                f"{error.filename} cannot be read by this user.",
                hint="Run as the server's user (or root), or leave data_directory out to back up over the replication protocol.",
                path=str(error.filename),
            ) from error
        self.entries.sort(key=lambda one: one.path)
        return self.entries

    def _folder(self, place: str, path: str) -> None:
        try:
            with os.scandir(place) as listing:
                found = list(listing)
        except FileNotFoundError:
            return
        skip = layout.unkept([one.name for one in found]) if layout.folder(path) else ()
        for one in found:
            name = one.name
            if name in skip or layout.left_out(path, name):
                continue
            inner = f"{path}/{name}" if path else name
            if inner != CONTROL:
                self._one(one, inner)

    def _one(self, one: "os.DirEntry[str]", path: str) -> None:
        try:
            status = one.stat(follow_symlinks=False)
            extra: dict[str, Any] = {}
            if stat.S_ISLNK(status.st_mode):
                extra = self._link(one, path)
                status = one.stat()
        except FileNotFoundError:
            return
        if stat.S_ISDIR(status.st_mode):
            self._add(path, "dir", 0, status, extra)
            if path in layout.EMPTIED:
                self._inside_emptied(one.path, path)
            elif path.startswith("pg_tblspc/") and path.count("/") == 1:
                self._tablespace(one.path, path)
            else:
                self._folder(one.path, path)
        elif stat.S_ISREG(status.st_mode):
            self._add(path, "file", status.st_size, status, extra)

    def _add(self, path: str, kind: Any, size: int, status: os.stat_result, extra: Mapping[str, Any]) -> None:
        mode = stat.S_IMODE(status.st_mode)
        self.entries.append(Entry(path, kind, size, mode, status.st_uid, status.st_gid, status.st_mtime_ns, None, extra))

    def _link(self, one: "os.DirEntry[str]", path: str) -> dict[str, Any]:
        parent, _, name = path.rpartition("/")
        if parent == "pg_tblspc" and name.isdigit():
            space = self.spaces.get(int(name), {})
            return {"tablespace": space.get("path") or os.readlink(one.path), "name": space.get("name")}
        target = os.readlink(one.path)
        self.notes.append(f"{path} is a link to {target}; the point holds what it leads to.")
        return {"link": target}

    def _inside_emptied(self, place: str, path: str) -> None:
        for inner in layout.WAL_FOLDERS:
            if inner.startswith(path + "/"):
                at = place + inner[len(path) :]
                try:
                    self._add(inner, "dir", 0, os.stat(at), {})
                except FileNotFoundError:
                    continue

    def _tablespace(self, place: str, path: str) -> None:
        """Another cluster, or another version of this one, may keep its own folder in the same place."""
        inner = f"{path}/{self.version_folder}"
        try:
            self._add(inner, "dir", 0, os.stat(f"{place}/{self.version_folder}"), {})
        except FileNotFoundError:
            return
        self._folder(f"{place}/{self.version_folder}", inner)
