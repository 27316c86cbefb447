"""Full scans of a version: the rows of every file read, hashed and summed by threads; deletion vectors heeded (docs/delta-format.md).

Of a file's sums nothing depends on another file: those of a version are added up, and may be kept from the version before.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.connect.objects import Job, in_order
from holdfast.systems.delta.capture.pin import Wanted
from holdfast.systems.delta.data import conform, rowsum, sql
from holdfast.systems.delta.data.rows import TableAt, vector_file
from holdfast.systems.delta.data.rowsum import Sums
from holdfast.systems.delta.errors import FeatureUnknown, FileBroken
from holdfast.systems.delta.log import vectors
from holdfast.systems.delta.log.checkpoint import arrow
from holdfast.systems.delta.log.snapshot import FileKey, key_of

BATCH = 16384
"""Rows in memory at a time, in each thread."""
_AHEAD = 256 << 20
_SPLIT = 64 << 20
_NAMED = 5


class Unreadable(Exception):
    """What is wrong with a file, in words."""


def sums(table: TableAt, threads: int = 0, done: Callable[[Path], None] | None = None) -> Sums:
    """Of all rows of the version. Raises FileBroken (naming every file that cannot be read), VectorBroken, FeatureUnknown."""
    return rowsum.added(list(by_file(table, threads, done).values()))


def by_file(
    table: TableAt, threads: int = 0, done: Callable[[Path], None] | None = None, broken: dict[str, tuple[Wanted, str]] | None = None
) -> dict[FileKey, Sums]:
    """The same for each file and its deletion vector. ``done`` hears of each file that is not read any more. With ``broken`` what cannot be
    read goes there, by its path in a point, and has no sums.
    """
    metadata = table.pinned.snapshot.metadata
    for field in sql.fields(metadata):
        _require_known(table, field["type"])
    parts: dict[FileKey, list[Sums]] = {key: [] for key in table.pinned.snapshot.files}
    raises, broken = broken is None, {} if broken is None else broken
    before: Path | None = None
    for job in in_order(_scans(table), threads=threads or max(2, os.cpu_count() or 2), most=64):
        key, wanted, path = job.what
        if done is not None and before not in (None, path):
            done(before)
        before = path
        try:
            found = job.result()
            if key in parts:
                parts[key].append(found)
        except Unreadable as error:
            broken[wanted.path] = wanted, str(error)
            parts.pop(key, None)
    if done is not None and before is not None:
        done(before)
    if broken and raises:
        raise _broken(table, list(broken.values()))
    return {key: rowsum.added(some) for key, some in parts.items()}


def _scans(table: TableAt) -> Iterator[Job[Sums]]:
    """One for each file, or for each group of rows of a large one."""
    metadata = table.pinned.snapshot.metadata
    lock = threading.Lock()
    deleted = {one.address or one.key: one for one in table.pinned.vectors()}

    def gone(add: Mapping[str, Any]) -> Any:
        descriptor = add.get("deletionVector")
        if not descriptor:
            return None
        with lock:  # several files share one file of vectors, which is fetched once
            return vectors.rows(descriptor, vector_file(table, descriptor, deleted))

    for located in in_order(_files(table), budget=_AHEAD, most=256):
        key, wanted, add = located.what
        path = located.result()
        for groups in _groups(path, int(add["size"])):
            yield Job((key, wanted, path), _Scan(path, metadata, add, gone, groups))


@dataclass(frozen=True)
class _Scan:
    path: Path
    metadata: Mapping[str, Any]
    add: Mapping[str, Any]
    gone: Callable[[Mapping[str, Any]], Any]
    groups: range | None

    def __call__(self) -> Sums:
        return file_sums(str(self.path), self.metadata, self.add, self.gone(self.add), self.groups)


def _groups(path: Path, size: int) -> Iterator[range | None]:
    """A large file is cut between its groups of rows."""
    pa, pq = arrow()
    count = 1
    if size >= _SPLIT:
        with contextlib.suppress(pa.ArrowException, OSError, ValueError):  # its scan will tell why
            count = pq.read_metadata(path).num_row_groups
    if count < 2:
        yield None
        return
    each = max(1, count * _SPLIT // size)
    for first in range(0, count, each):
        yield range(first, min(first + each, count))


def _files(table: TableAt) -> Iterator[Job[Path]]:
    """Fetched ahead, where they lie elsewhere."""
    wanted = {one.address or one.key: one for one in table.pinned.data()}
    for key, add in table.pinned.snapshot.files.items():
        one = wanted.get(key[0]) or wanted[table.pinned.folder + key_of(key[0])]
        yield Job((key, one, add), lambda one=one: table.locate(one), int(add["size"]))  # type: ignore[misc]


def file_sums(source: Any, metadata: Mapping[str, Any], add: Mapping[str, Any], deleted: Any = None, groups: range | None = None) -> Sums:
    """Of one Parquet file, a path or what Arrow reads from; of some groups of its rows. ``deleted``: ascending numbers of rows.

    Raises Unreadable.
    """
    import numpy as np

    pa, pq = arrow()
    try:
        with pq.ParquetFile(
            source, memory_map=isinstance(source, str), page_checksum_verification=True, coerce_int96_timestamp_unit="us"
        ) as file:
            columns = conform.columns(metadata, file.schema_arrow)
            chosen = range(file.metadata.num_row_groups) if groups is None or not file.metadata.num_row_groups else groups
            at = sum(file.metadata.row_group(i).num_rows for i in range(chosen.start))
            parts = []
            for batch in _batches(file, columns, chosen):
                marks = None
                if deleted is not None:
                    low, high = np.searchsorted(deleted, (at, at + batch.num_rows))
                    if high > low:
                        flags = np.zeros(batch.num_rows, np.uint8)
                        flags[deleted[low:high].astype(np.int64) - at] = 1
                        marks = flags.tobytes()
                parts.append(rowsum.sums(_row(batch, columns, conform.mode(metadata), add), marks))
                at += batch.num_rows
            return rowsum.added(parts)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Unreadable(str(error).splitlines()[0][:200]) from error


def _batches(file: Any, columns: list[conform.Column], groups: range) -> Iterator[Any]:
    pa, _ = arrow()
    needed = sorted({one.index for one in columns if one.index is not None})
    if not needed:
        count = sum(file.metadata.row_group(i).num_rows for i in groups)
        for start in range(0, count, BATCH):
            yield pa.RecordBatch.from_arrays([pa.nulls(min(BATCH, count - start))], names=["nothing"])
        return
    leaves: list[int] = []
    at = 0
    for i, field in enumerate(file.schema_arrow):
        count = _leaves(field.type)
        if i in needed:
            leaves += range(at, at + count)
        at += count
    yield from file.reader.iter_batches(BATCH, row_groups=list(groups), column_indices=leaves, use_threads=False)


def _leaves(kind: Any) -> int:
    return sum(_leaves(kind.field(i).type) for i in range(kind.num_fields)) if kind.num_fields else 1


def _row(batch: Any, columns: list[conform.Column], by: str, add: Mapping[str, Any]) -> Any:
    pa, _ = arrow()
    places = {index: i for i, index in enumerate(sorted({one.index for one in columns if one.index is not None}))}
    values = add.get("partitionValues") or {}
    arrays = []
    for one in columns:
        if one.partition is not None:
            arrays.append(conform.constant(values.get(one.partition), one.kind, batch.num_rows))
        elif one.index is None:
            arrays.append(conform.nothing(one.kind, batch.num_rows))
        else:
            arrays.append(conform.conformed(batch.column(places[one.index]), one.kind, by))
    return pa.RecordBatch.from_arrays(arrays, names=[one.name for one in columns])


def _require_known(table: TableAt, kind: Any) -> None:
    try:
        if isinstance(kind, str):
            conform.target(kind)
            return
        inner = (
            [one["type"] for one in kind["fields"]]
            if kind["type"] == "struct"
            else [kind[name] for name in ("elementType", "keyType", "valueType") if name in kind]
        )
    except KeyError as error:
        raise FeatureUnknown(
            f"{table.label} has a column of type {error}, whose rows cannot be read here.", hint="Its files are captured all the same."
        ) from error
    for one in inner:
        _require_known(table, one)


def _broken(table: TableAt, found: list[tuple[Wanted, str]]) -> FileBroken:
    told = []
    for one, why in found:
        rows = "an unknown number of" if one.rows is None else str(one.rows)
        told.append(f"{one.key or one.address} ({rows} rows: {why})")
    return FileBroken(
        f"{len(told)} files of {table.label} at version {table.pinned.snapshot.version} cannot be read: {'; '.join(told[:_NAMED])}.",
        hint="All other rows can be read. Restore a point from before the damage.",
        table=table.name,
    )
