"""A little table written by hand, by the protocol's oldest versions, which every reader reads; and a data file whose rows are changed."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

COLUMNS = ("long", "string")
"""Types that it may have."""


def created(table_id: str, columns: Mapping[str, str], at: dt.datetime) -> list[dict[str, Any]]:
    """The actions with which a table begins (Delta protocol, "Actions"). ``columns``: name → one of COLUMNS."""
    fields = [{"name": name, "type": kind, "nullable": False, "metadata": {}} for name, kind in columns.items()]
    meta = {
        "id": table_id,
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "partitionColumns": [],
        "configuration": {},
        "createdTime": int(at.timestamp() * 1000),
    }
    return [{"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}, {"metaData": meta}]


def added(name: str, size: int, rows: int, at: dt.datetime) -> dict[str, Any]:
    """The action that adds a data file."""
    stats = json.dumps({"numRecords": rows})
    when = int(at.timestamp() * 1000)
    return {"add": {"path": name, "partitionValues": {}, "size": size, "modificationTime": when, "dataChange": True, "stats": stats}}


def commit(actions: Sequence[Mapping[str, Any]]) -> bytes:
    """A version's file in the log."""
    return b"".join(json.dumps(one).encode() + b"\n" for one in actions)


def data_file(columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> bytes:
    """Parquet."""
    import pyarrow as pa
    from pyarrow import parquet

    types = {"long": pa.int64(), "string": pa.string()}
    shape = pa.schema([pa.field(name, types[kind], nullable=False) for name, kind in columns.items()])
    values = [pa.array([row[number] for row in rows], field.type) for number, field in enumerate(shape)]
    sink = BytesIO()
    parquet.write_table(pa.table(values, schema=shape), sink)
    return sink.getvalue()


def change_a_row(path: Path) -> int | None:
    """The first row of a data file becomes what its last one is. Returns how many rows it has; None where they are the same."""
    import pyarrow as pa
    from pyarrow import parquet

    rows = parquet.ParquetFile(path).read()
    if rows.num_rows < 2 or rows.slice(0, 1).equals(rows.slice(rows.num_rows - 1)):
        return None
    parquet.write_table(pa.concat_tables([rows.slice(1), rows.slice(rows.num_rows - 1)]), path)
    return int(rows.num_rows)
