"""Writers that place orders at a steady rate and remember what was acknowledged to them."""

import datetime as dt
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.demo.ledger.content import Work, work
from holdfast.model import Clock


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """One commit that the server confirmed. ``began`` and ``acked`` are the client's clock before its first statement and after its answer.

    ``before`` is the log position (LSN) just before the commit, ``after`` one read behind it (None where that was not asked or got no
    answer): the commit record lies between. So at a target position everything with ``after`` at or before it must be there, and nothing
    with ``before`` at or behind it.
    """

    number: int
    era: int
    xid: int
    before: int
    after: int | None
    began: dt.datetime
    acked: dt.datetime


class Load:
    """``writers`` threads, together ``rate`` transactions a second.

    ``connect`` opens a psycopg connection (autocommit) to wherever the service is now. A writer whose connection breaks opens a new one,
    asks the ledger what became of its last transaction, and goes on. ``era`` is raised by the owner when the service moved to another
    history; writers then begin where that history's ledger ends. ``refused`` keeps what the database answered to transactions that it
    would not do.
    """

    def __init__(
        self, connect: Callable[[], Any], clock: Clock, *, seed: int = 1, writers: int = 4, rate: float = 100, positions: bool = True
    ) -> None:
        self.seed, self.writers, self.rate = seed, writers, rate
        self.era = 0
        self._connect, self._clock, self._positions = connect, clock, positions
        self._lock = threading.Lock()
        self._done: list[Acknowledged] = []
        self._stop = threading.Event()
        self._hold = threading.Event()
        self._threads: list[threading.Thread] = []
        self._idle = threading.Semaphore(0)
        self.errors: list[str] = []
        self.reconnects = 0
        self.refused: list[tuple[dt.datetime, str]] = []

    def start(self) -> None:
        """Begin writing."""
        self._threads = [threading.Thread(target=self._write, args=(n,), name=f"orders-{n}", daemon=True) for n in range(self.writers)]
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 30) -> list[Acknowledged]:
        """End writing; returns all that was acknowledged, in order of the answers. Raises RuntimeError when a writer ended by a bug."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout)
        if self.errors:
            raise RuntimeError(f"a writer ended: {self.errors[0]}")
        return self.acknowledged()

    def acknowledged(self) -> list[Acknowledged]:
        """A copy of the list so far."""
        with self._lock:
            return list(self._done)

    def count(self) -> int:
        """Transactions acknowledged so far."""
        with self._lock:
            return len(self._done)

    def _write(self, writer: int) -> None:
        try:
            self._run(writer)
        except Exception as error:  # noqa: BLE001 - kept and raised by stop()
            self.errors.append(f"{type(error).__name__}: {error}")

    def _run(self, writer: int) -> None:
        import psycopg

        connection: Any = None
        number, era = writer, -1
        pause = self.writers / self.rate
        due = self._clock.monotonic() + pause * writer / self.writers
        while not self._stop.is_set():
            wait = due - self._clock.monotonic()
            if wait > 0:
                self._stop.wait(wait)
                continue
            # After an interruption the rate goes on; what was missed is not made up for.
            due = max(due + pause, self._clock.monotonic() - pause)
            try:
                if connection is None or era != self.era:
                    if connection is not None:
                        connection.close()
                    connection = self._connect()
                    # Read after connecting: an owner that moves the service raises the era first and gives the new address then.
                    era = self.era
                    number = self._next(connection, writer)
                began = self._clock.now()
                xid, before = perform(connection, work(self.seed, era, number, self.writers), era)
                acked = self._clock.now()
                done = Acknowledged(number, era, xid, before, None, began, acked)
                if self._positions:
                    done = self._located(connection, done)
                with self._lock:
                    self._done.append(done)
                number += self.writers
            except (psycopg.OperationalError, psycopg.InterfaceError):
                self.reconnects += 1
                if connection is not None:
                    connection.close()
                connection = None
                self._stop.wait(0.1)
            except psycopg.Error as error:
                # The database answers and says no: a table is gone, a row was changed by others. The shop fails, and tries again.
                self.refused.append((self._clock.now(), str(error).partition("\n")[0]))
                self._stop.wait(0.1)
        if connection is not None:
            connection.close()

    def _next(self, connection: Any, writer: int) -> int:
        """The writer's first number that the history it is connected to does not hold."""
        (newest,) = connection.execute("select max(number) from ledger where number %% %s = %s", (self.writers, writer)).fetchone()
        return writer if newest is None else int(newest) + self.writers

    def _located(self, connection: Any, done: Acknowledged) -> Acknowledged:
        """The acknowledgement with the position behind its commit; a server that dies now has acknowledged all the same."""
        import psycopg

        try:
            (after,) = connection.execute("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()
        except psycopg.Error:
            return done
        return Acknowledged(done.number, done.era, done.xid, done.before, int(after), done.began, done.acked)


def perform(connection: Any, todo: Work, era: int) -> tuple[int, int]:
    """Do one transaction; returns (xid, position before the commit). Two round trips: the statements, and the commit's answer."""
    order = todo.order
    with connection.transaction(), connection.cursor() as cursor:
        with connection.pipeline():
            cursor.execute(
                "insert into orders (id, customer, cents, status, note) values (%s, %s, %s, 'open', %s)",
                (order.number, order.customer, order.cents, order.note),
            )
            for at, (sku, quantity, price) in enumerate(order.lines):
                cursor.execute("insert into lines values (%s, %s, %s, %s, %s)", (order.number, at, sku, quantity, price))
            if todo.pays is not None:
                cursor.execute("update orders set status = 'paid', settled_by = %s where id = %s", (order.number, todo.pays))
            if todo.voids is not None:
                cursor.execute("delete from lines where order_id = %s", (todo.voids,))
                cursor.execute("update orders set status = 'void', settled_by = %s where id = %s", (order.number, todo.voids))
            # One row shared between writers, taken last and in one place: no deadlocks, little waiting.
            cursor.execute("update customers set orders = orders + 1, cents = cents + %s where id = %s", (order.cents, order.customer))
            cursor.execute("insert into ledger (number, era) values (%s, %s) returning xid", (order.number, era))
            cursor.execute("select pg_current_xact_id()::text::bigint, pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
        xid, before = cursor.fetchone()
    return int(xid), int(before)


def surely(acks: "list[Acknowledged]", position: int) -> Mapping[int, int]:
    """What must be there at ``position`` (LSN) of the history that wrote all of ``acks``: number → era."""
    return {ack.number: ack.era for ack in acks if ack.after is not None and ack.after <= position}


def surely_not(acks: "list[Acknowledged]", position: int) -> set[int]:
    """Numbers that cannot be there at ``position``: their commit lies behind it."""
    return {ack.number for ack in acks if ack.before >= position}
