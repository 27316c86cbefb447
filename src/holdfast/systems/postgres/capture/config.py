"""Configuration files that lie outside the data directory: they belong to the point, under ``holdfast/config/``."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError
from holdfast.model import Entry
from holdfast.systems.postgres.capture.facts import shown
from holdfast.systems.postgres.link import connection

if TYPE_CHECKING:
    from holdfast.systems.postgres.link.connection import Connection

FOLDER = "holdfast/config"
_MAIN = {"config_file": "postgresql.conf", "hba_file": "pg_hba.conf", "ident_file": "pg_ident.conf"}


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """``setting`` names what points at it ('include' for a file included by another); ``original`` is its path on the server."""

    setting: str
    original: str
    entry: str
    content: bytes
    mode: int = 0o600
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0

    def as_entry(self) -> Entry:
        extra = {"original": self.original, "setting": self.setting}
        return Entry(self.entry, "file", len(self.content), self.mode, self.uid, self.gid, self.mtime_ns, None, extra)

    def fact(self) -> dict[str, Any]:
        return {"setting": self.setting, "path": self.original, "entry": self.entry}


def outside(session: "Connection", data_directory: str | None, *, local: bool) -> tuple[list[ConfigFile], list[str]]:
    """(files, what could not be read and why). ``local``: from this host's disk; else through the server, which needs a right for it."""
    wanted: dict[str, tuple[str, str]] = {}
    missing = []
    for setting, name in _MAIN.items():
        path = shown(session, setting)
        if path is None:
            missing.append(f"{setting}: its place is hidden from this role (grant pg_read_all_settings)")
        elif not _inside(path, data_directory):
            wanted[path] = (setting, f"{FOLDER}/{name}")
    for path in _included(session, missing):
        if path not in wanted and not _inside(path, data_directory):
            wanted[path] = ("include", f"{FOLDER}/include/{path.lstrip('/')}")
    found = []
    for path, (setting, entry) in sorted(wanted.items(), key=lambda one: one[1][1]):
        try:
            found.append(_local(path, setting, entry) if local else _remote(session, path, setting, entry))
        except (OSError, HoldfastError) as error:
            missing.append(f"{path}: {error}")
    return found, missing


def _inside(path: str, data_directory: str | None) -> bool:
    # By name alone: the server may run on another host.
    return data_directory is not None and Path(os.path.normpath(path)).is_relative_to(os.path.normpath(data_directory))


def _included(session: "Connection", missing: list[str]) -> list[str]:
    try:
        query = "SELECT DISTINCT sourcefile FROM pg_catalog.pg_file_settings WHERE sourcefile IS NOT NULL ORDER BY 1"
        return [str(one["sourcefile"]) for one in connection.rows(session, query, what="Listing configuration files")]
    except HoldfastError:
        missing.append("included files: pg_file_settings is closed to this role")
        return []


def _local(path: str, setting: str, entry: str) -> ConfigFile:
    place = Path(path)
    stat = place.stat()
    return ConfigFile(setting, path, entry, place.read_bytes(), stat.st_mode & 0o7777, stat.st_uid, stat.st_gid, stat.st_mtime_ns)


def _remote(session: "Connection", path: str, setting: str, entry: str) -> ConfigFile:
    content = connection.rows(session, "SELECT pg_catalog.pg_read_binary_file(%s) AS content", (path,), what=f"Reading {path}")[0][
        "content"
    ]
    return ConfigFile(setting, path, entry, bytes(content))
