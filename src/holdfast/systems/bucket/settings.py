"""What the plan says about a bucket."""

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from holdfast.connect.objects import Objects, split
from holdfast.systems.contract import Sharing

THREADS = 16
"""Requests at once."""


@dataclass(frozen=True, slots=True)
class BucketSettings:
    """``url``: ``s3://bucket[/folder]`` or ``file:///folder``. ``prefixes`` are beginnings of keys below the folder; none: all.

    ``open`` opens the bucket of another address with the same way to reach it; of this one without.
    """

    url: str
    open: Callable[[str], Objects] = field(repr=False)
    prefixes: tuple[str, ...] = ()
    versions: Literal["current", "all"] = "current"
    threads: int = THREADS
    gap: dt.timedelta | None = None
    """The longest that may lie between two points."""
    sharing: Sharing | None = field(default=None, repr=False)
    probing: Callable[[str], Objects] | None = field(default=None, repr=False)
    """As ``open``, for a look: it gives up soon."""
    uploads: Path | None = None
    """Where this host keeps what restores began to upload; None: nowhere."""
    rate: float | None = None
    """Bytes a second that a restore writes at most."""

    @property
    def folder(self) -> str:
        return folder_of(self.url)

    def whole_prefixes(self) -> tuple[str, ...]:
        """Beginnings of whole keys, in the order of keys, none of them inside another; ``("",)`` for all."""
        return whole_prefixes(self.url, self.prefixes)


def whole_prefixes(url: str, prefixes: Iterable[str]) -> tuple[str, ...]:
    """Of an address and beginnings of keys below it; see ``BucketSettings.whole_prefixes``."""
    folder = folder_of(url)
    found: list[str] = []
    for prefix in sorted({folder + one for one in prefixes} or {folder}):
        if not found or not prefix.startswith(found[-1]):
            found.append(prefix)
    return tuple(found)


def folder_of(url: str) -> str:
    """What the keys below an address begin with: empty, or ending with a slash."""
    prefix = split(url)[2]
    return prefix if not prefix or prefix.endswith("/") else prefix + "/"
