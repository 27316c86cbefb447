"""Folders as open descriptors: every name is opened relative to its folder, so that nobody can swap a link in on the way."""

import os
from collections.abc import Sequence

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Handle:
    """An open folder; closed with the last that holds it, in whichever thread."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    @classmethod
    def open(cls, name: str, parent: "Handle | None" = None) -> "Handle":
        """Raises OSError; a link is none (ELOOP, ENOTDIR)."""
        return cls(os.open(name, FOLDER, dir_fd=None if parent is None else parent.fd))

    @classmethod
    def beneath(cls, top: "Handle", names: Sequence[str]) -> "Handle":
        """The folder at the end of ``names``, one by one from ``top`` on."""
        found = top
        for name in names:
            found = cls.open(name, found)
        return found

    def close(self) -> None:
        """At once, for the last user; fine when it is closed."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()
