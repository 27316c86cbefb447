"""What lies where in a data directory: which files are relations, and what a backup leaves out.

Sources: "File System Level Backup" and "Database File Layout" in PostgreSQL's manual, and the server's own list in
src/backend/backup/basebackup.c, which a remote backup applies by itself.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

EMPTIED: Final = frozenset({"pg_wal", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_stat_tmp", "pg_subtrans"})
"""Folders at the top whose content is left out and that exist, empty, in every point."""

WAL_FOLDERS: Final = ("pg_wal/archive_status", "pg_wal/summaries")
"""Folders inside pg_wal that the server expects; they are kept where they exist."""

_LEFT_OUT: Final = frozenset(
    {
        "postmaster.pid",
        "postmaster.opts",
        "current_logfiles.tmp",
        "postgresql.auto.conf.tmp",
        "backup_label",
        "backup_label.old",
        "tablespace_map",
        "tablespace_map.old",
        "backup_manifest",
        "standby.signal",
        "recovery.signal",
    }
)
_RELATION: Final = re.compile(r"(?P<temp>t\d+_)?(?P<node>[1-9]\d*)(?:_(?P<fork>fsm|vm|init))?(?:\.(?P<segment>[1-9]\d*))?")
_DATABASE: Final = re.compile(r"base/(?P<base>\d+)|pg_tblspc/(?P<space>\d+)/PG_[^/]+/(?P<db>\d+)|(?P<shared>global)")
FORKS: Final = {"main": 0, "fsm": 1, "vm": 2, "init": 3}
DEFAULT_TABLESPACE: Final = 1663
GLOBAL_TABLESPACE: Final = 1664


@dataclass(frozen=True, slots=True)
class Relation:
    """One file of a relation: tablespace and database (oid, 0 for shared), relfilenode, fork, number of the file in the fork."""

    tablespace: int
    database: int
    node: int
    fork: str
    segment: int

    def first_block(self, segment_pages: int) -> int:
        """The block number, in the fork, of this file's first page."""
        return self.segment * segment_pages


def folder(path: str) -> tuple[int, int] | None:
    """(tablespace oid, database oid) when ``path`` is a folder that holds relations, else None."""
    match = _DATABASE.fullmatch(path)
    if match is None:
        return None
    if match["shared"]:
        return GLOBAL_TABLESPACE, 0
    if match["base"]:
        return DEFAULT_TABLESPACE, int(match["base"])
    return int(match["space"]), int(match["db"])


def relation(path: str) -> Relation | None:
    """What a relation file's path says; None for anything else (maps, PG_VERSION, temporary relations)."""
    parent, _, name = path.rpartition("/")
    match = _RELATION.fullmatch(name)
    if match is None or match["temp"]:
        return None
    place = folder(parent)
    if place is None:
        return None
    return Relation(place[0], place[1], int(match["node"]), match["fork"] or "main", int(match["segment"] or 0))


def left_out(parent: str, name: str) -> bool:
    """Whether a file or folder is no part of a backup, whatever else lies beside it. ``parent`` is '' at the top."""
    if name.startswith(("pgsql_tmp", "pg_internal.init.")) or name == "pg_internal.init":
        return True
    return not parent and name in _LEFT_OUT


def unkept(names: Collection[str]) -> set[str]:
    """Of the names in one database's folder, those of temporary and unlogged relations; an unlogged one's init fork stays."""
    matches = [match for match in map(_RELATION.fullmatch, names) if match is not None]
    unlogged = {match["node"] for match in matches if match["fork"] == "init" and not match["temp"]}
    return {match[0] for match in matches if match["temp"] or (match["node"] in unlogged and match["fork"] != "init")}
