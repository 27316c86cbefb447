"""DuckDB for SQLAlchemy, as far as Great Expectations asks it: reading one database, by PostgreSQL's words.

Great Expectations knows no DuckDB and leaves out what differs between servers (patterns, quantiles, types) for servers that it does not
know. DuckDB speaks PostgreSQL's SQL, so this dialect carries that name, and writes down the one operator that means something else.
Imported by the worker alone.
"""

import datetime as dt
import os
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.base import PGCompiler, PGDialect, PGIdentifierPreparer
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.pool import StaticPool

_TYPES: dict[str, Any] = {
    "BIGINT": sa.BIGINT(),
    "UBIGINT": sa.NUMERIC(20, 0),
    "HUGEINT": sa.NUMERIC(38, 0),
    "INTEGER": sa.INTEGER(),
    "UINTEGER": sa.BIGINT(),
    "SMALLINT": sa.SMALLINT(),
    "USMALLINT": sa.INTEGER(),
    "TINYINT": sa.SMALLINT(),
    "UTINYINT": sa.SMALLINT(),
    "VARCHAR": sa.VARCHAR(),
    "BOOLEAN": sa.BOOLEAN(),
    "FLOAT": sa.REAL(),
    "DOUBLE": postgresql.DOUBLE_PRECISION(),
    "DATE": sa.DATE(),
    "TIMESTAMP": postgresql.TIMESTAMP(timezone=False),
    "TIMESTAMP WITH TIME ZONE": postgresql.TIMESTAMP(timezone=True),
    "TIME": postgresql.TIME(),
    "BLOB": postgresql.BYTEA(),
    "UUID": postgresql.UUID(),
    "INTERVAL": postgresql.INTERVAL(),
}


class Other(sa.types.UserDefinedType):  # type: ignore[misc] # its types are not read
    """A type that SQLAlchemy has no word for: nested ones, a database's own. A column without any word would stop the library."""

    cache_ok = True

    def __init__(self, text: str) -> None:
        self.text = text

    def get_col_spec(self, **_: Any) -> str:
        return self.text


def engine(path: str, memory: str, spill: str) -> Any:
    """An SQLAlchemy engine on the DuckDB database at ``path``, which it only reads. ``memory``: what queries may take, as DuckDB says it;
    what needs more goes to files in ``spill``.
    """
    import duckdb

    connection = duckdb.connect(
        path,
        read_only=True,
        config={
            "memory_limit": memory,
            "temp_directory": spill,
            "threads": min(8, os.cpu_count() or 1),
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "preserve_insertion_order": "false",
        },
    )
    connection.execute("SET TimeZone='UTC'")
    return sa.create_engine(
        sa.engine.URL.create("holdfast+duckdb"),
        creator=lambda: _Connection(connection),
        poolclass=StaticPool,
        # Nothing is written: there is nothing to roll back, and a rollback would close results that are still being read.
        pool_reset_on_return=None,
    )


class _Connection:
    """What SQLAlchemy needs of a connection (PEP 249)."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def cursor(self) -> "_Cursor":
        return _Cursor(self.connection.cursor())

    def commit(self) -> None:
        """Nothing is written."""

    def rollback(self) -> None:
        """Nothing is written."""

    def close(self) -> None:
        self.connection.close()


class _Cursor:
    """Results are read whole at once: Great Expectations asks for sums, not for rows."""

    arraysize = 1

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self._rows: list[tuple[Any, ...]] = []
        self.description: Any = None
        self.rowcount = -1

    def execute(self, statement: str, parameters: Any = None) -> None:
        given = [_given(value) for value in parameters or ()]
        result = self._cursor.execute(statement, given)
        self.description = result.description
        # By way of Arrow: DuckDB's own conversion of time zones needs a package more.
        columns = [column.to_pylist() for column in result.to_arrow_table().columns] if self.description else []
        self._rows = list(zip(*columns, strict=True))
        self.rowcount = len(self._rows)

    def fetchall(self) -> list[tuple[Any, ...]]:
        rows, self._rows = self._rows, []
        return rows

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows.pop(0) if self._rows else None

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        rows, self._rows = self._rows[: size or 1], self._rows[size or 1 :]
        return rows

    def close(self) -> None:
        self._cursor.close()


def _given(value: Any) -> Any:
    """A parameter as DuckDB takes it: times that say no zone are UTC by the session's setting already."""
    return value.isoformat() if isinstance(value, dt.datetime) and value.tzinfo is not None else value


