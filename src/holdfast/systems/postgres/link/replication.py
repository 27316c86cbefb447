"""Physical streaming replication, spoken over psycopg's libpq layer.

Source of the protocol: PostgreSQL's documentation, chapter "Streaming Replication Protocol". Positions are byte LSNs (int), times are
microseconds since the Unix epoch. A connection belongs to one thread; commands and reads never wait longer than they were told.
"""

import contextlib
import select
import struct
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from holdfast.errors import MissingExtra
from holdfast.model import Clock, SystemClock
from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.link.connection import login_fault
from holdfast.systems.postgres.link.replication_errors import ReplicationLost, from_server, from_start

if TYPE_CHECKING:
    from psycopg import pq

PG_EPOCH_US = 946_684_800_000_000
"""2000-01-01 UTC, PostgreSQL's zero, in microseconds since the Unix epoch."""

_WAL_DATA = ord("w")
_DATA = struct.Struct(">QQq")
_KEEPALIVE = struct.Struct(">QqB")
_STATUS = struct.Struct(">cQQQqB")
_UNITS = {"kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "B": 1}


@dataclass(frozen=True, slots=True)
class Identity:
    """What IDENTIFY_SYSTEM says: the cluster, its timeline and the position that it has flushed."""

    system_identifier: str
    timeline: int
    position: int


@dataclass(frozen=True, slots=True)
class SlotState:
    """A physical slot: the oldest position it keeps (None: nothing reserved yet) and the timeline of that position."""

    restart: int | None
    timeline: int | None


@dataclass(frozen=True, slots=True)
class EndOfTimeline:
    """Why a stream ended by itself: the next timeline and where it leaves this one. ``timeline`` None: the server only ended the stream."""

    timeline: int | None
    position: int | None


class ReplicationClient:
    """One replication connection. Use as a context manager."""

    def __init__(self, conninfo: str, *, timeout: float = 10.0, application_name: str = "holdfast", clock: Clock | None = None) -> None:
        """Connect; ``timeout`` seconds bounds the connecting and each command. Raises Unreachable, or Usage for what is not set up."""
        try:
            import psycopg.conninfo
            from psycopg import pq
        except ImportError as exc:
            raise MissingExtra("postgres", "replication") from exc
        self.pq = pq
        self.timeout = timeout
        self.clock = clock or SystemClock()
        # A dead peer must be noticed by the kernel: a blocked write has no other way of knowing.
        settings: dict[str, Any] = {
            "replication": "true",
            "fallback_application_name": application_name,
            "connect_timeout": str(max(2, int(timeout))),
            "tcp_user_timeout": str(int(max(timeout, 10) * 1000)),
            "keepalives_idle": "10",
            "keepalives_interval": "5",
            "keepalives_count": "3",
        }
        given = psycopg.conninfo.conninfo_to_dict(conninfo)
        self._plain = psycopg.conninfo.make_conninfo("", **({k: v for k, v in given.items() if k != "replication"}))
        self.conn = pq.PGconn.connect(psycopg.conninfo.make_conninfo("", **{**settings, **given, "replication": "true"}).encode())
        self._require_login(self.conn)
        self.conn.nonblocking = 1

    def _require_login(self, conn: "pq.abc.PGconn") -> None:
        if conn.status != self.pq.ConnStatus.OK:
            fault = login_fault(_Failed(self.text(conn.error_message), conn), self._plain, replication=True)
            conn.finish()
            raise fault

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self.conn.finish()

    @property
    def server_version(self) -> int:
        return self.conn.server_version

    @property
    def in_recovery(self) -> bool:
        """Whether the server is a standby (it reports ``in_hot_standby`` by itself, 14 and newer)."""
        return self.conn.parameter_status(b"in_hot_standby") == b"on"

    # ------------------------------------------------------------ commands

    def identify(self) -> Identity:
        row = self.command("IDENTIFY_SYSTEM")[0]
        return Identity(row[0] or "", int(row[1] or "0"), lsn.parse(row[2] or "0/0"))

    def show(self, setting: str) -> str:
        return self.command(f"SHOW {setting}")[0][0] or ""

    def segment_size(self) -> int:
        """The server's WAL segment size in bytes."""
        text = self.show("wal_segment_size")
        unit = next(u for u in _UNITS if text.endswith(u))
        return int(text.removesuffix(unit)) * _UNITS[unit]

    def timeline_history(self, timeline: int) -> bytes:
        """The content of a timeline's history file; empty for timeline 1, which has none."""
        if timeline <= 1:
            return b""
        raw = self._run(f"TIMELINE_HISTORY {timeline}")
        value = raw.get_value(0, 1)
        return value or b""

    def create_slot(self, name: str, *, temporary: bool = False, reserve: bool = True) -> bool:
        """Create a physical slot; False when one of that name exists. ``reserve`` keeps WAL from the last checkpoint's redo on."""
        from psycopg import errors

        words = [
            "CREATE_REPLICATION_SLOT",
            quoted(name),
            *(["TEMPORARY"] if temporary else []),
            "PHYSICAL",
            *(["RESERVE_WAL"] if reserve else []),
        ]
        try:
            self._run(" ".join(words))
        except ReplicationLost as exc:
            if exc.sqlstate == errors.DuplicateObject.sqlstate:
                return False
            raise
        return True

    def read_slot(self, name: str) -> SlotState | None:
        """State of a physical slot, None when there is none. Before version 15 over a second, ordinary connection."""
        if self.server_version >= 150000:
            row = self.command(f"READ_REPLICATION_SLOT {quoted(name)}")[0]
            return None if row[0] is None else SlotState(lsn.parse(row[1]) if row[1] else None, int(row[2]) if row[2] else None)
        rows = self.query(
            "select restart_lsn::text from pg_catalog.pg_replication_slots where slot_name = $1 and slot_type = 'physical'", name
        )
        return SlotState(lsn.parse(rows[0][0]) if rows[0][0] else None, None) if rows else None

    def drop_slot(self, name: str, *, wait: bool = False) -> None:
        """``wait`` (at most this client's time-out) until nobody streams from it any more; else SlotBusy is raised then."""
        self._run(f"DROP_REPLICATION_SLOT {quoted(name)}{' WAIT' if wait else ''}")

    def query(self, sql: str, *parameters: str) -> list[list[str | None]]:
        """One SQL statement over a short ordinary connection with the same settings: physical replication connections take none."""
        import psycopg.conninfo

        given = psycopg.conninfo.conninfo_to_dict(self._plain)
        given.setdefault("dbname", "postgres")
        given.setdefault("connect_timeout", str(max(2, int(self.timeout))))
        conn = self.pq.PGconn.connect(psycopg.conninfo.make_conninfo("", **given).encode())
        try:
            self._require_login(conn)
            result = conn.exec_params(sql.encode(), [p.encode() for p in parameters])
            if result.status != self.pq.ExecStatus.TUPLES_OK:
                raise from_server(self.text(result.error_message), self.state(result))
            return _rows(result)
        finally:
            conn.finish()

    def start(self, position: int, timeline: int, slot: str | None = None) -> "WalStream":
        """START_REPLICATION; the client then belongs to the stream until that ends.

        Raises WalRemoved when the server no longer has ``position``, WalAhead when it has not reached it, TimelineUnknown when
        ``timeline`` is not in its history or left it before ``position``.
        """
        words = f"START_REPLICATION {f'SLOT {quoted(slot)} ' if slot else ''}PHYSICAL {lsn.show(position)} TIMELINE {timeline}"
        server = self.identify()
        due = server.timeline != timeline or server.position > position
        self.send(words)
        result = self.result(self.clock.monotonic() + self.timeout)
        if result is None:
            raise ReplicationLost("The server did not answer START_REPLICATION.")
        if result.status == self.pq.ExecStatus.COPY_BOTH:
            return WalStream(self, position, timeline, due=due)
        if result.status == self.pq.ExecStatus.TUPLES_OK:
            # The timeline ended exactly at ``position``: the server skips the copy and names the next one.
            ended = _end(result)
            self.drain()
            return WalStream(self, position, timeline, ended=ended)
        state = self.state(result)
        text = self.text(result.error_message)
        self.drain()
        raise from_start(text, state, position, timeline, lsn.segment_name(timeline, position))

    def command(self, words: str) -> list[list[str | None]]:
        """Run one replication command and return its rows."""
        return _rows(self._run(words))

    def _run(self, words: str) -> "pq.abc.PGresult":
        self.send(words)
        result = self.result(self.clock.monotonic() + self.timeout)
        if result is None:
            raise ReplicationLost(f"The server closed the connection at {words.split(maxsplit=1)[0]}.")
        bad = result.status not in {self.pq.ExecStatus.TUPLES_OK, self.pq.ExecStatus.COMMAND_OK}
        text, state = self.text(result.error_message), self.state(result)
        self.drain()
        if bad:
            raise from_server(text, state)
        return result

    def send(self, words: str) -> None:
        from psycopg import OperationalError

        try:
            self.conn.send_query(words.encode())
        except OperationalError as exc:
            raise ReplicationLost(f"The connection broke: {str(exc).strip()}") from exc

    def drain(self) -> None:
        while self.result(self.clock.monotonic() + self.timeout) is not None:
            pass

    def result(self, deadline: float) -> "pq.abc.PGresult | None":
        while True:
            more = self.conn.flush()
            if not more and not self.conn.is_busy():
                return self.conn.get_result()
            left = deadline - self.clock.monotonic()
            if left <= 0:
                raise ReplicationLost(f"The server did not answer within {self.timeout:g} s.")
            readable, _, _ = select.select([self.conn.socket], [self.conn.socket] if more else [], [], min(left, 1.0))
            if readable:
                self.consume()

    def consume(self) -> None:
        from psycopg import OperationalError

        try:
            self.conn.consume_input()
        except OperationalError as exc:
            raise ReplicationLost(f"The connection broke: {str(exc).strip()}") from exc

    def text(self, message: bytes) -> str:
        return message.decode("utf-8", "replace").strip()

    def state(self, result: "pq.abc.PGresult") -> str | None:
        value = result.error_field(self.pq.DiagnosticField.SQLSTATE)
        return value.decode() if value else None


class WalStream:
    """A running START_REPLICATION. ``position`` is the end of what was received; ``ended`` is set when the server ended the stream.

    ``server_end`` is the newest flushed position the server told of, ``server_time`` when it told (the server's clock).
    """

    def __init__(
        self, client: ReplicationClient, position: int, timeline: int, *, due: bool = False, ended: EndOfTimeline | None = None
    ) -> None:
        """``due``: the server had flushed WAL behind ``position`` before the copy began."""
        self._client = client
        self._due = due
        self._conn = client.conn
        self.start = position
        self.position = position
        self.timeline = timeline
        self.server_end = position
        self.server_time = 0
        self.reply_requested = False
        self.ended = ended
        self._last: tuple[int, int] = (0, 0)
        self._coverage: deque[tuple[int, int]] = deque()

    def fileno(self) -> int:
        return self._conn.socket

    def receive(self, buffer: bytearray, limit: int, timeout: float, wake: int | None = None) -> int:
        """Append what has arrived to ``buffer``, stopping soon after ``limit`` bytes (a message, at most 128 KiB, is never cut).

        Waits at most ``timeout`` seconds, less when ``wake`` (a file descriptor) becomes readable; 0 bytes then, or at the end of the
        timeline (``ended`` is set). Raises WalRemoved when the server recycled what comes next, ReplicationLost when the connection broke.
        """
        if self.ended is not None:
            return 0
        taken = self._take(buffer, limit)
        if taken or self.ended is not None or self.reply_requested:
            return taken
        readers = [self._conn.socket] if wake is None else [self._conn.socket, wake]
        pending = self._flush()
        readable, _, _ = select.select(readers, [self._conn.socket] if pending else [], [], timeout)
        if self._conn.socket in readable:
            self._client.consume()
            taken = self._take(buffer, limit)
        return taken

    @property
    def answered(self) -> bool:
        """The server has shown that it has the WAL asked for. Where some is due a keepalive shows nothing: it may leave before the server
        looks for the WAL.
        """
        return self.ended is not None or self.position > self.start or (self.server_time != 0 and not self._due)

    def first_word(self, buffer: bytearray, timeout: float, wake: int | None = None) -> Self:
        """Wait at most ``timeout`` seconds, less when ``wake`` becomes readable, until the server has ``answered``: that it lacks the WAL
        asked for it says only after the copy began, by WalRemoved. What came is in ``buffer``.
        """
        until = self._client.clock.monotonic() + timeout
        if not self._due and not self.answered:
            self.confirm(0, reply=True)
        while not self.answered and (left := until - self._client.clock.monotonic()) > 0:
            self.receive(buffer, 1, min(left, 0.5), wake)
            if wake is not None and select.select([wake], [], [], 0)[0]:
                break
        return self

    def _take(self, buffer: bytearray, limit: int) -> int:
        from psycopg import OperationalError

        conn, taken = self._conn, 0
        get, unpack = conn.get_copy_data, _DATA.unpack_from
        while taken < limit:
            try:
                size, data = get(1)
            except OperationalError as exc:
                raise self._broken(str(exc)) from exc
            if size > 0:
                if data[0] == _WAL_DATA:
                    start, end, sent = unpack(data, 1)
                    if start != self.position:
                        raise ReplicationLost(f"The server sent WAL from {lsn.show(start)} where {lsn.show(self.position)} was due.")
                    buffer += memoryview(data)[25:]
                    taken += size - 25
                    self.position = start + size - 25
                else:
                    end, sent, ask = _KEEPALIVE.unpack_from(data, 1)
                    self.reply_requested = self.reply_requested or bool(ask)
                self._heard(end, sent + PG_EPOCH_US)
            elif size == 0:
                # consume_input reads what the kernel has; one more round keeps a fast sender's batch large.
                readable, _, _ = select.select([conn.socket], [], [], 0) if taken else ([], [], [])
                if not readable:
                    break
                self._client.consume()
            else:
                self._finish()
                break
        return taken

    def _heard(self, end: int, sent: int) -> None:
        # The server reads its flush position, then sends, then loops: so what it had flushed when it sent message n-2 is at most the
        # end told with message n. (One message is not enough: two keepalives can leave in one round.)
        self.server_end = max(self.server_end, end)
        self.server_time = sent
        before, last = self._last
        if before:
            if self._coverage and self._coverage[-1][0] == self.server_end:
                self._coverage[-1] = (self.server_end, before)
            else:
                self._coverage.append((self.server_end, before))
        self._last = (last, sent)

    def covered(self, position: int) -> int | None:
        """A server time before which everything that was flushed lies at or below ``position``; None while nothing new is proved."""
        found = None
        while self._coverage and self._coverage[0][0] <= position:
            found = self._coverage.popleft()[1]
        return found

    def confirm(self, flushed: int, *, written: int | None = None, applied: int = 0, reply: bool = False) -> None:
        """Send a standby status update. ``flushed`` must be durable: a synchronous primary counts on it. ``reply`` asks for a keepalive.

        Nothing when the server has ended the copy: nobody would hear it.
        """
        if self.ended is not None:
            return
        now = int(self._client.clock.now().timestamp() * 1_000_000) - PG_EPOCH_US
        message = _STATUS.pack(b"r", flushed if written is None else written, flushed, applied, now, reply)
        self.reply_requested = False
        from psycopg import OperationalError

        try:
            self._conn.put_copy_data(message)
            self._conn.flush()
        except OperationalError as exc:
            raise self._broken(str(exc)) from exc

    def _flush(self) -> bool:
        from psycopg import OperationalError

        try:
            return bool(self._conn.flush())
        except OperationalError as exc:
            raise self._broken(str(exc)) from exc

    def stop(self) -> None:
        """End the copy from this side and leave the connection usable for commands. Raises what ``receive`` raises."""
        from psycopg import OperationalError

        if self.ended is not None:
            return
        conn = self._conn
        conn.put_copy_end()
        deadline = self._client.clock.monotonic() + self._client.timeout
        while True:
            try:
                size, _ = conn.get_copy_data(1)
            except OperationalError as exc:
                raise self._broken(str(exc)) from exc
            if size < 0:
                break
            if size == 0:
                left = deadline - self._client.clock.monotonic()
                if left <= 0:
                    raise ReplicationLost(f"The server did not end the stream within {self._client.timeout:g} s.")
                self._flush()
                select.select([conn.socket], [], [], min(left, 0.2))
                self._client.consume()
        self._client.drain()
        self.ended = EndOfTimeline(None, None)

    def _finish(self) -> None:
        """The server ended the copy: learn why."""
        pq, client = self._client.pq, self._client
        deadline = client.clock.monotonic() + client.timeout
        result = None
        if self._conn.transaction_status == pq.TransactionStatus.ACTIVE:
            from psycopg import OperationalError

            # The server may have sent an error instead of CopyDone: its result says which.
            with contextlib.suppress(OperationalError):
                self._conn.put_copy_end()
        result = client.result(deadline)
        if result is not None and result.status == pq.ExecStatus.TUPLES_OK:
            self.ended = _end(result)
            client.drain()
            return
        if result is None or result.status == pq.ExecStatus.COMMAND_OK:
            client.drain()
            self.ended = EndOfTimeline(None, None)
            return
        raise self._broken(client.text(result.error_message), client.state(result))

    def _broken(self, text: str, state: str | None = None) -> Exception:
        if state is None:
            result = self._conn.get_result()
            if result is not None:
                state, text = self._client.state(result), self._client.text(result.error_message) or text
        # After an error the connection serves again, once its results are taken; a broken one has none.
        with contextlib.suppress(ReplicationLost):
            self._client.drain()
        segment = lsn.segment_name(self.timeline, self.position)
        return from_start(text.strip() or "The connection broke.", state, self.position, self.timeline, segment)


class _Failed(Exception):
    """A failed login as psycopg's own connections report it."""

    def __init__(self, text: str, pgconn: "pq.abc.PGconn") -> None:
        super().__init__(text)
        self.pgconn = pgconn


def quoted(name: str) -> str:
    """An identifier for a replication command."""
    return '"' + name.replace('"', '""') + '"'


def _rows(result: "pq.abc.PGresult") -> list[list[str | None]]:
    values = [[result.get_value(r, c) for c in range(result.nfields)] for r in range(result.ntuples)]
    return [[None if v is None else v.decode("utf-8", "surrogateescape") for v in row] for row in values]


def _end(result: "pq.abc.PGresult") -> EndOfTimeline:
    row = _rows(result)[0]
    return EndOfTimeline(int(row[0] or "0"), lsn.parse(row[1] or "0/0"))
