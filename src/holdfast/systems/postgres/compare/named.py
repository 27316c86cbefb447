"""What a database holds besides rows, each thing under its name: definitions, positions of sequences, large objects."""

from typing import Any

from holdfast.systems.postgres.compare.ranges import Differing
from holdfast.systems.postgres.digest import LARGE_OBJECTS, SCHEMA, SEQUENCES, schema_lines, sequences


def differing(here: Any, there: Any, what: str, limit: int = 5) -> Differing:
    """``what``: a digest's name behind the database's (``digest.SCHEMA``, ``SEQUENCES``, ``LARGE_OBJECTS``)."""
    found = Differing(limit)
    mine, theirs = _things(here, what), _things(there, what)
    for name in sorted(mine.keys() | theirs.keys()):
        if mine.get(name) != theirs.get(name):
            kind = "missing" if name not in mine else "extra" if name not in theirs else "changed"
            values = f": {mine[name]} instead of {theirs[name]}" if kind == "changed" and what == SEQUENCES else ""
            found.note(f"{name}{values}", kind)
    return found


def _things(connection: Any, what: str) -> dict[str, str]:
    if what == SCHEMA:
        return dict.fromkeys(schema_lines(connection), "")
    if what == SEQUENCES:
        return sequences(connection)
    assert what == LARGE_OBJECTS
    query = "select loid::text, sum(hashtextextended(pageno::text || ' ' || md5(data), 0))::text from pg_catalog.pg_largeobject group by 1"
    return dict(connection.execute(query).fetchall())
