"""By which columns a table's rows are told apart, and whether two servers put them in the same order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.systems.postgres.digest import Table
from holdfast.systems.postgres.identifiers import quoted

_COLUMNS = """
    select array(select a.attname::text from unnest(i.indkey::int2[]) with ordinality k(n, o)
                   join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.n where k.o <= i.indnkeyatts order by k.o),
           array(select pg_catalog.format_type(a.atttypid, a.atttypmod) from unnest(i.indkey::int2[]) with ordinality k(n, o)
                   join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.n where k.o <= i.indnkeyatts order by k.o),
           array(select a.attcollation::bigint from unnest(i.indkey::int2[]) with ordinality k(n, o)
                   join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.n where k.o <= i.indnkeyatts order by k.o)
      from pg_catalog.pg_index i
     where i.indrelid = %s and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
       and not exists (select 1 from unnest(i.indkey::int2[]) with ordinality k(n, o) join pg_catalog.pg_attribute a
                         on a.attrelid = i.indrelid and a.attnum = k.n where k.o <= i.indnkeyatts and not a.attnotnull)
     order by i.indisprimary desc, i.indnkeyatts, i.indexrelid limit 1
"""
_COLLATION = """
    select case when collprovider = 'd' then null when not collisdeterministic then null
                when collcollate in ('C', 'POSIX') then 'C'
                else collprovider::text || ' ' || coalesce(collcollate, '') || ' ' || pg_catalog.pg_collation_actual_version(oid) end
      from pg_catalog.pg_collation where oid = %s
"""
_DATABASE = """
    select case when datcollate in ('C', 'POSIX') and datlocprovider = 'c' then 'C'
                else datlocprovider::text || ' ' || datcollate || ' ' || pg_catalog.pg_database_collation_actual_version(oid) end
      from pg_catalog.pg_database where datname = pg_catalog.current_database()
"""
_DATABASE_14 = (
    "select case when datcollate in ('C', 'POSIX') then 'C' end from pg_catalog.pg_database where datname = pg_catalog.current_database()"
)
_DEFAULT = 100
"""DEFAULT_COLLATION_OID (pg_collation.dat)."""


@dataclass(frozen=True, slots=True)
class Key:
    """``types``: for casts. ``order``: what decides the order of each column; None where nobody can say that two servers have the same."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    order: tuple[str | None, ...]

    @property
    def listed(self) -> str:
        return ", ".join("t." + quoted(column) for column in self.columns)

    @property
    def shown(self) -> str:
        """The key of a row as text."""
        return f"row({self.listed})::text"


def key_of(connection: Any, table: Table) -> Key | None:
    """The primary key, else a unique index over columns that are never NULL; None when there is none: then the whole row is the key."""
    row = connection.execute(_COLUMNS, (table.oid,)).fetchone()
    if row is None:
        return None
    columns, types, collations = row
    return Key(tuple(columns), tuple(types), tuple(_order(connection, int(one)) for one in collations))


def in_ranges(mine: Key | None, theirs: Key | None) -> Key | None:
    """The key by whose ranges both sides can be cut; None where they have none in common, or may order it differently.

    Text under a locale is ordered by a library that may differ between two machines: only the same library in the same version is trusted.
    """
    if mine is None or mine != theirs or any(one is None for one in mine.order):
        return None
    return mine


def common(mine: Key | None, theirs: Key | None) -> Key | None:
    """The key by which rows of both sides are told apart, in whatever order."""
    return mine if mine is not None and theirs is not None and mine.columns == theirs.columns else None


def _order(connection: Any, collation: int) -> str | None:
    if not collation:
        return "of its type"
    if collation == _DEFAULT:
        query = _DATABASE if connection.info.server_version >= 150000 else _DATABASE_14
        found = connection.execute(query).fetchone()
    else:
        found = connection.execute(_COLLATION, (collation,)).fetchone()
    return None if found is None or found[0] is None else str(found[0])


def escaped(sql: str) -> str:
    """For statements with parameters: a percent sign in a name is no parameter."""
    return sql.replace("%", "%%")


def casts(types: Sequence[str]) -> str:
    return ", ".join(f"%s::{escaped(one)}" for one in types)
