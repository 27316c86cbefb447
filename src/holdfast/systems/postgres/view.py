"""A running PostgreSQL server, looked at and never changed: what validation works on, be it an isolated copy or the source."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from holdfast.errors import FoundWrong
from holdfast.model import Progress, counted
from holdfast.systems.contract import Isolated, Relation, Structural, TableUnknown
from holdfast.systems.postgres import digest as digests
from holdfast.systems.postgres.link import connection as connections


class QuestionFailed(FoundWrong):
    """A check's statement failed on the server, or took longer than it may."""

    code = "check-failed-to-run"


class ContentUnreadable(FoundWrong):
    """The role may not read everything that is to be compared, or reading it broke off."""

    code = "content-not-readable"


@contextlib.contextmanager
def _readable(session: Any, database: str) -> Iterator[None]:
    """What the server says against reading a database's content becomes ContentUnreadable."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "psycopg":
            raise
        role = digests.quoted(session.info.user)
        said = str(error).strip().partition("\n")[0]
        denied = getattr(error, "sqlstate", None) == "42501"
        hint = f"As a superuser: grant pg_read_all_data to {role}; and in database {database}: grant select on pg_largeobject to {role};"
        if "row-level security" in said:
            hint = f"Row-level security hides rows from it; as a superuser: alter role {role} bypassrls;"
        raise ContentUnreadable(
            f"Role {session.info.user} cannot read all of database {database}: {said}"
            if denied
            else f"Reading database {database} broke off: {said}",
            hint=hint if denied else "Once more, or without comparing content: holdfast verify --no-content",
        ) from error


class PostgresView:
    """Satisfies ``systems.contract.Isolated``. ``reached``: where its data stands."""

    def __init__(self, dsn: str, reached: Mapping[str, Any], *, database: str | None = None) -> None:
        self._dsn = dsn
        self._reached = reached
        self._database = database

    @property
    def reached(self) -> Mapping[str, Any]:
        return self._reached

    @property
    def connection(self) -> str:
        return self._dsn

    def connect(self, database: str | None = None) -> Any:
        """An autocommit session; every transaction in it is read-only."""
        name = database or self._database
        session = connections.connect(connections.merged(self._dsn, dbname=name) if name else self._dsn)
        session.execute("set default_transaction_read_only = on")
        return session

    def databases(self) -> list[str]:
        """Names of the databases one can connect to, templates left out."""
        with self.connect() as session:
            rows = session.execute(
                "select datname from pg_catalog.pg_database where datallowconn and not datistemplate order by oid"
            ).fetchall()
        return [name for (name,) in rows]

    def query(self, statement: str, *, database: str | None = None, timeout: float | None = None) -> Sequence[Sequence[Any]]:
        """Rows of one statement, in a read-only transaction. Raises QuestionFailed. ``timeout`` in seconds."""
        with self.connect(database) as session:
            if timeout:
                session.execute(f"set statement_timeout = {int(timeout * 1000)}")
            try:
                rows: list[tuple[Any, ...]] = session.execute(statement).fetchall()
            except Exception as error:
                if type(error).__module__.partition(".")[0] != "psycopg":
                    raise
                raise QuestionFailed(
                    f"The statement failed: {str(error).strip()}", hint="Run it by hand: holdfast open --psql", statement=statement
                ) from error
            return rows

    def digest(self, selection: Sequence[str] = ()) -> Mapping[str, Any]:
        found: dict[str, Any] = {}
        for database in [self._database] if self._database else self.databases():
            with self.connect(database) as session, _readable(session, database):
                found |= dict(digests.of_database(session, database, selection))
        return found

    def differences(self, other: Isolated, name: str, limit: int = 5) -> Mapping[str, Any]:
        assert isinstance(other, PostgresView)
        database = name.split(".", 1)[0]
        with contextlib.ExitStack() as stack:
            sessions = [stack.enter_context(view.connect(database)) for view in (self, other)]
            for session in sessions:
                stack.enter_context(_readable(session, database))
            found = []
            for session in sessions:
                session.execute(digests.SESSION)
                found.append(next((one for one in digests.tables(session, database) if one.name == name), None))
            if found[0] is None or found[1] is None:
                return {
                    "missing": None,
                    "extra": None,
                    "changed": None,
                    "key": [],
                    "examples": [],
                    "absent": "here" if found[0] is None else "there",
                }
            return digests.differences(sessions[0], found[0], sessions[1], found[1], limit)

    def relation(self, table: str, database: str | None = None) -> Relation:
        name = database or self._database
        address = connections.merged(self._dsn, dbname=name) if name else self._dsn
        with self.connect(database) as session:
            rows = session.execute(
                "select n.nspname, c.relname, pg_catalog.pg_table_is_visible(c.oid) from pg_catalog.pg_class c"
                " join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'v', 'm', 'f')"
                " and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')"
            ).fetchall()
        known = {f"{schema}.{one}": (schema, one) for schema, one, _ in rows}
        known |= {one: (schema, one) for schema, one, visible in rows if visible}
        if table not in known:
            raise TableUnknown.among(table, known)
        schema, one = known[table]
        return Relation("postgres", address, one, schema)

    # ------------------------------------------------------------ structure

    def structure(self, progress: Progress | None = None) -> Iterator[Structural]:
        """Per database: amcheck where it is installed, invalid indexes, and a scan that reads and detoasts every row of every table."""
        databases = self.databases()
        for database in databases:
            with self.connect(database) as session:
                yield from self._indexes(session, database)
                yield from self._amcheck(session, database)
                yield from self._scan(session, database, progress)
        if not databases:
            yield Structural("databases", "failed", "No database can be connected to.")

    def _indexes(self, session: Any, database: str) -> Iterator[Structural]:
        rows = session.execute("select indexrelid::regclass::text from pg_catalog.pg_index where not indisvalid order by 1").fetchall()
        names = ", ".join(name for (name,) in rows[:10])
        yield Structural(
            f"{database}: valid indexes", "failed" if rows else "passed", f"{len(rows)} invalid: {names}" if rows else "all are valid"
        )

    def _amcheck(self, session: Any, database: str) -> Iterator[Structural]:
        row = session.execute(
            "select n.nspname from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = "
            "e.extnamespace where extname = 'amcheck'"
        ).fetchone()
        if row is None:
            yield Structural(
                f"{database}: amcheck", "skipped", "the extension amcheck is not installed in this database (create extension amcheck)"
            )
            return
        schema = digests.quoted(row[0])
        wrong: list[str] = []
        indexes = session.execute(
            "select c.oid::bigint, c.oid::regclass::text from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid"
            " join pg_catalog.pg_am a on a.oid = c.relam where a.amname = 'btree' and c.relpersistence = 'p' "
            "and i.indisvalid and c.relkind = 'i'"
        ).fetchall()
        for oid, name in indexes:
            try:
                session.execute(f"select {schema}.bt_index_check(%s::oid::regclass, true)", (oid,))
            except Exception as error:
                if type(error).__module__.partition(".")[0] != "psycopg":
                    raise
                wrong.append(f"{name}: {str(error).strip().splitlines()[0]}")
        relations = session.execute(
            "select oid::bigint, oid::regclass::text from pg_catalog.pg_class where relkind in ('r', 'm', 't') and relpersistence = 'p'"
        ).fetchall()
        for oid, name in relations:
            found = session.execute(f"select blkno, offnum, msg from {schema}.verify_heapam(%s::oid::regclass) limit 3", (oid,)).fetchall()  # noqa: S608
            wrong += [f"{name} block {block} item {item}: {text}" for block, item, text in found]
        detail = f"{counted(len(indexes), 'index', 'indexes')}, {counted(len(relations), 'table')}"
        yield Structural(f"{database}: amcheck", "failed" if wrong else "passed", "; ".join(wrong[:10]) if wrong else detail)

    def _scan(self, session: Any, database: str, progress: Progress | None) -> Iterator[Structural]:
        wrong, rows = [], 0
        found = digests.tables(session, database)
        for table in found:
            try:
                # count(expression) must compute the row's text: every value is read, detoasted and written out.
                rows += session.execute(f"select count((t.*)::text) from only {table.quoted} t").fetchone()[0]  # noqa: S608
            except Exception as error:
                if type(error).__module__.partition(".")[0] != "psycopg":
                    raise
                wrong.append(f"{table.name}: {str(error).strip().splitlines()[0]}")
            if progress:
                progress.advance(1)
        detail = "; ".join(wrong[:10]) if wrong else f"{counted(len(found), 'table')}, {counted(rows, 'row')}"
        yield Structural(f"{database}: full scan", "failed" if wrong else "passed", detail)
