"""Content hashes of tables: exact, independent of the order of rows, computed inside the server.

Each row's text (PostgreSQL's own output of the whole row, so that NULL and '' differ) is hashed to 64 bits under two seeds, and each seed's
hashes are summed over all rows (``sum(bigint)`` is numeric: it cannot overflow). Two multisets of rows with equal count and equal sums are
equal but for an accident of about 2^-128.
"""

import fnmatch
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SESSION = (
    "set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'; set extra_float_digits "
    "= 1; set bytea_output = 'hex';"
    " set lc_monetary = 'C'; set xmloption = 'content'; set search_path = ''; set row_security = off; set statement_timeout = 0"
)
"""So that both sides write the same value the same way."""

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
    """One table or populated materialized view. ``name`` is ``database.schema.table`` as people write it, unquoted."""

    database: str
    oid: int
    schema: str
    relation: str

    @property
    def name(self) -> str:
        return f"{self.database}.{self.schema}.{self.relation}"

    @property
    def quoted(self) -> str:
        return quoted(self.schema) + "." + quoted(self.relation)


def quoted(identifier: str) -> str:
    """An SQL identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """An SQL string."""
    return "'" + text.replace("'", "''") + "'"


def tables(connection: Any, database: str, selection: Sequence[str] = ()) -> list[Table]:
    """Permanent tables and materialized views; unlogged ones are empty after any restore and are left out.

    ``selection``: patterns over ``table``, ``schema.table`` or ``database.schema.table``; all when empty.
    """
    found = [Table(database, oid, schema, name) for oid, schema, name, _ in connection.execute(_TABLES).fetchall()]
    return [one for one in found if not selection or any(matches(one, pattern) for pattern in selection)]


def matches(table: Table, pattern: str) -> bool:
    names = (table.relation, f"{table.schema}.{table.relation}", table.name)
    return any(fnmatch.fnmatchcase(name, pattern) for name in names)


# (t.*), not t: a table may have a column of that name, and then t is the column.
_ROW = '(select (t.*)::text collate "C" as r from only {table} t{where} offset 0) s'
_SUMS = "count(*), coalesce(sum(hashtextextended(r, 0)), 0)::text, coalesce(sum(hashtextextended(r, 7)), 0)::text"


def shown(count: int, first: str, second: str) -> str:
    """The digest of count and sums, as it is recorded."""
    return hashlib.sha256(f"{count}:{first}:{second}".encode()).hexdigest()[:32]


def of_table(connection: Any, table: Table) -> dict[str, Any]:
    """``{"rows": n, "hash": 32 hex digits}``."""
    count, first, second = connection.execute(f"select {_SUMS} from {_ROW.format(table=table.quoted, where='')}").fetchone()  # noqa: S608
    return {"rows": count, "hash": shown(count, first, second)}


def of_schema(connection: Any) -> dict[str, Any]:
    """Columns, constraints, indexes, views, functions and triggers, as one hash; ``rows`` counts them."""
    lines = sorted(line for (line,) in connection.execute(_SCHEMA.format(own=_OWN)).fetchall() if line)
    return {"rows": len(lines), "hash": hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]}


def of_large_objects(connection: Any) -> dict[str, Any]:
    """All large objects of the database. That there are none every role may see; their content only one that was granted it."""
    if not connection.execute("select exists (select from pg_catalog.pg_largeobject_metadata)").fetchone()[0]:
        return {"rows": 0, "hash": shown(0, "0", "0")}
    query = f"select {_SUMS} from (select loid::text || ' ' || pageno::text || ' ' || md5(data) as r from pg_catalog.pg_largeobject) s"  # noqa: S608
    count, first, second = connection.execute(query).fetchone()
    return {"rows": count, "hash": shown(count, first, second)}


def of_database(connection: Any, database: str, selection: Sequence[str] = ()) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, digest) of every table; without a selection also of the schema and of large objects. All in one snapshot."""
    connection.execute(SESSION)
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read read only")
        for table in tables(connection, database, selection):
            yield table.name, of_table(connection, table)
        if not selection:
            yield f"{database}#schema", of_schema(connection)
            large = of_large_objects(connection)
            if large["rows"]:
                yield f"{database}#large objects", large


