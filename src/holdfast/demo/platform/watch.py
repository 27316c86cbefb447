"""The shop's monitoring, from outside the platform: asks the database by the address that every client has."""

from collections.abc import Callable
from typing import Any

from holdfast.demo.monitoring import Monitoring
from holdfast.model import Clock

TWICE = 2
"""So many looks in a row must fail: one may be a hiccup."""


class Watch(Monitoring):
    """``bad_at``: monotonic seconds at which the failure counted, ``looks`` made so far."""

    def __init__(self, connect: Callable[[], Any], clock: Clock, every: float) -> None:
        super().__init__(clock, every)
        self.bad_at: float | None = None
        self.looks = 0
        self._connect = connect

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
