"""The runbook "Restore Financial Transactions Delta Lake Table" by the commands: found, dated, restored by its three ways, validated."""

import datetime as dt
import decimal
import json
import shutil
import time
from pathlib import Path

import pytest

from tests.cli.running import answer, holdfast
from tests.spark.reading import delta_rs

pytestmark = pytest.mark.timeout(900)

PLAN = """
platform: acme
vault:
  key: {{env: HOLDFAST_KEY}}
  locations:
    - {{name: onsite, url: "file://{folder}/vault", failure_domain: here}}
systems:
  lake:
    kind: delta
    url: "file://{folder}/curated"
    tables: [financial_transactions]
    backup: daily
    rpo: 1d
    keep: {{last: 30}}
    checks:
      - {{name: no amount is missing, sql: "select count(*) from financial_transactions where amount is null", expect: 0}}
      - {{name: rows and sum, sql: "select count(*), sum(amount) from financial_transactions", compare: source}}
"""
DAY = 2000


class Desk:
    """Runs commands as a person does; ``took``: seconds by step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.table = folder / "curated" / "financial_transactions"
        self.took: dict[str, float] = {}
        (folder / "curated").mkdir()
        (folder / "holdfast.yaml").write_text(PLAN.format(folder=folder))

    def run(self, step: str, *words: str, status: int = 0):
        began = time.monotonic()
        done = holdfast(self.folder, *words, "--json", HOLDFAST_KEY="k", HOLDFAST_SANDBOX=str(self.folder / "boxes"))
        self.took[step] = time.monotonic() - began
        assert done.returncode == status, (words, done.stdout, done.stderr)
        return answer(done)

    def load(self, day: int) -> None:
        """The daily load."""
        import pyarrow as pa
        from deltalake import write_deltalake

        numbers = range(day * DAY, (day + 1) * DAY)
        columns = {
            "transaction_id": pa.array([f"T{number:09}" for number in numbers]),
            "account": pa.array([f"A{number % 97:04}" for number in numbers]),
            "amount": pa.array([decimal.Decimal(number % 5003).scaleb(-2) for number in numbers], pa.decimal128(18, 2)),
            "booked": pa.array([dt.date(2026, 10, 1) + dt.timedelta(days=day)] * DAY),
        }
        write_deltalake(str(self.table), pa.table(columns), mode="append", partition_by=["booked"])


def test_a_corrupted_table_is_found_dated_restored_three_ways_and_validated(spark, tmp_path):
    desk = Desk(tmp_path)
    desk.load(0)
    desk.run("init", "init", "--yes")
    healthy: dict[str, list] = {}
    for day in range(1, 10):
        desk.load(day)
        if day == 6:
            healthy = delta_rs(desk.table)
            good = desk.run("backup", "backup", "lake")["points"][0]
            # A job with a wrong join: every tenth amount is gone. Loads go on, and so do backups.
            spark.sql(f"update delta.`{desk.table}` set amount = null where hash(transaction_id) % 10 = 0")
        elif day % 3 == 0:
            desk.run("backup", "backup", "lake")
    version = good["facts"]["tables"]["financial_transactions"]["version"]
    assert version == 6

    # 3.2: the scope is confirmed, the last good state is found.
    verdict = desk.run("verify: found", "verify", "lake", status=1)
    [bad] = [one for one in verdict["systems"][0]["results"] if one["state"] == "failed"]
    assert (bad["name"], bad["expected"]) == ("no amount is missing", 0)
    found = desk.run("when: dated", "when", "lake", "--check", "no amount is missing")
    assert found["state"] == "found"
    assert (found["last_good"]["version"], found["first_bad"]["version"]) == (version, version + 1)
    assert found["command"].endswith(f" --to version:{version}")
    rows = len(healthy["rows"])

    def validated(table: Path) -> None:
        """3.3.3: record count, sum of amounts, absence of nulls, by Spark; every row, by both readers."""
        spark.forget()
        figures = spark.sql(
            f"select count(*) as rows, sum(amount) as total, count_if(amount is null) as nulls, count(distinct transaction_id) as ids "
            f"from delta.`{table}`"
        )
        total = sum((decimal.Decimal(row[2]) for row in healthy["rows"]), decimal.Decimal(0))
        assert figures == [{"rows": rows, "total": f"{total:f}", "nulls": 0, "ids": rows}]
        assert delta_rs(table) == spark.rows(table) == healthy

    # C: elsewhere, beside the damaged table.
    into = tmp_path / "recovered"
    desk.run("C: a new place", "restore", "lake", "--into", str(into), "--to", f"version:{version}")
    validated(into / "financial_transactions")

    # A: by a commit on the table itself.
    address = f"file://{tmp_path}/curated"
    desk.run("A: rewind", "restore", "lake", "--into", address, "--rewind", "--to", f"version:{version}", "--yes")
    validated(desk.table)

    # B: half of its files are removed by an accident: moved aside, copied from the vault.
    for folder in sorted(desk.table.glob("booked=*"))[::2]:
        shutil.rmtree(folder)
    desk.run("B: in place", "restore", "lake", "--into", address, "--in-place", "--to", good["id"], "--yes")
    validated(desk.table)

    # 3.3.4: life goes on, and the table proves itself.
    desk.load(20)
    desk.run("backup after", "backup", "lake")
    assert desk.run("verify: validated", "verify", "lake")["verdict"] == "passed"
    size = sum(file.stat().st_size for file in desk.table.rglob("*.parquet"))
    print(json.dumps({"rows": rows, "bytes": size, "seconds": {step: round(took, 2) for step, took in desk.took.items()}}))
