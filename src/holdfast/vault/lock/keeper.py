"""Beside a follower: increments that nobody compacts are held before their short lock ends, though no backup commits for weeks."""

import threading
from collections.abc import Sequence

from holdfast.errors import HoldfastError
from holdfast.model import Clock
from holdfast.storage.contract import Storage, versions_of
from holdfast.vault.lock.extend import keep_logs

_EVERY = 6 * 3600.0
_AGAIN = 600.0
_TOO_LONG = 24 * 3600.0
"""The short lock lasts four days and is extended in its third: a day without success leaves another to do something about it."""


class LogKeeper:
    """``look`` is called with every increment and costs nothing mostly; the work is done by a thread of its own. ``system``: its tag."""

    def __init__(self, storages: Sequence[Storage], clock: Clock, system: str) -> None:
        layers = [versions_of(storage) for storage in storages]
        self._storages = [storage for storage, layer in zip(storages, layers, strict=True) if layer is not None and layer.lock is not None]
        self._clock = clock
        self._system = system
        self._next = self._well = clock.monotonic()
        self._failed: HoldfastError | None = None
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Raises what has kept the locks from being extended for a day."""
        if not self._storages:
            return
        now = self._clock.monotonic()
        if self._failed is not None and now - self._well > _TOO_LONG:
            raise self._failed
        if now >= self._next and (self._thread is None or not self._thread.is_alive()):
            self._next = now + _EVERY
            self._thread = threading.Thread(target=self._keep, name="holdfast-log-locks", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Waits for what is under way."""
        if self._thread is not None:
            self._thread.join()

    def _keep(self) -> None:
        try:
            keep_logs(self._storages, None, self._system)
        except HoldfastError as error:
            self._failed = error
            self._next = self._clock.monotonic() + _AGAIN
            return
        self._failed, self._well = None, self._clock.monotonic()
