"""A Delta table by its second reader, delta-rs, in the form that tests.servers.spark_session gives Spark's rows."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.servers.spark_session import plain


def delta_rs(table: Path | str, version: int | None = None, options: Mapping[str, str] | None = None) -> dict[str, list[Any]]:
    """``{"columns": […], "rows": […]}``, rows sorted by their text. Reads all data, deletion vectors and column mapping applied."""
    import pyarrow as pa
    from deltalake import DeltaTable, QueryBuilder

    opened = DeltaTable(str(table), version=version, storage_options=dict(options or {}) or None)
    found = pa.table(QueryBuilder().register("t", opened).execute("select * from t").read_all())
    kinds = [field.type for field in found.schema]
    columns = [[_plain(one, kind) for one in column.to_pylist()] for column, kind in zip(found.columns, kinds, strict=True)]
    rows = [list(row) for row in zip(*columns, strict=True)]
    return {"columns": found.column_names, "rows": sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))}


def _plain(value: Any, kind: Any) -> Any:
    """By the Arrow type: its maps are lists of pairs, its times bear a zone."""
    import pyarrow as pa

    if value is None:
        return None
    if pa.types.is_map(kind):
        return sorted(([_plain(key, kind.key_type), _plain(one, kind.item_type)] for key, one in value), key=json.dumps)
    if pa.types.is_struct(kind):
        return {field.name: _plain(value[field.name], field.type) for field in kind}
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return [_plain(one, kind.value_type) for one in value]
    if pa.types.is_timestamp(kind):
        return plain(value.replace(tzinfo=None))
    return plain(value)
