"""Judges a file that PostgreSQL wants archived: durable in the vault with the same bytes, or not yet, or something else."""

import re
from typing import Protocol

from holdfast.model import Clock, SystemClock
from holdfast.systems.contract import LogStore
from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.wal.timeline import Stretch
from holdfast.systems.postgres.walserver.errors import WalDiffers, WalUnavailable
from holdfast.systems.postgres.walserver.fetcher import HISTORY_NAME, SEGMENT_NAME

_PARTIAL = re.compile(r"([0-9A-F]{24})\.partial\Z")
_BACKUP = re.compile(r"[0-9A-F]{24}\.[0-9A-F]{8}\.backup\Z")


class Followed(Protocol):
    """What the archive asks of a follower."""

    @property
    def stretches(self) -> tuple[Stretch, ...]: ...

    @property
    def segment_size(self) -> int: ...

    def stored(self, branch: str) -> int | None: ...

    def digest(self, branch: str, start: int) -> bytes | None: ...

    def wait_stored(self, timeout: float) -> None: ...


class Content(Protocol):
    """A file that PostgreSQL wants archived."""

    def size(self) -> int: ...

    def digest(self) -> bytes:
        """BLAKE3 of all of it."""
        ...

    def read(self) -> bytes: ...


class WalArchive:
    """``push`` answers for archive_command. ``patience``: seconds to wait for the stream before PostgreSQL is told to ask again."""

    def __init__(self, followed: Followed, logs: LogStore, *, patience: float = 30.0, clock: Clock | None = None) -> None:
        self._followed = followed
        self._logs = logs
        self._patience = patience
        self._clock = clock or SystemClock()

    def push(self, name: str, content: Content) -> str:
        """Returns what was found, once the bytes are durable. Raises WalUnavailable (ask again) and WalDiffers."""
        history, partial = HISTORY_NAME.match(name), _PARTIAL.match(name)
        if history:
            return self._history(name, int(history[1], 16), content.read())
        if partial:
            return self._partial(name, partial[1], content.read())
        if _BACKUP.match(name):
            # It says where a backup began and ended, for people; recovery never reads it.
            return "a backup history file is not needed"
        if SEGMENT_NAME.match(name):
            return self._segment(name, content)
        raise WalUnavailable(f"{name} is no WAL file that is known here.")

    def _segment(self, name: str, content: Content) -> str:
        size = self._followed.segment_size
        timeline, start = lsn.segment_start(name, size)
        if content.size() != size:
            raise WalUnavailable(f"{name} has {content.size()} bytes; a segment here has {size}.")
        branch = self._await(name, timeline, start + size).branch
        known = self._followed.digest(branch, start)
        # The follower remembers what passed; after its restart the vault is asked.
        equal = known == content.digest() if known is not None else self._from_vault(branch, start, start + size) == content.read()
        if not equal:
            raise WalDiffers(name, branch)
        return "durable"

    def _partial(self, name: str, segment: str, data: bytes) -> str:
        """The last segment of a timeline that was left: its bytes count up to where that was."""
        timeline, start = lsn.segment_start(segment, self._followed.segment_size)
        stretch = self._await(name, timeline, start + 1)
        if stretch.end is None:
            raise WalUnavailable(f"{name}: where timeline {timeline} was left is not known yet.")
        stretch = self._await(name, timeline, stretch.end)
        assert stretch.end is not None
        if stretch.end > start and self._from_vault(stretch.branch, start, stretch.end) != data[: stretch.end - start]:
            raise WalDiffers(name, stretch.branch)
        return "durable"

    def _history(self, name: str, timeline: int, data: bytes) -> str:
        stretch = self._await(name, timeline, 1)
        if stretch.history != data:
            raise WalDiffers(name, stretch.branch)
        return "durable"

    def _await(self, name: str, timeline: int, end: int) -> Stretch:
        """The stretch of a timeline once its log is durable up to ``end``."""
        until = self._clock.monotonic() + self._patience
        while True:
            stretch = next((one for one in self._followed.stretches if one.timeline == timeline), None)
            stored = self._followed.stored(stretch.branch) if stretch is not None else None
            if stretch is not None and stored is not None and stored >= end:
                return stretch
            left = until - self._clock.monotonic()
            if left <= 0:
                where = "nothing of its timeline" if stored is None else f"WAL up to {lsn.show(stored)}"
                raise WalUnavailable(f"{name} is not durable yet: the vault holds {where}. It is taken when the stream has caught up.")
            self._followed.wait_stored(min(left, 1.0))

    def _from_vault(self, branch: str, start: int, end: int) -> bytes:
        return b"".join(data for _, data in self._logs.reader(branch).stream(start, end))
