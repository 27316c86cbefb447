"""Locations that a follower goes on without, as far as the plan's copies are met: looked after until they hold what the others do."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from holdfast.errors import HoldfastError
from holdfast.storage.contract import Storage
from holdfast.vault.keys.notary import Notary
from holdfast.vault.logs.level import fill, listed

EVERY = 10.0
"""Seconds between two tries."""


@dataclass(slots=True)
class Late:
    """``since``: what lies before this position was there, None when nothing is known. ``why`` it is late, in words."""

    storage: Storage
    since: int | None
    why: str


class CatchUp:
    """A thread of its own brings late locations back, oldest first.

    The last of it happens while ``held`` is held, so that nothing is appended meanwhile; then ``back`` takes the location in again.
    ``reference``: a location that lacks nothing.
    """

    def __init__(
        self,
        notary: Notary,
        folder: str,
        held: AbstractContextManager[object],
        reference: Callable[[], Storage],
        back: Callable[[Storage], None],
    ) -> None:
        self._notary, self._folder, self._held, self._reference, self._back = notary, folder, held, reference, back
        self._late: dict[int, Late] = {}
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def lacking(self) -> dict[str, str]:
        """By address: why a location does not hold everything."""
        return {one.storage.url: one.why for one in list(self._late.values())}

    def add(self, storage: Storage, since: int | None, error: HoldfastError) -> None:
        known = self._late.get(id(storage))
        if known is not None and since is not None and known.since is not None:
            since = min(since, known.since)
        self._late[id(storage)] = Late(storage, since, error.message)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log-catch-up", daemon=True)
            self._thread.start()

    def note(self, start: int) -> None:
        """Something was stored at ``start`` without those that are late."""
        for one in list(self._late.values()):
            one.since = start if one.since is not None and start < one.since else one.since

    def close(self) -> None:
        """What is missing by then is brought by whoever opens the branch next, or by a copy."""
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(EVERY):
            for one in list(self._late.values()):
                try:
                    self._bring(one)
                except HoldfastError as error:
                    one.why = error.message

    def _bring(self, one: Late) -> None:
        while not self._done.is_set():
            if self._pass(one) < 8:
                break
        with self._held:
            if self._done.is_set():
                return
            self._pass(one)
            del self._late[id(one.storage)]
            self._back(one.storage)

    def _pass(self, one: Late) -> int:
        source = self._reference()
        has = listed(source, self._folder, one.since)
        return fill(self._notary, (source, has), (one.storage, listed(one.storage, self._folder, one.since)), self._done.is_set)
