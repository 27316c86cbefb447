"""The last proofs of each system, for `status` and `due`; the evidence itself is in the journal."""

import datetime as dt
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.state.contract import AnyDatabase
from holdfast.state.times import from_text, to_text


@dataclass(frozen=True, slots=True)
class Proof:
    """``tier``: what was proved, in the plan's words (structure, restore, spot_check). ``ok`` False: it ran and failed."""

    system: str
    tier: str
    at: dt.datetime
    ok: bool
    point: str | None
    detail: Mapping[str, Any]


class Proofs:
    """Rows of the table ``proofs``."""

    def __init__(self, database: AnyDatabase) -> None:
        self._db = database

    def add(self, system: str, tier: str, *, ok: bool, point: str | None = None, **detail: Any) -> None:
        """Note a proof that just ended."""
        with self._db.writing() as db:
            db.execute(
                "insert into proofs (system, tier, at, ok, point, detail) values (?, ?, ?, ?, ?, ?)",
                (system, tier, to_text(self._db.clock.now()), int(ok), point, json.dumps(detail, default=str)),
            )

    def recent(self, system: str | None = None, tier: str | None = None, limit: int = 200) -> list[Proof]:
        """Newest first."""
        with self._db.reading() as db:
            rows = db.execute(
                "select * from proofs where (? is null or system = ?) and (? is null or tier = ?) order by at desc, id desc limit ?",
                (system, system, tier, tier, limit),
            ).fetchall()
        return [_proof(row) for row in rows]


def _proof(row: sqlite3.Row) -> Proof:
    return Proof(row["system"], row["tier"], from_text(row["at"]), bool(row["ok"]), row["point"], json.loads(row["detail"]))
