"""Rows of a table drawn by a hash of their key, so that two servers draw the same ones."""

import hashlib
from typing import Any

from holdfast.systems.contract import Draw, Sampled
from holdfast.systems.postgres.compare.keys import key_of
from holdfast.systems.postgres.digest import Table, of_table, quoted

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
    seed = int.from_bytes(hashlib.sha256(draw.seed.encode()).digest()[:8], "big", signed=True)
    names = ", ".join(quoted(column) for column in key.columns)
    chosen = f"(hashtextextended({key.shown}, '{seed}'::bigint) & {_ALL}) % {int(one_in)} = 0"
    query = (
        f"with drawn as materialized (select {key.listed} from only {table.quoted} t where {chosen})"  # noqa: S608 - quoted
        f" select {key.shown}, hashtextextended((t.*)::text, 0)::text || ' ' || hashtextextended((t.*)::text, 7)::text"
        f" from (select t.* from only {table.quoted} t) t join drawn using ({names})"
    )
    return Sampled("rows", total, int(one_in), dict(connection.execute(query).fetchall()))