def compare(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What differs between two digests, by name: ``{"name", "expected", "actual"}``; a side that lacks it says None."""
    names = sorted(set(expected) | set(actual))
    return [
        {"name": name, "expected": expected.get(name), "actual": actual.get(name)}
        for name in names
        if expected.get(name) != actual.get(name)
    ]


# ---------------------------------------------------------------- which rows differ

BUCKETS = 1024
_BATCH_ROWS = 200_000


def key_columns(connection: Any, table: Table) -> list[str]:
    """Columns of the primary key, or of a unique index over columns that are never NULL; [] when there is none (then the whole
    row is the key).
    """
    query = """
        select array(select a.attname from unnest(i.indkey::int2[]) with ordinality k(n, o)
                       join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.n order by k.o)
          from pg_catalog.pg_index i
         where i.indrelid = %s and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
           and not exists (select 1 from pg_catalog.pg_attribute a where a.attrelid = i.indrelid and a.attnum = any(i.indkey) and
           not a.attnotnull)
         order by i.indisprimary desc, i.indnatts, i.indexrelid limit 1
    """
    row = connection.execute(query, (table.oid,)).fetchone()
    return list(row[0]) if row else []


def _keyed(table: Table, key: Sequence[str]) -> str:
    text = f"row({', '.join('t.' + quoted(column) for column in key)})::text" if key else "(t.*)::text"
    return f'(select {text} collate "C" as k, (t.*)::text collate "C" as r from only {table.quoted} t offset 0) s'  # noqa: S608


def _buckets(connection: Any, table: Table, key: Sequence[str]) -> dict[int, tuple[Any, ...]]:
    query = f"select (hashtextextended(k, 3) & {BUCKETS - 1})::int, {_SUMS} from {_keyed(table, key)} group by 1"  # noqa: S608
    return {bucket: rest for bucket, *rest in connection.execute(query).fetchall()}


def _rows(connection: Any, table: Table, key: Sequence[str], buckets: Sequence[int]) -> dict[str, tuple[int, str]]:
    query = (
        f"select k, count(*), sum(hashtextextended(r, 0))::text from {_keyed(table, key)}"  # noqa: S608
        f" where (hashtextextended(k, 3) & {BUCKETS - 1})::int = any(%s) group by k"
    )
    return {text: (count, total) for text, count, total in connection.execute(query, (list(buckets),)).fetchall()}


def differences(here: Any, mine: Table, there: Any, theirs: Table, limit: int = 5) -> dict[str, Any]:
    """Rows of ``mine`` against ``theirs``: ``{"missing", "extra", "changed"}`` counts, ``"key"`` columns and up to ``limit``
    ``"examples"``.

    Missing: theirs has it, mine does not. Narrowed down by buckets of the key's hash, so that only what differs is fetched.
    """
    key = key_columns(here, mine)
    if key and key_columns(there, theirs) != key:
        key = []
    left, right = _buckets(here, mine, key), _buckets(there, theirs, key)
    wrong = sorted(bucket for bucket in left.keys() | right.keys() if left.get(bucket) != right.get(bucket))
    result: dict[str, Any] = {"missing": 0, "extra": 0, "changed": 0, "key": list(key), "examples": []}
    biggest = max((side[bucket][0] for side in (left, right) for bucket in wrong if bucket in side), default=1)
    step = max(1, _BATCH_ROWS // max(1, biggest))
    for at in range(0, len(wrong), step):
        group = wrong[at : at + step]
        ours, others = _rows(here, mine, key, group), _rows(there, theirs, key, group)
        for text in sorted(ours.keys() | others.keys()):
            if ours.get(text) == others.get(text):
                continue
            kind = "missing" if text not in ours else "extra" if text not in others else "changed"
            result[kind] += 1
            if len(result["examples"]) < limit:
                result["examples"].append({"key": text if len(text) <= 200 else text[:200] + "…", "difference": kind})
    return result
