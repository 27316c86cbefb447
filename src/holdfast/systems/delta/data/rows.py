"""The rows of a table at a version, in DuckDB: a view for each table, full scans, content hashes."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.errors import MissingExtra
from holdfast.systems.delta.capture.pin import Pinned, Wanted
from holdfast.systems.delta.data import conform, sql
from holdfast.systems.delta.errors import FeatureUnknown, FileBroken, QueryFailed
from holdfast.systems.delta.log import vectors
from holdfast.systems.delta.log.checkpoint import arrow

Locate = Callable[[Wanted], Path]
"""Where a file of a table lies on this machine; fetched if need be. Raises FileBroken."""


@dataclass
class TableAt:
    """A table at a version. ``label``: how it is called in messages."""

    name: str
    pinned: Pinned
    locate: Locate
    recorded: str | None = None
    """What its rows hashed to when they were captured, where that is known."""
    drop: Callable[[Path], None] | None = None
    """Removes a file that ``locate`` fetched; it can be fetched again."""

    @property
    def label(self) -> str:
        return self.name or "the table"


def connect(folder: Path, database: str = ":memory:") -> Any:
    """A DuckDB that spills into ``folder`` and speaks UTC. ``database``: its file. Raises MissingExtra."""
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtra("delta", "Asking Delta tables") from error
    connection = duckdb.connect(database)
    spill = sql.literal(str(folder / "spill"))
    connection.execute(f"SET temp_directory={spill}; SET memory_limit='1GB'; SET TimeZone='UTC'; SET preserve_insertion_order=false")
    return connection


def create(connection: Any, table: TableAt, view: str) -> None:
    """Make the version's rows a view of that (quoted) name. Raises FeatureUnknown, FileBroken, VectorBroken."""
    import duckdb

    state = table.pinned.snapshot
    metadata = state.metadata
    wanted = {one.address or one.key: one for one in table.pinned.data()}
    deleted = {one.address or one.key: one for one in table.pinned.vectors()}
    mapped = sql.is_mapped(metadata)
    partitions = [(one["name"], sql.physical(one, mapped=mapped)) for one in _partitions(metadata)]
    try:
        if not state.files:
            connection.execute(f"CREATE VIEW {view} AS SELECT * FROM (SELECT {_empty(metadata)}) WHERE false")
            return
        paths, gone_files, gone_rows = [], [], []
        values: dict[str, list[str | None]] = {name: [] for name, _ in partitions}
        for number, ((path, _), add) in enumerate(state.files.items()):
            one = wanted.get(path) or wanted[_plain_key(table, path)]
            paths.append(str(table.locate(one)))
            given = add.get("partitionValues") or {}
            for name, inner in partitions:
                values[name].append(given.get(inner) or None)
            descriptor = add.get("deletionVector")
            if descriptor:
                rows = vectors.rows(descriptor, vector_file(table, descriptor, deleted))
                gone_rows.append(rows)
                gone_files.append((number, len(rows)))
        pa, _ = arrow()
        tag = hashlib.sha256(view.encode()).hexdigest()[:12]
        _keep(
            connection,
            f"files_{tag}",
            pa.table({"path": paths, "number": range(len(paths)), **{n: pa.array(v, pa.string()) for n, v in values.items()}}),
        )
        gone = ""
        if gone_rows:
            import numpy as np

            numbers = np.concatenate([np.full(count, number, np.int64) for number, count in gone_files])
            _keep(connection, f"gone_{tag}", pa.table({"number": numbers, "row": np.concatenate(gone_rows).astype(np.int64)}))
            gone = f" ANTI JOIN gone_{tag} g ON g.number = p.number AND g.row = r.file_row_number"
        parts = [_select(connection, told, some, f"files_{tag}") + gone for told, some in _named_alike(table, metadata, paths)]
        connection.execute(f"CREATE VIEW {view} AS {' UNION ALL '.join(parts)}")
    except KeyError as error:
        raise FeatureUnknown(
            f"{table.label} has a column of type {error}, whose rows cannot be read here.", hint="Its files are captured all the same."
        ) from error
    except duckdb.Error as error:
        raise broken(table, error) from error


