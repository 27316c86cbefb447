"""A file's columns as the table's schema says them (Delta protocol, "Column Mapping", "Type Widening", "Partition Value Serialization").

Where the mode of column mapping is ``id`` a column is found by the number that the file gives it, whatever it is called there.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.systems.delta.data import sql
from holdfast.systems.delta.log.checkpoint import arrow

_LEAVES = {
    "string": "string",
    "long": "int64",
    "integer": "int32",
    "short": "int16",
    "byte": "int8",
    "float": "float32",
    "double": "float64",
    "boolean": "bool_",
    "binary": "binary",
    "date": "date32",
    "void": "null",
}
_ID = b"PARQUET:field_id"


class NoIds(ValueError):
    """The columns of a file are to be found by numbers, and it has none."""


@dataclass(frozen=True)
class Column:
    """``index``: which column of the file; None where the file lacks it, or where it is a partition's."""

    name: str
    kind: Any
    index: int | None
    partition: str | None


def mode(metadata: Mapping[str, Any]) -> str:
    return str((metadata.get("configuration") or {}).get("delta.columnMapping.mode", "none"))


def columns(metadata: Mapping[str, Any], schema: Any) -> list[Column]:
    """How each column of the table is had from a file of that Arrow schema. Raises NoIds."""
    by = mode(metadata)
    there = list(schema)
    if by == "id" and there and not any(_id(one) for one in _all(there)):
        raise NoIds("its columns bear no ids, and the table's are mapped by id")
    partitions = set(metadata.get("partitionColumns") or ())
    found = []
    for field in sql.fields(metadata):
        name = str(field["name"])
        if name in partitions:
            found.append(Column(name, field["type"], None, sql.physical(field, mapped=by != "none")))
        else:
            found.append(Column(name, field["type"], index_of(field, there, by), None))
    return found


def index_of(field: Mapping[str, Any], there: Sequence[Any], by: str) -> int | None:
    """Which of the file's fields is a field of the table; None where it is none."""
    if by == "id":
        wanted = field.get("metadata", {}).get("delta.columnMapping.id")
        return next((i for i, one in enumerate(there) if wanted is not None and _id(one) == str(wanted)), None)
    name = sql.physical(field, mapped=by == "name")
    return next((i for i, one in enumerate(there) if one.name == name), None)


def as_named(metadata: Mapping[str, Any], schema: Any) -> Mapping[str, Any]:
    """The table's metadata with the names that a file of that Arrow schema has for its columns; where it has none, a name that none has.

    Raises NoIds.
    """
    if mode(metadata) != "id":
        return metadata
    columns(metadata, schema)
    fields = [_named(field, list(schema)) for field in sql.fields(metadata)]
    return {**metadata, "schemaString": json.dumps({"type": "struct", "fields": fields})}


def _named(field: Mapping[str, Any], there: Sequence[Any]) -> dict[str, Any]:
    index = index_of(field, there, "id")
    given = dict(field.get("metadata") or {})
    given["delta.columnMapping.physicalName"] = "\0" if index is None else there[index].name
    return {**field, "metadata": given, "type": _named_within(field["type"], None if index is None else there[index].type)}


def _named_within(kind: Any, there: Any) -> Any:
    if isinstance(kind, str) or there is None:
        return kind
    if kind["type"] == "struct":
        fields = [there.field(i) for i in range(there.num_fields)]
        return {**kind, "fields": [_named(one, fields) for one in kind["fields"]]}
    if kind["type"] == "array":
        return {**kind, "elementType": _named_within(kind["elementType"], there.value_type)}
    return {
        **kind,
        "keyType": _named_within(kind["keyType"], there.key_type),
        "valueType": _named_within(kind["valueType"], there.item_type),
    }


def _id(field: Any) -> str | None:
    found = (field.metadata or {}).get(_ID)
    return found.decode() if found is not None else None


def _all(fields: Sequence[Any]) -> list[Any]:
    found = list(fields)
    for one in fields:
        found += _all([one.type.field(i) for i in range(one.type.num_fields)])
    return found


