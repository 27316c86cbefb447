"""A Delta table on MinIO into a vault and back, beside rclone, the bound, and the same objects taken as a bucket; growth over its files."""

import itertools
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from bench.cases.buckets import CASES, Keeper, Say, turns
from bench.contenders.buckets import BucketBound, Rclone
from bench.contenders.tables import AsBucket, HoldfastTable
from bench.results import Results
from holdfast.connect.objects import Objects

SHAPES = {"table": (4000, 256 << 10), "table-8M": (128, 8 << 20)}
"""By the name of the data: data files, and bytes of each (a little less: the files of a table are no round numbers)."""
SMALL = 4 << 10
_WHO: Sequence[type[Keeper]] = (BucketBound, Rclone, AsBucket, HoldfastTable)
_COMMIT = 1000


def measure(results: Results, kind: str, count: int, size: int, rounds: int, wanted: set[str], say: Say) -> None:
    """A table of ``count`` Parquet files of about ``size`` bytes that do not shrink."""

    def fill(store: Objects) -> None:
        say(f"{kind}: making a table of {count:,} files")
        results.fact(kind, "data", "table", objects=count, bytes=make(store, "orders", count, size))

    turns(results, kind, fill, _WHO, rounds, wanted, say)


def growth(results: Results, counts: Sequence[int], rounds: int, wanted: set[str], say: Say) -> None:
    """Tables of more and more small files, and how each case's time grows: 1 is in proportion."""
    for count in counts:
        measure(results, _name(count), count, SMALL, rounds, wanted - {"bound"}, say)
    for few, many in itertools.pairwise(counts):
        for one in ("holdfast", "bucket", "rclone"):
            for case in CASES:
                before, after = results.median(_name(few), case, one), results.median(_name(many), case, one)
                if before and after:
                    results.fact("files", case, one, **{f"{few}_to_{many}": (after / before) / (many / few)})


def make(store: Objects, name: str, count: int, size: int) -> int:
    """Writes the table, commits of 1,000 files each. Returns the bytes of its data files."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    overhead = len(_file(pa, pq, 0, 64)) - 64
    adds: list[str] = [""] * count

    def one(number: int) -> int:
        data = _file(pa, pq, number, max(64, size - overhead))
        key = f"part-{number:05}-{os.urandom(16).hex()}-c000.parquet"
        store.put(f"{name}/{key}", data)
        stats = json.dumps({"numRecords": 1, "minValues": {"id": number}, "maxValues": {"id": number}, "nullCount": {"id": 0, "body": 0}})
        action = {
            "path": key,
            "partitionValues": {},
            "size": len(data),
            "modificationTime": 1_790_000_000_000,
            "dataChange": True,
            "stats": stats,
        }
        adds[number] = json.dumps({"add": action})
        return len(data)

    with ThreadPoolExecutor(16) as pool:
        total = sum(pool.map(one, range(count)))
    fields = [
        {"name": "id", "type": "long", "nullable": True, "metadata": {}},
        {"name": "body", "type": "binary", "nullable": True, "metadata": {}},
    ]
    schema = json.dumps({"type": "struct", "fields": fields})
    head = [
        json.dumps({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}),
        json.dumps(
            {
                "metaData": {
                    "id": "7b1b5b9a-4a3f-4a5e-9d0e-0c7f2b1a9e11",
                    "format": {"provider": "parquet", "options": {}},
                    "schemaString": schema,
                    "partitionColumns": [],
                    "configuration": {},
                    "createdTime": 1_790_000_000_000,
                }
            }
        ),
    ]
    for version, start in enumerate(range(0, count, _COMMIT)):
        lines = [json.dumps({"commitInfo": {"operation": "WRITE"}}), *(head if not version else []), *adds[start : start + _COMMIT]]
        store.put(f"{name}/_delta_log/{version:020}.json", "\n".join(lines).encode())
    return total


def _file(pa: object, pq: object, number: int, size: int) -> bytes:
    """One row whose body does not shrink."""
    sink = pa.BufferOutputStream()  # type: ignore[attr-defined]
    table = pa.table({"id": [number], "body": [os.urandom(size)]})  # type: ignore[attr-defined]
    # Without statistics: they would hold the body twice more.
    pq.write_table(table, sink, write_statistics=["id"], use_dictionary=False, compression="snappy")  # type: ignore[attr-defined]
    return bytes(sink.getvalue())


def _name(count: int) -> str:
    return f"{count:,} f"
