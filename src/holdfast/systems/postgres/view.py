"""A running PostgreSQL server, looked at and never changed: what validation works on, be it an isolated copy or the source."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from holdfast.errors import FoundWrong
from holdfast.model import Progress, counted
from holdfast.systems.contract import Draw, Isolated, Relation, Sampled, Structural, TableUnknown
from holdfast.systems.postgres import digest as digests
from holdfast.systems.postgres.compare import keys, multiset, named, ranges
from holdfast.systems.postgres.compare.sample import large_objects, sample
from holdfast.systems.postgres.identifiers import parted, quoted, shown
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
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        role = quoted(session.info.user)
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
    """Satisfies ``systems.contract.Isolated``. ``reached``: where its data stands. ``pace`` and ``timeout`` (seconds for a statement) bound
    what comparing content asks of a server that others need.
    """

    def __init__(
        self,
        dsn: str,
        reached: Mapping[str, Any],
        *,
        database: str | None = None,
        pace: digests.Pacing | None = None,
        timeout: float | None = None,
    ) -> None:
        self._dsn = dsn
        self._reached = reached
        self._database = database
        self.pace = pace
        self._timeout = timeout

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
            import psycopg  # connecting said whether it is installed

            if timeout:
                session.execute(f"set statement_timeout = {int(timeout * 1000)}")
            try:
                rows: list[tuple[Any, ...]] = session.execute(statement).fetchall()
            except psycopg.Error as error:
                raise QuestionFailed(
                    f"The statement failed: {str(error).strip()}", hint="Run it by hand: holdfast open --psql", statement=statement
                ) from error
            return rows

    def digest(self, selection: Sequence[str] = ()) -> Mapping[str, Any]:
        found: dict[str, Any] = {}
        for database in self._asked():
            with self.comparing(database) as session:
                found |= dict(digests.of_database(session, database, selection, self.pace))
        return found

    def sample(self, draw: Draw, selection: Sequence[str] = ()) -> Mapping[str, Sampled]:
        """Of each table some rows, drawn by their keys, and of the large objects some; definitions and sequences whole."""
        found: dict[str, Sampled] = {}
        for database in self._asked():
            with self.comparing(database) as session, session.transaction():
                session.execute("set transaction isolation level repeatable read read only")
                for table in digests.tables(session, database, selection):
                    found[table.name] = sample(session, table, draw)
                if not selection:
                    schema, positions = digests.of_schema(session), digests.of_sequences(session)
                    found[digests.beside(database, digests.SCHEMA)] = Sampled("definitions", schema["rows"], 0, {"": schema["hash"]})
                    if positions["rows"]:
                        found[digests.beside(database, digests.SEQUENCES)] = Sampled(
                            "sequences", positions["rows"], 0, {"": positions["hash"]}
                        )
                    large = large_objects(session, digests.beside(database, digests.LARGE_OBJECTS), draw)
                    if large.total:
                        found[digests.beside(database, digests.LARGE_OBJECTS)] = large
        return found

    def differences(self, other: Isolated, name: str, limit: int = 5) -> Mapping[str, Any]:
        """By ranges of the key, halved down to the rows that differ; by multiset where there is no key, or its order is not certain."""
        assert isinstance(other, PostgresView)
        kinds = (digests.SCHEMA, digests.SEQUENCES, digests.LARGE_OBJECTS)
        what = next((one for one in kinds if name.endswith(f"#{one}")), "")
        database = parted(name.removesuffix(f"#{what}") if what else name)[0]
        with self.comparing(database) as here, other.comparing(database) as there:
            if what:
                return named.differing(here, there, what, limit).to_json(None)
            mine, theirs = (next((one for one in digests.tables(session, database) if one.name == name), None) for session in (here, there))
            if mine is None or theirs is None:
                absent = "here" if mine is None else "there"
                return {"missing": None, "extra": None, "changed": None, "key": [], "examples": [], "absent": absent}
            left, right = keys.key_of(here, mine), keys.key_of(there, theirs)
            key = keys.in_ranges(left, right)
            if key is None:
                key = keys.common(left, right)
                return multiset.differing(here, mine, there, theirs, key, limit).to_json(key)
            sides = ranges.Side(here, mine, key, self.pace), ranges.Side(there, theirs, key, other.pace)
            return ranges.differing(*sides, limit).to_json(key)

    def _asked(self) -> list[str]:
        return [self._database] if self._database else self.databases()

    @contextlib.contextmanager
    def comparing(self, database: str) -> Iterator[Any]:
        """A session whose values read the same on every server."""
        with self.connect(database) as session, _readable(session, database):
            session.execute(digests.SESSION)
            if self._timeout:
                session.execute(f"set statement_timeout = {int(self._timeout * 1000)}")
            yield session

    def relation(self, table: str, database: str | None = None) -> Relation:
        name = database or self._database
        address = connections.merged(self._dsn, dbname=name) if name else self._dsn
        with self.connect(database) as session:
            rows = session.execute(
                "select n.nspname, c.relname, pg_catalog.pg_table_is_visible(c.oid) from pg_catalog.pg_class c"
                " join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'v', 'm', 'f')"
                " and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')"
            ).fetchall()
        known = {shown(schema, one): (schema, one) for schema, one, _ in rows}
        known |= {shown(one): (schema, one) for schema, one, visible in rows if visible}
        # As it was written before names with dots were quoted; where two things share such a name, neither has it.
        plain = [(f"{schema}.{one}", (schema, one)) for schema, one, _ in rows] + [
            (one, (schema, one)) for schema, one, seen in rows if seen
        ]
        often = Counter(name for name, _ in plain)
        known |= {name: thing for name, thing in plain if often[name] == 1 and name not in known}
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
        import psycopg

        schema = quoted(row[0])
        wrong: list[str] = []
        indexes = session.execute(
            "select c.oid::bigint, c.oid::regclass::text from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid"
            " join pg_catalog.pg_am a on a.oid = c.relam where a.amname = 'btree' and c.relpersistence = 'p' "
            "and i.indisvalid and c.relkind = 'i'"
        ).fetchall()
        for oid, name in indexes:
            try:
                session.execute(f"select {schema}.bt_index_check(%s::oid::regclass, true)", (oid,))
            except psycopg.Error as error:
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
        import psycopg

        wrong, rows = [], 0
        found = digests.tables(session, database)
        for table in found:
            try:
                # count(expression) must compute the row's text: every value is read, detoasted and written out.
                rows += session.execute(f"select count((t.*)::text) from only {table.quoted} t").fetchone()[0]  # noqa: S608
            except psycopg.Error as error:
                wrong.append(f"{table.name}: {str(error).strip().splitlines()[0]}")
            if progress:
                progress.advance(1)
        detail = "; ".join(wrong[:10]) if wrong else f"{counted(len(found), 'table')}, {counted(rows, 'row')}"
        # What read nothing proved nothing: whether there should be something, the comparison tells.
        yield Structural(f"{database}: full scan", "failed" if wrong else "passed" if rows else "skipped", detail)
