"""Whose restored files are to be, and what this account may set of it."""

import grp
import os
import pwd
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.model import Entry

_SPECIAL = 0o6000
"""Set-user-id and set-group-id."""


@dataclass
class Owners:
    """``users`` and ``groups``: numbers of the point → numbers here, where they differ. Counts what could not be set; safe from threads."""

    users: Mapping[int, int] = field(default_factory=dict)
    groups: Mapping[int, int] = field(default_factory=dict)
    root: bool = field(default_factory=lambda: os.geteuid() == 0)
    lacking: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._me = os.geteuid()
        self._mine = {os.getegid(), *os.getgroups()}
        self._lock = threading.Lock()

    @classmethod
    def by_name(cls, users: Mapping[str, str], groups: Mapping[str, str]) -> "Owners":
        """Numbers that this machine gives to the names of the point; where it has no such name, the number stays."""
        found_users, found_groups = {}, {}
        for number, name in users.items():
            try:
                found_users[int(number)] = pwd.getpwnam(name).pw_uid
            except KeyError:
                continue
        for number, name in groups.items():
            try:
                found_groups[int(number)] = grp.getgrnam(name).gr_gid
            except KeyError:
                continue
        return cls(found_users, found_groups)

    def of(self, entry: Entry) -> tuple[int, int, int]:
        """(uid, gid, mode) to be set; -1 for what is left alone. Who is not root gives nothing away: neither files nor set-user-id bits."""
        uid, gid, mode = self.users.get(entry.uid, entry.uid), self.groups.get(entry.gid, entry.gid), entry.mode & 0o7777
        if self.root:
            return uid, gid, mode
        if uid != self._me:
            self.miss("owner")
            mode &= ~0o4000
            uid = -1
        if gid not in self._mine:
            self.miss("group")
            mode &= ~0o2000 if entry.kind != "dir" else ~0
            gid = -1
        return uid, gid, mode

    def miss(self, what: str, count: int = 1) -> None:
        with self._lock:
            self.lacking[what] += count

    def notes(self) -> list[str]:
        """What could not be set, in sentences."""
        said = {
            "owner": "entries belong to this account: only root can give files away",
            "group": "entries have this account's group: it is no member of theirs",
            "device": "device nodes were left out: only root can make them",
            "socket": "sockets were left out: the program that listens makes its own",
            "attribute": "extended attributes or ACLs could not be set: the file system or this account does not allow them",
        }
        return [f"{count} {said[what]}." for what, count in sorted(self.lacking.items()) if count]


def without_special(mode: int) -> int:
    """A mode for a file whose owner could not be set."""
    return mode & ~_SPECIAL
