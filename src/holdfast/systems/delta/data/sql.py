"""A version's rows as SQL over its Parquet files (Delta protocol, "Schema Serialization Format", "Column Mapping", "Partition Value
Serialization", "Deletion Vectors"); run by DuckDB.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

_TYPES = {
    "string": "VARCHAR",
    "long": "BIGINT",
    "integer": "INTEGER",
    "short": "SMALLINT",
    "byte": "TINYINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "binary": "BLOB",
    "date": "DATE",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "timestamp_ntz": "TIMESTAMP",
    "void": "INTEGER",
}


def name(text: str) -> str:
    """As an identifier."""
    return '"' + text.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def fields(metadata: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The table's columns as its schema says."""
    found: list[dict[str, Any]] = json.loads(metadata["schemaString"])["fields"]
    return found


def physical(field: Mapping[str, Any], *, mapped: bool) -> str:
    """The column's name in the files."""
    return str(field.get("metadata", {}).get("delta.columnMapping.physicalName", field["name"])) if mapped else str(field["name"])


def is_mapped(metadata: Mapping[str, Any]) -> bool:
    return (metadata.get("configuration") or {}).get("delta.columnMapping.mode", "none") in ("name", "id")


def type_of(kind: Any) -> str:
    """DuckDB's type. Raises KeyError for a type that is not known."""
    if isinstance(kind, str):
        return kind.upper() if kind.startswith("decimal") else _TYPES[kind]
    if kind["type"] == "struct":
        return "STRUCT(" + ", ".join(f"{name(one['name'])} {type_of(one['type'])}" for one in kind["fields"]) + ")"
    if kind["type"] == "array":
        return f"{type_of(kind['elementType'])}[]"
    return f"MAP({type_of(kind['keyType'])}, {type_of(kind['valueType'])})"


def columns(metadata: Mapping[str, Any], there: Mapping[str, str]) -> str:
    """The select list: every column by its logical name and type. ``there``: type of each column that the files have, by physical name."""
    mapped = is_mapped(metadata)
    partitions = set(metadata.get("partitionColumns") or ())
    parts = []
    for field in fields(metadata):
        inner, wanted = physical(field, mapped=mapped), type_of(field["type"])
        if field["name"] in partitions:
            value = f"p.{name(field['name'])}"
            value = f"CAST({value} AS {wanted})" if field["type"] != "binary" else f"encode({value})"
        elif inner in there:
            value = f"CAST({_renamed(f'r.{name(inner)}', field['type'], mapped=mapped)} AS {wanted})"
        else:
            value = f"CAST(NULL AS {wanted})"
        parts.append(f"{value} AS {name(field['name'])}")
    return ", ".join(parts)


def _renamed(value: str, kind: Any, *, mapped: bool, depth: int = 0) -> str:
    """Nested columns under their logical names."""
    if isinstance(kind, str) or not mapped:
        return value
    if kind["type"] == "struct":
        inner = ", ".join(
            f"{name(one['name'])} := {_renamed(_inside(value, physical(one, mapped=True)), one['type'], mapped=True, depth=depth)}"
            for one in kind["fields"]
        )
        return f"CASE WHEN {value} IS NULL THEN NULL ELSE struct_pack({inner}) END"
    if kind["type"] == "array":
        each = f"x{depth}"
        inner = _renamed(each, kind["elementType"], mapped=True, depth=depth + 1)
        return value if inner == each else f"list_transform({value}, lambda {each}: {inner})"
    key, one = f"e{depth}.key", f"e{depth}.value"
    inner_key = _renamed(key, kind["keyType"], mapped=True, depth=depth + 1)
    inner_value = _renamed(one, kind["valueType"], mapped=True, depth=depth + 1)
    if (inner_key, inner_value) == (key, one):
        return value
    return (
        f"CASE WHEN {value} IS NULL THEN NULL ELSE map_from_entries(list_transform(map_entries({value}), lambda e{depth}:"
        f" struct_pack(key := {inner_key}, value := {inner_value}))) END"
    )


def _inside(value: str, field: str) -> str:
    return f"struct_extract({value}, {literal(field)})"


def canonical(metadata: Mapping[str, Any]) -> str:
    """One row as a text that only an equal row has: each column by name order, its length in front."""
    parts = []
    for field in sorted(fields(metadata), key=lambda one: str(one["name"])):
        value, kind = name(field["name"]), field["type"]
        if kind == "binary":
            text = f"hex({value})"
        elif kind in ("timestamp", "timestamp_ntz"):
            text = f"CAST(epoch_us({value}) AS VARCHAR)"
        elif isinstance(kind, str):
            text = f"CAST({value} AS VARCHAR)"
        else:
            text = f"CAST({_steady(value, kind)} AS VARCHAR)"
        parts.append(f"CASE WHEN {value} IS NULL THEN 'N' ELSE concat(length({text}), ':', {text}) END")
    return f"concat({', '.join(parts)})" if parts else "''"


def _steady(value: str, kind: Any, depth: int = 0) -> str:
    """Maps are sets of pairs: put into one order."""
    if isinstance(kind, str):
        return value
    if kind["type"] == "map":
        return f"list_sort(map_entries({value}))"
    if kind["type"] == "array" and not isinstance(kind["elementType"], str):
        each = f"y{depth}"
        return f"list_transform({value}, lambda {each}: {_steady(each, kind['elementType'], depth + 1)})"
    if kind["type"] == "struct":
        inner: Sequence[str] = [
            f"{name(one['name'])} := {_steady(_inside(value, one['name']), one['type'], depth + 1)}" for one in kind["fields"]
        ]
        return f"CASE WHEN {value} IS NULL THEN NULL ELSE struct_pack({', '.join(inner)}) END"
    return value