def _select(connection: Any, metadata: Mapping[str, Any], paths: Sequence[str], files: str) -> str:
    options = "union_by_name=true, filename=true, file_row_number=true, hive_partitioning=false"
    source = f"read_parquet([{', '.join(map(sql.literal, paths))}], {options})"
    there = {row[0]: row[1] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
    return f"SELECT {sql.columns(metadata, there)} FROM {source} r JOIN {files} p ON r.filename = p.path"


def _named_alike(table: TableAt, metadata: Mapping[str, Any], paths: Sequence[str]) -> list[tuple[Mapping[str, Any], list[str]]]:
    """(metadata with the names that these files have for the columns, the files): where columns are found by numbers, files may differ."""
    if conform.mode(metadata) != "id":
        return [(metadata, list(paths))]
    pa, pq = arrow()
    found: dict[str, tuple[Mapping[str, Any], list[str]]] = {}
    for path in paths:
        try:
            told = conform.as_named(metadata, pq.read_schema(path))
        except (conform.NoIds, pa.ArrowException, OSError) as error:
            raise FileBroken(f"{path.rpartition('/')[2]} of {table.label} cannot be read: {error}.", table=table.name) from error
        found.setdefault(told["schemaString"], (told, []))[1].append(path)
    return list(found.values())


def summed(table: TableAt, parts: Iterable[tuple[int, int, int]]) -> dict[str, Any]:
    """``{"version", "rows", "hash"}`` of the sums of a table's parts: over all rows, in any order, and over names and types of columns."""
    rows = low = high = 0
    for part in parts:
        rows, low, high = rows + part[0], low + part[1], high + part[2]
    schema = sorted((one["name"], json.dumps(one["type"], sort_keys=True)) for one in _logical(table.pinned.snapshot.metadata))
    whole = hashlib.sha256(f"{json.dumps(schema)} {rows} {low % 2**64:x} {high % 2**64:x}".encode()).hexdigest()
    return {"version": table.pinned.snapshot.version, "rows": rows, "hash": whole}


def broken(table: TableAt, error: Exception) -> QueryFailed | FileBroken:
    """Why a scan failed: the files that cannot be read, by name, and the rows that they cost; else what DuckDB says."""
    bad = []
    for one in table.pinned.data():
        if why := _unreadable(table.locate(one)):
            rows = "an unknown number of" if one.rows is None else str(one.rows)
            bad.append(f"{one.key or one.address} ({rows} rows: {why})")
    if bad:
        return FileBroken(
            f"{len(bad)} files of {table.label} at version {table.pinned.snapshot.version} cannot be read: {'; '.join(bad[:5])}.",
            hint="All other rows can be read. Restore a point from before the damage.",
            table=table.name,
        )
    return QueryFailed(f"{table.label}: {str(error).strip().splitlines()[0]}")


def _unreadable(path: Path) -> str:
    pa, pq = arrow()
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for _ in file.iter_batches(65536):
                pass
    except (pa.ArrowException, OSError, ValueError) as error:
        return str(error).splitlines()[0][:200]
    return ""


def vector_file(table: TableAt, descriptor: Mapping[str, Any], deleted: Mapping[str, Wanted]) -> bytes | None:
    if descriptor["storageType"] == "i":
        return None
    relative = vectors.relative_key(descriptor)
    key = table.pinned.folder + relative if relative is not None else descriptor["pathOrInlineDv"]
    return table.locate(deleted[key]).read_bytes()


def _plain_key(table: TableAt, path: str) -> str:
    from holdfast.systems.delta.log.snapshot import key_of

    return table.pinned.folder + key_of(path)


def _keep(connection: Any, name: str, table: Any) -> None:
    connection.register(f"given_{name}", table)
    connection.execute(f"CREATE TABLE {name} AS SELECT * FROM given_{name}")
    connection.unregister(f"given_{name}")


def _partitions(metadata: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    wanted = list(metadata.get("partitionColumns") or ())
    return [one for one in sql.fields(metadata) if one["name"] in wanted]


def _logical(metadata: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Names and types without what column mapping adds."""

    def plain(kind: Any) -> Any:
        if isinstance(kind, str):
            return kind
        if kind["type"] == "struct":
            return {"type": "struct", "fields": [{"name": one["name"], "type": plain(one["type"])} for one in kind["fields"]]}
        if kind["type"] == "array":
            return {"type": "array", "elementType": plain(kind["elementType"])}
        return {"type": "map", "keyType": plain(kind["keyType"]), "valueType": plain(kind["valueType"])}

    return [{"name": one["name"], "type": plain(one["type"])} for one in sql.fields(metadata)]


def _empty(metadata: Mapping[str, Any]) -> str:
    return (
        ", ".join(f"CAST(NULL AS {sql.type_of(one['type'])}) AS {sql.name(one['name'])}" for one in sql.fields(metadata))
        or "NULL AS nothing"
    )
