"""What a recovery point holds: files, folders and links by path."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["file", "dir", "symlink", "fifo", "socket", "char", "block"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One path of a recovery point.

    ``path`` is relative, '/'-separated, decoded by ``os.fsdecode`` (bytes that are not UTF-8 survive as surrogate escapes).
    ``size`` in bytes, ``mtime_ns`` since the Unix epoch, ``mode`` permission bits only. ``extra`` is JSON-ready and belongs to the system.
    """

    path: str
    kind: Kind = "file"
    size: int = 0
    mode: int = 0o600
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    target: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
