"""The shop's monitoring, from outside the platform: asks the database by the address that every client has."""

import threading
from collections.abc import Callable
from typing import Any

from holdfast.model import Clock

TWICE = 2
"""So many looks in a row must fail: one may be a hiccup."""


class Watch:
    """Asks every ``every`` seconds. ``bad_at``: monotonic seconds at which the failure counted, ``looks`` made so far."""

    def __init__(self, connect: Callable[[], Any], clock: Clock, every: float) -> None:
        self.bad_at: float | None = None
        self.said = ""
        self.looks = 0
        self._connect, self._clock, self._every = connect, clock, every
        self._found, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._watch, name="monitor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait(self, timeout: float) -> bool:
        """Until nothing answers."""
        return self._found.wait(timeout)

    def stop(self) -> None:
        """May be called twice, or before it began."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        failed = 0
        while not self._stop.wait(self._every):
            why = self._look()
            self.looks += 1
            failed = failed + 1 if why else 0
            if failed >= TWICE:
                self.bad_at, self.said = self._clock.monotonic(), why
                self._found.set()
                return

    def _look(self) -> str:
        import psycopg

        try:
            with self._connect() as connection:
                connection.execute("select 1 from ledger limit 1")
        except (psycopg.Error, OSError) as error:
            return str(error).partition("\n")[0]
        return ""
