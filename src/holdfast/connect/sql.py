"""One statement on a PostgreSQL server, in a transaction of its own, with a time limit. The driver is imported when it is needed."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.errors import MissingExtra, Unreachable

ROWS = 1000
"""Rows that are handed back; more are counted and left."""


class SqlFailed(Unreachable):
    """A statement could not be run. The server's own words are in the message; the address is not."""

    code = "sql-failed"


@dataclass(frozen=True, slots=True)
class Answer:
    """``columns`` is None for a statement without rows; ``count``: rows returned or changed, None where the server does not say."""

    columns: tuple[str, ...] | None
    rows: list[list[Any]]
    count: int | None


def run_sql(
    dsn: str, query: str, parameters: Mapping[str, Any] | None = None, *, timeout: float, overrides: Mapping[str, Any] | None = None
) -> Answer:
    """Committed when it returns. ``parameters`` travel apart from the statement, as ``%(name)s``.

    ``overrides`` (host, port, dbname, user, password) are keywords of the connection, never part of a text. ``timeout`` in seconds, for
    connecting and for the statement each. Raises SqlFailed, MissingExtra.
    """
    try:
        import psycopg
    except ImportError:
        raise MissingExtra("postgres", "SQL") from None
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    try:
        with psycopg.connect(dsn, connect_timeout=max(2, min(int(timeout), 30)), application_name="holdfast", **given) as connection:
            ending = threading.Timer(timeout + 1, connection.cancel)
            ending.daemon = True
            ending.start()
            try:
                connection.execute("select set_config('statement_timeout', %s, true)", (str(max(1, int(timeout * 1000))),))
                # Without parameters a percent sign is one, and several statements may follow each other.
                cursor = connection.execute(query, dict(parameters) if parameters else None)
                columns = tuple(column.name for column in cursor.description) if cursor.description else None
                rows = [list(row) for row in cursor.fetchmany(ROWS)] if columns is not None else []
                count = cursor.rowcount if cursor.rowcount >= 0 else None
            finally:
                ending.cancel()
    except psycopg.Error as error:
        said = str(error).strip().splitlines()
        state = f" ({error.sqlstate})" if error.sqlstate else ""
        raise SqlFailed(
            f"The statement failed{state}: {said[0] if said else type(error).__name__}.",
            hint="See the statement in the runbook, and the server's own log.",
            sqlstate=error.sqlstate,
        ) from None
    return Answer(columns, rows, count)
