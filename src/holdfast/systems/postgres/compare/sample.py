"""Rows of a table drawn by a hash of their key, so that two servers draw the same ones."""

import hashlib
from typing import Any

from holdfast.systems.contract import Draw, Sampled
from holdfast.systems.postgres.compare.keys import key_of
from holdfast.systems.postgres.digest import Table, of_table
from holdfast.systems.postgres.identifiers import quoted

_ALL = (1 << 63) - 1


def sample(connection: Any, table: Table, draw: Draw) -> Sampled:
    """The keys are read from their index alone where the server can; of the rows only those that were drawn.

    A table without a key is hashed whole: to draw from it, all of it would have to be read as well.
    """
    key = key_of(connection, table)
    asked = draw.one_in.get(table.name)
    if key is None or asked == 0:
        whole = of_table(connection, table)
        return Sampled("rows", int(whole["rows"]), 0, {"": str(whole["hash"])})
    total = int(connection.execute(f"select count(*) from only {table.quoted}").fetchone()[0])  # noqa: S608 - quoted
    one_in = asked if asked is not None else max(1, total // max(1, draw.wanted))
    seed = _seed(draw)
    names = ", ".join(quoted(column) for column in key.columns)
    chosen = f"(hashtextextended({key.shown}, '{seed}'::bigint) & {_ALL}) % {int(one_in)} = 0"
    query = (
        f"with drawn as materialized (select {key.listed} from only {table.quoted} t where {chosen})"  # noqa: S608 - quoted
        f" select {key.shown}, hashtextextended((t.*)::text, 0)::text || ' ' || hashtextextended((t.*)::text, 7)::text"
        f" from (select t.* from only {table.quoted} t) t join drawn using ({names})"
    )
    return Sampled("rows", total, int(one_in), dict(connection.execute(query).fetchall()))


def large_objects(connection: Any, name: str, draw: Draw) -> Sampled:
    """Whole large objects, drawn by their numbers. ``name``: how they are called in the draw. That there are none every role may see; their
    content only one that was granted it.
    """
    total = int(connection.execute("select count(*) from pg_catalog.pg_largeobject_metadata").fetchone()[0])
    asked = draw.one_in.get(name)
    one_in = max(1, asked if asked is not None else total // max(1, draw.wanted))
    if not total:
        return Sampled("large objects", 0, one_in, {})
    query = (
        "select m.oid::text, count(l.loid) || ' ' || coalesce(sum(hashtextextended(r, 0)), 0) || ' ' ||"  # noqa: S608 - numbers
        " coalesce(sum(hashtextextended(r, 7)), 0) from pg_catalog.pg_largeobject_metadata m left join lateral"
        " (select loid, pageno::text || ' ' || md5(data) as r from pg_catalog.pg_largeobject p where p.loid = m.oid) l on true"
        f" where (hashtextextended(m.oid::text, '{_seed(draw)}'::bigint) & {_ALL}) % {one_in} = 0 group by 1"
    )
    return Sampled("large objects", total, one_in, dict(connection.execute(query).fetchall()))


def _seed(draw: Draw) -> int:
    return int.from_bytes(hashlib.sha256(draw.seed.encode()).digest()[:8], "big", signed=True)
