"""A Delta table in a bucket with a writer, a consumer that keeps an extract, and the program by which a runbook stops and starts them.

What happens to writer and consumer they write into a ledger of their own, outside of Holdfast: what stands there twice was done twice.
"""

import datetime as dt
import decimal
import json
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.runbook_templates.drive import PATIENCE, Follower
from tests.runbook_templates.ground import Ground

TABLE = "financial_transactions"
PLAN = """
platform: acme
runbooks: ./runbooks
vault:
  key: {{env: HOLDFAST_KEY}}
  locations:
    - {{name: onsite, url: "file://{folder}/vault", failure_domain: here}}
systems:
  lake:
    kind: delta
    url: "{url}"
    endpoint: "{endpoint}"
    tables: [financial_transactions]
    backup: daily
    rpo: 1d
    rto: 2h
    owner: data-platform
    keep: {{last: 30}}
    checks:
      - {{name: no amount is missing, sql: "select count(*) from financial_transactions where amount is null", expect: 0}}
      - {{name: rows and sum, sql: "select count(*), sum(amount) from financial_transactions", compare: source}}
"""
PROGRAM = """\
#!{python}
import pathlib, sys, time
control = pathlib.Path({control!r})
verb, rest = sys.argv[1], sys.argv[2:]

def wait(name, there=True):
    while (control / name).exists() != there:
        time.sleep(0.02)

def pause():
    (control / "paused").touch(); wait("stands")
def resume():
    (control / "paused").unlink(missing_ok=True); wait("stands", False)
def reload():
    (control / "reload").touch(); wait("reload", False)
def send():
    (control / "inbox" / rest[0]).touch(); wait("inbox/" + rest[0], False)
asked = {{"paused": lambda: (control / "stands").exists(), "running": lambda: not (control / "stands").exists(),
         "reloaded": lambda: wait("reload", False) or (control / "reloaded").exists(),
         "sent": lambda: (control / "inbox" / rest[0]).exists() or (control / "sent" / rest[0]).exists(),
         "caught-up": lambda: (control / "caught-up").exists(), "arrived": lambda: (control / "arrived" / rest[0]).exists()}}
if verb in asked:
    sys.exit(0 if asked[verb]() else 1)
{{"pause": pause, "resume": resume, "reload": reload, "send": send}}[verb]()
"""


