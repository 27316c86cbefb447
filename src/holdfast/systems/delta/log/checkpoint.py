"""Checkpoints as actions (Delta protocol, "Checkpoints", "Checkpoint Schema"); read by pyarrow."""

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from holdfast.errors import MissingExtra
from holdfast.systems.delta.errors import LogBroken
from holdfast.systems.delta.log import names
from holdfast.systems.delta.log.listing import Checkpoint, LogFiles
from holdfast.systems.delta.store import Missing

_ACTIONS = ("add", "metaData", "protocol", "txn", "domainMetadata", "sidecar")
_ROWS = 16384


def actions(files: LogFiles, checkpoint: Checkpoint) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(name, action) of all that a reader needs, sidecars included; tombstones are left out. Raises LogBroken, naming the file."""
    for key in checkpoint.keys:
        for name, action in _file(files, key):
            if name == "sidecar":
                yield from _file(files, sidecar_key(action["path"]))
            else:
                yield name, action


def sidecars(files: LogFiles, checkpoint: Checkpoint) -> list[str]:
    """Keys of the sidecars that a checkpoint names. Raises LogBroken."""
    return [
        sidecar_key(action["path"]) for key in checkpoint.keys for name, action in _file(files, key, only=("sidecar",)) if name == "sidecar"
    ]


def sidecar_key(path: str) -> str:
    return names.SIDECARS + path.rpartition("/")[2]


def _file(files: LogFiles, key: str, only: tuple[str, ...] = _ACTIONS) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        data = files.get(key)
    except Missing as error:
        raise LogBroken(f"The checkpoint file {key} is not there.", file=key) from error
    if key.endswith(".json"):
        for line in lines(data, key):
            for name, action in line.items():
                if name in only:
                    yield name, action
        return
    yield from _parquet(data, key, only)


def lines(data: bytes, key: str) -> Iterator[dict[str, Any]]:
    """The actions of a JSON file of the log. Raises LogBroken."""
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError as error:
            raise LogBroken(f"Line {number} of {key} in the log is no JSON: it was cut off or damaged.", file=key) from error
        if not isinstance(found, dict):
            raise LogBroken(f"Line {number} of {key} in the log is no action.", file=key)
        yield found


def _parquet(data: bytes, key: str, only: tuple[str, ...]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    pa, pq = arrow()
    try:
        with pq.ParquetFile(io.BytesIO(data)) as file:
            there = [name for name in file.schema_arrow.names if name in only]
            for batch in file.iter_batches(_ROWS, columns=there):
                for name in there:
                    column = batch.column(name)
                    chosen = column.filter(column.is_valid())
                    for action in chosen.to_pylist(maps_as_pydicts="strict"):
                        yield name, _plain(action)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise LogBroken(f"The checkpoint file {key} is damaged: {str(error).splitlines()[0]}.", file=key) from error


def _plain(action: dict[str, Any]) -> dict[str, Any]:
    """As in a commit: absent instead of null, statistics as text."""
    parsed = action.pop("stats_parsed", None)
    action.pop("partitionValues_parsed", None)
    if parsed is not None and not action.get("stats"):
        action["stats"] = json.dumps(_without_nulls(parsed), default=str)
    return {name: value for name, value in action.items() if value is not None}


def _without_nulls(value: Any) -> Any:
    return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None} if isinstance(value, dict) else value


def arrow() -> tuple[Any, Any]:
    """(pyarrow, pyarrow.parquet). Raises MissingExtra."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtra("delta", "A Delta table's checkpoint") from error
    return pa, pq
