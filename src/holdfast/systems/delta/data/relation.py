"""A table at a version as a DuckDB database of its own, which another process can open."""

import tempfile
from pathlib import Path

from holdfast.systems.contract import Relation
from holdfast.systems.delta.data import rows, sql
from holdfast.systems.delta.data.rows import TableAt


def written(table: TableAt, folder: Path) -> tuple[Relation, Path]:
    """(the relation, the folder it lies in, to be removed when it is done with). It names the table's files and holds no copy of them.

    Raises MissingExtra, FeatureUnknown, FileBroken, VectorBroken.
    """
    place = Path(tempfile.mkdtemp(prefix="relation-", dir=folder))
    name = table.name.rpartition("/")[2] or "table"
    connection = rows.connect(place, str(place / "table.duckdb"))
    try:
        rows.create(connection, table, sql.name(name))
    finally:
        connection.close()
    return Relation("duckdb", str(place / "table.duckdb"), name), place
