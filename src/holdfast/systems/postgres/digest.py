"""Content hashes of tables: exact, independent of the order of rows, computed inside the server.

Each row's text (PostgreSQL's own output of the whole row, so that NULL and '' differ) is hashed to 64 bits under two seeds, and each seed's
hashes are summed over all rows (``sum(bigint)`` is numeric: it cannot overflow). Two multisets of rows with equal count and equal sums are
equal but for an accident of about 2^-128.
"""

import fnmatch
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.systems.postgres import identifiers
from holdfast.systems.postgres.identifiers import quoted

SESSION = (
    "set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'; set extra_float_digits "
    "= 1; set bytea_output = 'hex';"
    " set lc_monetary = 'C'; set xmloption = 'content'; set search_path = ''; set row_security = off"
)
"""So that both sides write the same value the same way."""

SCHEMA, SEQUENCES, LARGE_OBJECTS = "schema", "sequences", "large objects"
"""What a database's digest holds besides tables; the name is DATABASE#THIS."""

_AT_A_TIME = 100
_SEQUENCES = """
    select n.nspname, c.relname, s.seqincrement
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      join pg_catalog.pg_sequence s on s.seqrelid = c.oid
     where c.relkind = 'S' and c.relpersistence = 'p' and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_toast'
     order by 1, 2
"""

_TABLES = """
    select c.oid::bigint, n.nspname, c.relname, c.relkind::text
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'm') and c.relpersistence = 'p' and n.nspname not in ('pg_catalog', 'information_schema') and
     n.nspname !~ '^pg_toast'
       and (c.relkind = 'r' or c.relispopulated)
     order by 2, 3
"""

_SCHEMA = """
    select 'column ' || attrelid::regclass::text || '.' || attnum || ' ' || attname || ' ' || format_type(atttypid, atttypmod) ||
    ' ' || attnotnull
      from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
     where attnum > 0 and not attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f') and {own}
    union all
    select 'constraint ' || conrelid::regclass::text || ' ' || conname || ' ' || pg_get_constraintdef(k.oid)
      from pg_constraint k join pg_class c on c.oid = conrelid join pg_namespace n on n.oid = c.relnamespace where {own}
    union all
    select 'index ' || pg_get_indexdef(i.indexrelid)
      from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace where {own}
    union all
    select 'view ' || c.oid::regclass::text || ' ' || pg_get_viewdef(c.oid)
      from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('v', 'm') and {own}
    union all
    select 'function ' || p.oid::regprocedure::text || ' ' || md5(coalesce(p.prosrc, '') || coalesce(p.probin, ''))
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace where {own}
    union all
    select 'trigger ' || pg_get_triggerdef(t.oid)
      from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace where not tgisinternal and {own}
"""
_OWN = "n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'"


@dataclass(frozen=True, slots=True)
class Table:
    """One table or populated materialized view. ``name`` is ``database.schema.table`` as people write it (``identifiers.shown``)."""

    database: str
    oid: int
    schema: str
    relation: str

    @property
    def name(self) -> str:
        return identifiers.shown(self.database, self.schema, self.relation)

    @property
    def quoted(self) -> str:
        return quoted(self.schema) + "." + quoted(self.relation)


def beside(database: str, what: str) -> str:
    """The name under which a database's definitions, sequences or large objects stand in its digest."""
    return f"{identifiers.shown(database)}#{what}"


def literal(text: str) -> str:
    """An SQL string."""
    return "'" + text.replace("'", "''") + "'"


def tables(connection: Any, database: str, selection: Sequence[str] = ()) -> list[Table]:
    """Permanent tables and materialized views; unlogged ones are empty after any restore and are left out.

    ``selection``: patterns over ``table``, ``schema.table`` or ``database.schema.table``, quoted where ``name`` is; all when empty.
    """
    found = [Table(database, oid, schema, name) for oid, schema, name, _ in connection.execute(_TABLES).fetchall()]
    return [one for one in found if not selection or any(matches(one, pattern) for pattern in selection)]


def matches(table: Table, pattern: str) -> bool:
    names = (identifiers.shown(table.relation), identifiers.shown(table.schema, table.relation), table.name)
    return any(fnmatch.fnmatchcase(name, pattern) for name in names)


Pacing = Callable[[int], None]

STRETCH = 16384
"""Blocks that one statement reads: 128 MiB."""

# (t.*), not t: a table may have a column of that name, and then t is the column.
_ROW = '(select (t.*)::text collate "C" as r from only {table} t{where} offset 0) s'
_SUMS = "count(*), coalesce(sum(hashtextextended(r, 0)), 0)::text, coalesce(sum(hashtextextended(r, 7)), 0)::text"


def shown(count: int, first: str, second: str) -> str:
    """The digest of count and sums, as it is recorded."""
    return hashlib.sha256(f"{count}:{first}:{second}".encode()).hexdigest()[:32]