def target(kind: Any) -> Any:
    """Arrow's type of a leaf. Raises KeyError for one that is not known."""
    pa, _ = arrow()
    if kind == "timestamp":
        return pa.timestamp("us", "UTC")
    if kind == "timestamp_ntz":
        return pa.timestamp("us")
    if kind.startswith("decimal"):
        precision, scale = kind.removeprefix("decimal").strip("()").split(",")
        return pa.decimal128(int(precision), int(scale))
    return getattr(pa, _LEAVES[kind])()


def conformed(array: Any, kind: Any, by: str) -> Any:
    """The array with the values, types and nested names that the schema says. Raises KeyError, and Arrow's errors."""
    if fits(array.type, kind, by):
        return array
    if isinstance(kind, str):
        return _cast(array, target(kind))
    pa, _ = arrow()
    # Its parts are taken apart from here on: without offsets of its own.
    array = array.take(pa.array(range(len(array)), pa.int64()))
    if kind["type"] == "struct":
        there = [array.type.field(i) for i in range(array.type.num_fields)]
        parts, names = [], []
        for field in kind["fields"]:
            index = index_of(field, there, by)
            names.append(field["name"])
            parts.append(nothing(field["type"], len(array)) if index is None else conformed(array.field(index), field["type"], by))
        return pa.StructArray.from_arrays(parts, names=names, mask=array.is_null())
    if kind["type"] == "array":
        values = conformed(array.values, kind["elementType"], by)
        return pa.ListArray.from_arrays(array.offsets.cast(pa.int32()), values, mask=array.is_null())
    keys, items = conformed(array.keys, kind["keyType"], by), conformed(array.items, kind["valueType"], by)
    return pa.MapArray.from_arrays(array.offsets, keys, items, mask=array.is_null())


def _cast(array: Any, wanted: Any) -> Any:
    pa, _ = arrow()
    if pa.types.is_timestamp(array.type) and pa.types.is_timestamp(wanted):
        # Delta's times are microseconds: what a writer added below them is no part of the value.
        return array.cast(pa.timestamp("us", array.type.tz), safe=False)
    return array.cast(wanted)


def nothing(kind: Any, rows: int) -> Any:
    """So many nulls; of what type does not matter to who counts and hashes them."""
    del kind
    pa, _ = arrow()
    return pa.nulls(rows)


def fits(there: Any, kind: Any, by: str) -> bool:
    """Whether an array of the file's type can be hashed as it is."""
    pa, _ = arrow()
    types = pa.types
    if isinstance(kind, str):
        if kind in ("string", "binary"):
            return bool(types.is_string(there) or types.is_binary(there) or types.is_large_string(there) or types.is_large_binary(there))
        if kind in ("timestamp", "timestamp_ntz"):
            return bool(types.is_timestamp(there) and there.unit == "us")
        return bool(there == target(kind))
    if kind["type"] == "struct":
        if not types.is_struct(there) or there.num_fields != len(kind["fields"]):
            return False
        fields = [there.field(i) for i in range(there.num_fields)]
        for field in kind["fields"]:
            index = index_of(field, fields, by)
            if index is None or fields[index].name != field["name"] or not fits(fields[index].type, field["type"], by):
                return False
        return True
    if kind["type"] == "array":
        return bool(types.is_list(there) or types.is_large_list(there)) and fits(there.value_type, kind["elementType"], by)
    return bool(types.is_map(there)) and fits(there.key_type, kind["keyType"], by) and fits(there.item_type, kind["valueType"], by)


def constant(value: str | None, kind: str, rows: int) -> Any:
    """A partition's value in so many rows. Raises KeyError, and Arrow's errors."""
    pa, _ = arrow()
    if value is None or value == "":
        return pa.nulls(rows)
    if kind == "binary":
        return pa.repeat(pa.scalar(value.encode(), pa.binary()), rows)
    text = pa.array([value])
    if kind == "timestamp" and not value.endswith("Z"):
        text = text.cast(pa.timestamp("us"))
    return pa.repeat(text.cast(target(kind))[0], rows)