class Lake(Ground):
    """``rows``: what the table is to hold, by id. A writer appends to it; its own memory of that is what the proof compares with."""

    def __init__(self, folder: Path, minio: Any, way: str = "A", name: str = "restore-transactions") -> None:
        super().__init__(folder, name)
        self.minio, self.way = minio, way
        self.url = f"s3://{minio.bucket()}/curated"
        self.table = f"{self.url}/{TABLE}"
        for each in ("inbox", "sent", "arrived"):
            (self.control / each).mkdir()
        (folder / "holdfast.yaml").write_text(PLAN.format(folder=folder, url=self.url, endpoint=minio.endpoint))
        self.env = {"HOLDFAST_KEY": "open sesame", "HOLDFAST_SANDBOX": str(folder / "boxes"), **minio.environment}
        self.follower = Follower(folder, self.env, answers={"way": ["--choose", way]})
        self.rows: dict[str, str | None] = {}
        self.before: dict[str, str | None] = {}
        self._number = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self.guarded, args=(work,), daemon=True) for work in (self._write_on, self._consume)]

    # ------------------------------------------------------------ the story

    def prepare(self) -> None:
        """Loads, backups, damage, and life going on: the page is written from the template."""
        self.program("consumers", PROGRAM)
        self.page("delta-table-restoration", "lake")
        self.append(40)
        self.follower.holdfast("init", "--yes")
        self.append(30)
        self.follower.holdfast("backup", "lake")
        self.append(30)
        self.before = dict(self.rows)
        if self.way == "B":
            # What is copied back lies in the vault; option A also finds what only the table itself has.
            self.follower.holdfast("backup", "lake")
        self._damage()
        self.append(5)
        self.follower.holdfast("backup", "lake")
        for thread in self._threads:
            thread.start()

    def _damage(self) -> None:
        """A job with a wrong join: amounts are gone."""
        from deltalake import DeltaTable

        DeltaTable(self.table, storage_options=self.options).update(updates={"amount": "null"}, predicate="account = 'A1'")

    def parameters(self) -> dict[str, str]:
        return {"ticket": "INC-7", "consumers": "program"}

    def awaited(self) -> dict[str, str]:
        """The machine goes down when the damaged table was moved aside."""
        return {"restore-b": str(self.control / "moved")}

    def proved(self) -> None:
        """The table is the last good state and what was written since it was brought back: no row more, no row less."""
        self.close()
        lost = set(self.rows) - set(self.before) - self.after
        wanted = {key: amount for key, amount in self.rows.items() if key not in lost}
        assert self.after, "nothing was written after the restoration"
        assert self.content() == wanted

    def done_twice(self) -> list[str]:
        """What the ledger says of steps that change something, and the table's own log of restores."""
        counts = Counter((self.control / "ledger").read_text().split())
        assert set(counts) == {"pause", "resume", "reload", "send"}, counts
        return [f"{what} {count} times" for what, count in counts.items() if count != 1]

    def restores(self) -> int:
        from deltalake import DeltaTable

        history = DeltaTable(self.table, storage_options=self.options).history()
        return sum(entry.get("operation") == "RESTORE" for entry in history)

    def damaged(self) -> set[str]:
        """Folders beside the table that hold a damaged one."""
        client = self.minio.client()
        bucket = self.url.split("/")[2]
        try:
            found = client.list_objects_v2(Bucket=bucket, Prefix="curated/", Delimiter="/").get("CommonPrefixes", [])
        finally:
            client.close()
        return {one["Prefix"] for one in found if ".damaged-" in one["Prefix"]}

    # ------------------------------------------------------------ the world

    @property
    def options(self) -> dict[str, str]:
        return {**self.minio.environment, "AWS_ALLOW_HTTP": "true", "aws_conditional_put": "etag"}

    def append(self, count: int, note: str = "") -> list[str]:
        import pyarrow as pa
        from deltalake import write_deltalake

        numbers = range(self._number, self._number + count)
        self._number += count
        ids = [f"{note or 'T'}-{number:06}" for number in numbers]
        amounts = [decimal.Decimal(number * 7 % 5003).scaleb(-2) for number in numbers]
        columns = {
            "transaction_id": pa.array(ids),
            "account": pa.array([f"A{number % 7}" for number in numbers]),
            "amount": pa.array(amounts, pa.decimal128(18, 2)),
            "booked": pa.array([dt.date(2026, 11, 1)] * count),
        }
        write_deltalake(self.table, pa.table(columns), mode="append", storage_options=self.options)
        self.rows |= {key: f"{amount:.2f}" for key, amount in zip(ids, amounts, strict=True)}
        return ids

    def content(self) -> dict[str, str | None]:
        from deltalake import DeltaTable

        found = DeltaTable(self.table, storage_options=self.options).to_pyarrow_table(columns=["transaction_id", "amount"]).to_pylist()
        rows = {row["transaction_id"]: None if row["amount"] is None else f"{row['amount']:.2f}" for row in found}
        assert len(rows) == len(found), "a row is there twice"
        return rows

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(PATIENCE)
        if self.fault is not None:
            raise self.fault

    def _write_on(self) -> None:
        """A row now and then until it is to pause; behind that again, from a state that it reads anew."""
        self.after: set[str] = set()
        seen_paused, beats = False, 0
        while not self._stop.is_set():
            if (self.control / "paused").exists():
                if not (self.control / "stands").exists():
                    self.did("pause")
                (self.control / "stands").touch()
                seen_paused = True
                time.sleep(0.02)
                continue
            if (self.control / "stands").exists():
                self.did("resume")
                (self.control / "stands").unlink()
            inbox = sorted((self.control / "inbox").iterdir())
            if inbox or beats % 40 == 0:
                wrote = self.append(2, inbox[0].name if inbox else "")
                if seen_paused:
                    self.after |= set(wrote)
                for each in inbox[:1]:
                    self.did("send")
                    (self.control / "sent" / each.name).touch()
                    each.unlink()
            beats += 1
            time.sleep(0.05)

    def _consume(self) -> None:
        """Keeps an extract of the table; a reload makes it whole anew."""
        from deltalake import DeltaTable

        extract: dict[str, str | None] = {}
        version = -1
        while not self._stop.is_set():
            if not (self.control / "stands").exists():
                if (self.control / "reload").exists():
                    extract, version = {}, -1
                now = DeltaTable(self.table, storage_options=self.options).version()
                if now != version:
                    extract, version = self.content(), now
                (self.control / "extract").write_text(json.dumps(len(extract)))
                if (self.control / "reload").exists():
                    self.did("reload")
                    (self.control / "reloaded").touch()
                    (self.control / "reload").unlink()
                (self.control / "caught-up").touch()
                for key in extract:
                    if key.startswith("recovery-"):
                        (self.control / "arrived" / key.rsplit("-", 1)[0]).touch()
            elif self.damaged():
                (self.control / "moved").touch()
            time.sleep(0.2)