def of_table(connection: Any, table: Table, pace: Pacing | None = None) -> dict[str, Any]:
    """``{"rows": n, "hash": 32 hex digits}``. A large table is read by stretches of its file, each a statement that ends soon; ``pace`` is
    told the bytes of each, and takes its time. Call it within one snapshot.
    """
    count = first = second = 0
    for where, size in _stretches(connection, table):
        query = f"select {_SUMS} from {_ROW.format(table=table.quoted, where=where)}"  # noqa: S608 - quoted
        one = connection.execute(query).fetchone()
        count, first, second = count + one[0], first + int(one[1]), second + int(one[2])
        if pace is not None:
            pace(size)
    return {"rows": count, "hash": shown(count, str(first), str(second))}


def _stretches(connection: Any, table: Table) -> Iterator[tuple[str, int]]:
    """(condition, bytes) of each. Versions before 14 read the whole table for any range of places in it."""
    found = connection.execute(
        "select pg_catalog.pg_relation_size(%s::oid)::bigint, current_setting('block_size')::bigint", (table.oid,)
    ).fetchone()
    size, block = int(found[0] or 0), int(found[1])
    blocks = -(-size // block)
    if connection.info.server_version < 140000 or blocks <= STRETCH:
        yield "", size
        return
    for start in range(0, blocks, STRETCH):
        end = f" and t.ctid < '({start + STRETCH},0)'" if start + STRETCH < blocks else ""
        yield f" where t.ctid >= '({start},0)'{end}", STRETCH * block


def schema_lines(connection: Any) -> list[str]:
    """Columns, constraints, indexes, views, functions and triggers, a line each."""
    return sorted(line for (line,) in connection.execute(_SCHEMA.format(own=_OWN)).fetchall() if line)


def sequences(connection: Any) -> dict[str, str]:
    """Name → the position that a sequence's log has reached, and whether it was given out.

    The log runs ahead of what was given out by up to 32 values (``log_cnt``), and a copy made of the log stands at its end:
    ``last_value + log_cnt * increment`` is the same on both (``nextval_internal`` in PostgreSQL's commands/sequence.c).
    """
    found = {}
    rows = connection.execute(_SEQUENCES).fetchall()
    for start in range(0, len(rows), _AT_A_TIME):
        part = rows[start : start + _AT_A_TIME]
        query = " union all ".join(
            f"select {number}, last_value::numeric + log_cnt::numeric * {increment}, is_called from {quoted(schema)}.{quoted(name)}"  # noqa: S608
            for number, (schema, name, increment) in enumerate(part)
        )
        for number, value, called in connection.execute(query).fetchall():
            found[identifiers.shown(part[number][0], part[number][1])] = f"{int(value)}{'' if called else ', not given out'}"
    return found


def of_schema(connection: Any) -> dict[str, Any]:
    """All definitions as one hash; ``rows`` counts them."""
    return _of_lines(schema_lines(connection))


def of_sequences(connection: Any) -> dict[str, Any]:
    """All sequences with their positions as one hash; ``rows`` counts them."""
    return _of_lines([f"{name} {value}" for name, value in sorted(sequences(connection).items())])


def _of_lines(lines: Sequence[str]) -> dict[str, Any]:
    return {"rows": len(lines), "hash": hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]}


def of_large_objects(connection: Any) -> dict[str, Any]:
    """All large objects of the database. That there are none every role may see; their content only one that was granted it."""
    if not connection.execute("select exists (select from pg_catalog.pg_largeobject_metadata)").fetchone()[0]:
        return {"rows": 0, "hash": shown(0, "0", "0")}
    query = f"select {_SUMS} from (select loid::text || ' ' || pageno::text || ' ' || md5(data) as r from pg_catalog.pg_largeobject) s"  # noqa: S608
    count, first, second = connection.execute(query).fetchone()
    return {"rows": count, "hash": shown(count, first, second)}


def of_database(
    connection: Any, database: str, selection: Sequence[str] = (), pace: Pacing | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, digest) of every table; without a selection also of the schema, sequences and large objects. All in one snapshot."""
    connection.execute(SESSION)
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read read only")
        for table in tables(connection, database, selection):
            yield table.name, of_table(connection, table, pace)
        if not selection:
            yield beside(database, SCHEMA), of_schema(connection)
            positions = of_sequences(connection)
            if positions["rows"]:
                yield beside(database, SEQUENCES), positions
            large = of_large_objects(connection)
            if large["rows"]:
                yield beside(database, LARGE_OBJECTS), large


def compare(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What differs between two digests, by name: ``{"name", "expected", "actual"}``; a side that lacks it says None."""
    names = sorted(set(expected) | set(actual))
    return [
        {"name": name, "expected": expected.get(name), "actual": actual.get(name)}
        for name in names
        if expected.get(name) != actual.get(name)
    ]
