"""What people really do: an UPDATE whose WHERE was forgotten, and in the hurry a dropped table."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from holdfast.demo.monitoring import Monitoring
from holdfast.model import Clock

CHECK_SQL = "select count(*) from orders where status = 'refunded'"
"""The shop's check, as a plan would hold it: the shop refunds nobody, so the answer is always 0."""

WRONG_UPDATE = "update orders set status = 'refunded', settled_by = null"
DROP = "drop table lines"
TRIES = 20
WHERE_IN_LOG = "select pg_current_xact_id()::text::bigint, pg_current_wal_insert_lsn() - '0/0'::pg_lsn"


@dataclass(frozen=True, slots=True)
class Damage:
    """``before`` and ``after`` are log positions round the wrong UPDATE's commit; ``at`` and ``dropped_at`` wall-clock times."""

    at: dt.datetime
    dropped_at: dt.datetime
    before: int
    after: int
    paid: int
    rows: int
    xid: int
    durable: int | None


def do(connection: Any, clock: Clock, pause: float, durable: Callable[[], int | None]) -> Damage:
    """Harm the shop, in two steps ``pause`` seconds apart. ``durable`` tells how far the vault is, asked right after the first."""
    paid = connection.execute("select count(*) from orders where status = 'paid'").fetchone()[0]
    rows, xid, before = _update(connection)
    at, held = clock.now(), durable()
    after = connection.execute("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()[0]
    clock.sleep(pause)
    connection.execute(DROP)
    return Damage(at, clock.now(), int(before), int(after), int(paid), int(rows), int(xid), held)


def _update(connection: Any) -> tuple[int, int, int]:
    """(rows, xid, position before the commit). It takes every order's lock, so it may lose a deadlock against the shop: then it is tried
    again, as people do.
    """
    import psycopg

    for left in reversed(range(TRIES)):
        try:
            with connection.transaction():
                rows = connection.execute(WRONG_UPDATE).rowcount
                xid, before = connection.execute(WHERE_IN_LOG).fetchone()
            return int(rows), int(xid), int(before)
        except psycopg.errors.DeadlockDetected:
            if not left:
                raise
    raise AssertionError("unreachable")


class Monitor(Monitoring):
    """Asks the shop's check. ``good_at``: when it was last right; ``bad_at``: first wrong."""

    def __init__(self, connection: Any, clock: Clock, every: float) -> None:
        super().__init__(clock, every)
        self.good_at: dt.datetime | None = None
        self.good_position: int | None = None
        self.bad_at: dt.datetime | None = None
        self._connection = connection

    def stop(self) -> None:
        super().stop()
        self._connection.close()

    def _watch(self) -> None:
        import psycopg

        while not self._stop.is_set():
            # The moment before asking: the answer speaks for a state not older than that.
            asked = self._clock.now()
            try:
                (position,) = self._connection.execute("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()
                (wrong,) = self._connection.execute(CHECK_SQL).fetchone()
            except psycopg.Error as error:
                self._bad(str(error).partition("\n")[0])
                return
            if wrong:
                self._bad(f"{wrong} orders are refunded, expected 0")
                return
            self.good_at, self.good_position = asked, int(position)
            self._stop.wait(self._every)

    def _bad(self, said: str) -> None:
        self.bad_at, self.said = self._clock.now(), said
        self._found.set()
