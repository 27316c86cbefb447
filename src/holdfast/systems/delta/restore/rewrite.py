"""Absolute paths in a log, turned towards the copy (shallow clones)."""

import io
import json
from collections.abc import Mapping
from typing import Any

from holdfast.systems.delta.log.checkpoint import arrow


def rewritten(key: str, data: bytes, places: Mapping[str, str], vectors: Mapping[str, str]) -> bytes:
    """A file of the log with ``places`` (absolute → relative path of data files), ``vectors`` (absolute → what storage ``u`` calls it)."""
    return _parquet(data, places, vectors) if key.endswith(".parquet") else _lines(data, places, vectors)


def _lines(data: bytes, places: Mapping[str, str], vectors: Mapping[str, str]) -> bytes:
    out = []
    for line in data.splitlines(keepends=True):
        text = line.strip()
        found: dict[str, Any] = json.loads(text) if text.startswith(b"{") else {}
        changed = False
        for name in ("add", "remove", "cdc"):
            action = found.get(name)
            if not action:
                continue
            if action["path"] in places:
                action["path"] = places[action["path"]]
                changed = True
            vector = action.get("deletionVector")
            if vector and vector["storageType"] == "p" and vector["pathOrInlineDv"] in vectors:
                vector |= {"storageType": "u", "pathOrInlineDv": vectors[vector["pathOrInlineDv"]]}
                changed = True
        out.append(json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" if changed else line)
    return b"".join(out)


def _parquet(data: bytes, places: Mapping[str, str], vectors: Mapping[str, str]) -> bytes:
    pa, pq = arrow()
    table = pq.read_table(io.BytesIO(data))
    for name in ("add", "remove"):
        if name not in table.column_names:
            continue
        column = table.column(name).combine_chunks()
        column = _field(pa, column, "path", places)
        index = column.type.get_field_index("deletionVector")
        if index >= 0:
            column = _put(pa, column, index, _relative(pa, column.field(index), vectors))
        table = table.set_column(table.column_names.index(name), table.schema.field(name), column)
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def _relative(pa: Any, column: Any, vectors: Mapping[str, str]) -> Any:
    index = column.type.get_field_index("storageType")
    named = column.field(column.type.get_field_index("pathOrInlineDv")).to_pylist()
    kinds = ["u" if name in vectors else kind for kind, name in zip(column.field(index).to_pylist(), named, strict=True)]
    column = _put(pa, column, index, pa.array(kinds, column.field(index).type))
    return _field(pa, column, "pathOrInlineDv", vectors)


def _field(pa: Any, column: Any, name: str, places: Mapping[str, str]) -> Any:
    index = column.type.get_field_index(name)
    if index < 0:
        return column
    inner = column.field(index)
    return _put(pa, column, index, pa.array([places.get(one, one) for one in inner.to_pylist()], inner.type))


def _put(pa: Any, column: Any, index: int, inner: Any) -> Any:
    import pyarrow.compute as pc

    parts = [inner if number == index else column.field(number) for number in range(column.type.num_fields)]
    return pa.StructArray.from_arrays(parts, fields=list(column.type), mask=pc.invert(column.is_valid()))
