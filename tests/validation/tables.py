"""Tables for suites: Parquet behind a DuckDB database, as a copy of a lake shows it; and suites as files."""

import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

from holdfast.systems.contract import Relation, TableUnknown

COLUMNS = """i AS id, (i % 1000) / 10.0::DOUBLE AS amount, 'c' || (i % 5) AS code, CASE WHEN i % 10 = 0 THEN NULL ELSE i END AS opt,
    TIMESTAMPTZ '2026-01-01' + INTERVAL (i) SECOND AS at, CAST(i AS DECIMAL(18, 2)) AS dec, CAST(NULL AS VARCHAR) AS none"""


class Copy:
    """A copy of one table, ``orders``."""

    connection = "nowhere"

    def __init__(self, folder: Path, rows: int = 1000, columns: str = COLUMNS, version: int = 7) -> None:
        import duckdb

        folder.mkdir(parents=True, exist_ok=True)
        self.address = str(folder / "table.duckdb")
        self.reached = MappingProxyType({"versions": {"orders": version}})
        with duckdb.connect(self.address) as connection:
            connection.execute(f"COPY (SELECT {columns} FROM range({rows}) t(i)) TO '{folder}/orders.parquet'")
            connection.execute(f"CREATE VIEW orders AS SELECT * FROM read_parquet('{folder}/orders.parquet')")

    def relation(self, table: str, database: str | None = None) -> Relation:
        if table != "orders":
            raise TableUnknown.among(table, ["orders"])
        return Relation("duckdb", self.address, "orders")


def expect(kind: str, **arguments: Any) -> dict[str, Any]:
    return {"type": f"expect_{kind}", "kwargs": arguments, "meta": {}}


def suite(file: Path, *expectations: dict[str, Any], **more: Any) -> Path:
    file.write_text(json.dumps({"name": "orders", "expectations": list(expectations), "meta": {}, **more}))
    return file