class _Compiler(PGCompiler):  # type: ignore[misc] # its types are not read
    """``~`` finds a pattern anywhere in PostgreSQL, and must match the whole text in DuckDB."""

    def visit_custom_op_binary(self, element: Any, operator: Any, **kw: Any) -> str:
        if operator.opstring in ("~", "!~"):
            found = f"regexp_matches({element.left._compiler_dispatch(self, **kw)}, {element.right._compiler_dispatch(self, **kw)})"  # noqa: SLF001 - SQLAlchemy's way to compile a part
            return found if operator.opstring == "~" else f"NOT {found}"
        return str(super().visit_custom_op_binary(element, operator, **kw))


class _Quoted(PGIdentifierPreparer):  # type: ignore[misc] # its types are not read
    """DuckDB reserves other words than PostgreSQL: every name is quoted."""

    def _requires_quotes(self, value: str) -> bool:
        del value
        return True


class _Module:
    """Of PEP 249, what SQLAlchemy looks at."""

    apilevel = "2.0"
    threadsafety = 1
    paramstyle = "qmark"

    def __init__(self) -> None:
        import duckdb

        self.Error = duckdb.Error
        for name in ("DatabaseError", "OperationalError", "ProgrammingError", "DataError", "IntegrityError", "InternalError"):
            setattr(self, name, getattr(duckdb, name, duckdb.Error))
        self.InterfaceError = duckdb.Error
        self.NotSupportedError = getattr(duckdb, "NotSupportedError", duckdb.Error)


class DuckDialect(PGDialect):  # type: ignore[misc] # its types are not read
    """PostgreSQL's dialect, spoken to DuckDB."""

    driver = "duckdb"
    default_paramstyle = "qmark"
    statement_compiler = _Compiler
    preparer = _Quoted
    supports_statement_cache = True
    supports_server_side_cursors = False

    @classmethod
    def import_dbapi(cls) -> Any:
        return _Module()

    def initialize(self, connection: Any) -> None:
        del connection
        self.server_version_info = (15, 0)
        self.default_schema_name = "main"

    def on_connect(self) -> None:
        return None

    def create_connect_args(self, url: Any) -> Any:
        del url
        return [], {}

    def do_rollback(self, dbapi_connection: Any) -> None:
        """Nothing is written."""

    def do_commit(self, dbapi_connection: Any) -> None:
        """Nothing is written."""

    def has_table(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> bool:
        del schema, kw
        found = connection.exec_driver_sql("SELECT 1 FROM information_schema.tables WHERE table_name = ?", (table_name,))
        return found.first() is not None

    def get_columns(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> Any:
        del schema, kw
        quoted = '"' + table_name.replace('"', '""') + '"'
        rows = connection.exec_driver_sql(f"DESCRIBE SELECT * FROM {quoted}").fetchall()  # noqa: S608 - a quoted name
        return [{"name": row[0], "type": _type(row[1]), "nullable": True, "default": None} for row in rows]

    def get_table_names(self, connection: Any, schema: str | None = None, **kw: Any) -> list[str]:
        del schema, kw
        return [row[0] for row in connection.exec_driver_sql("SELECT table_name FROM information_schema.tables").fetchall()]


class ServerDialect(PGDialect_psycopg):  # type: ignore[misc] # its types are not read
    """PostgreSQL's own, with a word for every type."""

    supports_statement_cache = True

    def get_columns(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> Any:
        found = super().get_columns(connection, table_name, schema, **kw)
        return [{**one, "type": Other("OTHER") if isinstance(one["type"], sa.types.NullType) else one["type"]} for one in found]


def _type(text: str) -> Any:
    if text.startswith("DECIMAL("):
        precision, scale = text[8:-1].split(",")
        return sa.NUMERIC(int(precision), int(scale))
    return _TYPES.get(text) or Other(text)


sa.dialects.registry.register("holdfast.duckdb", __name__, "DuckDialect")
sa.dialects.registry.register("holdfast.postgres", __name__, "ServerDialect")
