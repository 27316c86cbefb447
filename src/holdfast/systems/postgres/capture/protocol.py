"""The BASE_BACKUP command over libpq: archives come as framed messages from 15 on, as one COPY each before.

Source: PostgreSQL's documentation, "Streaming Replication Protocol", BASE_BACKUP.
"""

import select
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.faults import BackupBroken, StreamMalformed
from holdfast.systems.postgres.link import connection


@dataclass(frozen=True, slots=True)
class ArchiveBegins:
    """``tablespace``: oid, or 0 for the data directory itself."""

    tablespace: int


@dataclass(frozen=True, slots=True)
class ArchiveData:
    """Valid until the next event is asked for."""

    data: memoryview


Event = ArchiveBegins | ArchiveData


@dataclass(frozen=True, slots=True)
class Boundary:
    """A position and timeline that the server told at the start or the end."""

    position: int
    timeline: int


class BaseBackup:
    """One BASE_BACKUP. ``start()``, then iterate ``events()`` to its end, then ``stopped`` is set.

    The server verifies page checksums and reads torn pages again by itself; when it found bad ones it ends with SQLSTATE XX001 after it
    has told the stop position. The backup is whole then: ``server_found_bad`` is set.
    """

    def __init__(self, dsn: str, *, timeout: int) -> None:
        import psycopg

        self._pq = psycopg.pq
        self._lost = psycopg.OperationalError
        self._where = connection.address(dsn)
        self._conn: Any = connection.replication(dsn, timeout=timeout, application="holdfast backup")
        self._conn.nonblocking = 1
        self.stopped: Boundary | None = None
        self.server_found_bad = False
        self.spaces: list[tuple[int, str, int]] = []

    def close(self) -> None:
        self._conn.finish()

    def start(self, label: str, *, fast: bool, rate: int | None) -> Boundary:
        """Ask for the backup; waits for the server's checkpoint. ``rate`` in bytes a second (the server takes 32 KiB to 1 GiB)."""
        quoted = label.replace("'", "''")
        rate_kib = None if rate is None else min(max(rate // 1024, 32), 1 << 20)
        if self._conn.server_version >= 150000:
            words = [
                f"LABEL '{quoted}'",
                "PROGRESS",
                f"CHECKPOINT '{'fast' if fast else 'spread'}'",
                "WAIT false",
                "TABLESPACE_MAP",
                "MANIFEST 'no'",
            ]
            words += [f"MAX_RATE {rate_kib}"] if rate_kib else []
            command = f"BASE_BACKUP ({', '.join(words)})"
        else:
            words = [
                f"LABEL '{quoted}'",
                "PROGRESS",
                *(["FAST"] if fast else []),
                "NOWAIT",
                *([f"MAX_RATE {rate_kib}"] if rate_kib else []),
            ]
            command = f"BASE_BACKUP {' '.join(words)} TABLESPACE_MAP"
        self._conn.send_query(command.encode())
        begun = self._boundary(self._expect_rows())
        for row in _rows(self._expect_rows()):
            # The server tells sizes in KiB.
            self.spaces.append((int(row[0] or 0), row[1] or "", int(row[2] or 0) * 1024))
        return begun

    def events(self) -> Iterator[Event]:
        """Everything the server sends. Raises the faults of this room."""
        if self._conn.server_version >= 150000:
            yield from self._framed()
        else:
            for oid, _, _ in self.spaces:
                self._expect_copy()
                yield ArchiveBegins(oid)
                for message in self._messages():
                    yield ArchiveData(message)
        self.stopped = self._boundary(self._expect_rows())
        self._drain()

    def _framed(self) -> Iterator[Event]:
        self._expect_copy()
        for message in self._messages():
            kind = message[0]
            if kind == 0x64:  # d: data
                yield ArchiveData(message[1:])
            elif kind == 0x6E:  # n: a new archive, its name and the tablespace's path, zero-terminated
                name = bytes(message[1:]).split(b"\0", 1)[0].decode()
                digits = name.removesuffix(".tar")
                yield ArchiveBegins(int(digits) if digits.isdigit() else 0)
            elif kind not in {0x70, 0x6D}:  # p: progress, m: manifest
                raise StreamMalformed(f"The server sent a message of the unknown kind {kind:#x} in its base backup.", hint="Report it.")

    def _messages(self) -> Iterator[memoryview]:
        conn = self._conn
        while True:
            try:
                size, data = conn.get_copy_data(1)
                if size == 0:
                    # A busy server is ahead of us: look for more before waiting for it.
                    conn.consume_input()
                    size, data = conn.get_copy_data(1)
            except self._lost as error:
                raise connection.statement_fault(error, "The base backup", self._where) from None
            if size > 0:
                yield data
            elif size == 0:
                self._wait()
            else:
                return

    def _wait(self) -> None:
        select.select([self._conn.socket], [], [], 60)
        self._consume()

    def _consume(self) -> None:
        try:
            self._conn.consume_input()
        except self._lost as error:
            raise BackupBroken(
                f"The connection to {self._where} broke during the base backup: {' '.join(str(error).split())}",
                hint="See the server's log, then take the backup again: what was stored is reused.",
            ) from None

    def _result(self) -> Any:
        """The next result, None at the command's end. Waits as long as the server takes: a checkpoint may be spread over minutes."""
        while True:
            more = self._conn.flush()
            if not more and not self._conn.is_busy():
                return self._conn.get_result()
            select.select([self._conn.socket], [self._conn.socket] if more else [], [], 60)
            self._consume()

    def _expect_rows(self) -> Any:
        result = self._result()
        if result is None or result.status != self._pq.ExecStatus.TUPLES_OK:
            raise self._fault(result)
        return result

    def _expect_copy(self) -> None:
        result = self._result()
        if result is None or result.status != self._pq.ExecStatus.COPY_OUT:
            raise self._fault(result)

    def _drain(self) -> None:
        while (result := self._result()) is not None:
            if result.status == self._pq.ExecStatus.FATAL_ERROR:
                if self._state(result) != "XX001":
                    raise self._fault(result)
                self.server_found_bad = True

    def _state(self, result: Any) -> str | None:
        value = result.error_field(self._pq.DiagnosticField.SQLSTATE)
        return value.decode() if value else None

    def _fault(self, result: Any) -> Exception:
        if result is None:
            return StreamMalformed("The server ended the base backup before its end was told.", hint="See the server's log.")
        said = " ".join(result.error_message.decode("utf-8", "replace").split())
        return connection.fault_of_state(self._state(result), said, "The base backup", self._where)

    def _boundary(self, result: Any) -> Boundary:
        row = _rows(result)[0]
        return Boundary(lsn.parse(row[0] or "0/0"), int(row[1] or 0))


def _rows(result: Any) -> list[list[str | None]]:
    values = [[result.get_value(row, column) for column in range(result.nfields)] for row in range(result.ntuples)]
    return [[None if value is None else value.decode("utf-8", "surrogateescape") for value in row] for row in values]
