"""Carries orders from the database into the lake, and writes a receipt for every fifth into the bucket.

    python3 export.py --address FILE --lake FOLDER --bucket FOLDER [--once]

Each order goes once: the table's log keeps, by ``txn`` entries, how far each of the shop's writers was carried (Delta protocol,
"Transaction Identifiers"). So it may be killed and begun again at any time, also against a restored database or table. With --once it
carries what is there and prints ``{"orders", "receipts", "version"}``.
"""

import argparse
import json
import os
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

WRITERS, EVERY_FIFTH, PAUSE = 4, 5, 0.5
ORDERS = {"number": "long", "customer": "integer", "cents": "long"}


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Orders into the lake, receipts into the bucket.")
    parser.add_argument("--address", required=True, type=Path, help="file that says where the database is")
    parser.add_argument("--lake", required=True, type=Path)
    parser.add_argument("--bucket", required=True, type=Path)
    parser.add_argument("--once", action="store_true")
    given = parser.parse_args(words)
    table = Table(given.lake / "orders")
    while True:
        done = carry(given.address, table, given.bucket)
        if given.once:
            json.dump(done, sys.stdout)
            return 0
        time.sleep(PAUSE)


def carry(address: Path, table: "Table", bucket: Path) -> dict[str, int]:
    """One round: new orders as one commit, then their receipts, then those that an earlier round did not come to write."""
    import psycopg

    marks = table.marks()
    rows: list[tuple[int, int, int]] = []
    with psycopg.connect(address.read_text(encoding="utf-8").strip(), autocommit=True, connect_timeout=10) as connection:
        for writer in range(WRITERS):
            query = "select id, customer, cents from orders where id %% %s = %s and id > %s order by id"
            found = connection.execute(query, (WRITERS, writer, marks.get(writer, -1))).fetchall()
            if found:
                marks[writer] = int(found[-1][0])
                rows += [(int(number), int(customer), int(cents)) for number, customer, cents in found]
        version = table.append(sorted(rows), marks) if rows else table.version()
        due = connection.execute("select id, customer, cents from orders where id %% %s = 0 order by id", (EVERY_FIFTH,)).fetchall()
    written = 0
    for number, customer, cents in due:
        if int(number) <= marks.get(int(number) % WRITERS, -1):
            written += _receipt(bucket, int(number), int(customer), int(cents))
    return {"orders": len(rows), "receipts": written, "version": version}


def receipt(number: int, customer: int, cents: int) -> bytes:
    """What the object of an order holds."""
    return json.dumps({"order": number, "customer": customer, "total": f"{cents // 100}.{cents % 100:02d}"}, sort_keys=True).encode()


def _receipt(bucket: Path, number: int, customer: int, cents: int) -> int:
    """Written beside the bucket first: nobody sees half an object, nor one that is none."""
    path = bucket / "receipts" / f"{number:08d}.json"
    if path.exists():
        return 0
    path.parent.mkdir(parents=True, exist_ok=True)
    drafts = bucket.with_name(f"{bucket.name}.drafts")
    drafts.mkdir(exist_ok=True)
    draft = drafts / f"{path.name}.{os.getpid()}"
    draft.write_bytes(receipt(number, customer, cents))
    draft.rename(path)
    return 1


class Table:
    """A Delta table in a folder (protocol versions 1 and 2), appended to by one program. ``columns``: names and Delta's types."""

    def __init__(self, folder: Path, columns: Mapping[str, str] = ORDERS) -> None:
        self.folder = folder
        self.log = folder / "_delta_log"
        self.columns = columns

    def create(self) -> None:
        """Version 0: no rows."""
        self.log.mkdir(parents=True)
        fields = [{"name": name, "type": kind, "nullable": False, "metadata": {}} for name, kind in self.columns.items()]
        meta = {
            "id": str(uuid.uuid4()),
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps({"type": "struct", "fields": fields}),
            "partitionColumns": [],
            "configuration": {},
            "createdTime": int(time.time() * 1000),
        }
        self._commit(0, [{"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}, {"metaData": meta}])

    def version(self) -> int:
        return max(int(path.stem) for path in self.log.glob("*.json") if path.stem.isdigit())

    def actions(self) -> list[dict[str, Any]]:
        """All there are, in order of their versions."""
        return [json.loads(line) for path in sorted(self.log.glob("*.json")) for line in path.read_text(encoding="utf-8").splitlines()]

    def marks(self) -> dict[int, int]:
        """By writer the number of the newest order that was carried."""
        found: dict[int, int] = {}
        for action in self.actions():
            if "txn" in action:
                found[int(action["txn"]["appId"].rpartition("-")[2])] = int(action["txn"]["version"])
        return found

    def append(self, rows: Sequence[tuple[Any, ...]], marks: Mapping[int, int]) -> int:
        """One commit with one data file; returns its version."""
        import pyarrow as pa
        import pyarrow.parquet

        version = self.version() + 1
        name = f"part-{version:05d}-{uuid.uuid4()}.parquet"
        types = {"long": pa.int64(), "integer": pa.int32(), "string": pa.string()}
        shape = pa.schema([pa.field(column, types[kind], nullable=False) for column, kind in self.columns.items()])
        values = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), shape, strict=True)]
        pyarrow.parquet.write_table(pa.table(values, schema=shape), self.folder / name)
        add = {
            "path": name,
            "partitionValues": {},
            "size": (self.folder / name).stat().st_size,
            "modificationTime": int(time.time() * 1000),
            "dataChange": True,
            "stats": json.dumps({"numRecords": len(rows)}),
        }
        txns = [{"txn": {"appId": f"export-{writer}", "version": number}} for writer, number in sorted(marks.items())]
        self._commit(version, [*txns, {"add": add}])
        return version

    def rows(self) -> list[tuple[Any, ...]]:
        """All there are, sorted. Of a log without checkpoints."""
        import pyarrow.parquet

        live: dict[str, None] = {}
        for action in self.actions():
            if "add" in action:
                live[action["add"]["path"]] = None
            elif "remove" in action:
                live.pop(action["remove"]["path"], None)
        found: list[tuple[Any, ...]] = []
        for path in live:
            read = pyarrow.parquet.read_table(self.folder / path).to_pydict()
            found += zip(*(read[name] for name in self.columns), strict=True)
        return sorted(found)

    def _commit(self, version: int, actions: Sequence[dict[str, Any]]) -> None:
        """Put-if-absent, as the protocol asks: a version is written once."""
        draft = self.log / f".{version}.{os.getpid()}"
        draft.write_text("".join(json.dumps(action) + "\n" for action in actions), encoding="utf-8")
        try:
            os.link(draft, self.log / f"{version:020d}.json")
        finally:
            draft.unlink()


if __name__ == "__main__":
    sys.exit(main())
