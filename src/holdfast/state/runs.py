"""What runs and what ran on this host."""

import datetime as dt
import json
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.state.contract import AnyDatabase
from holdfast.state.process import Process
from holdfast.state.times import from_text, maybe, to_text

KEPT = 5000
"""Ended runs kept; the journal keeps all of them for ever."""


@dataclass(frozen=True, slots=True)
class Run:
    """``outcome``: None while it runs, else 'ok', 'failed', 'cancelled' or 'lost' (its process is gone without a word)."""

    id: str
    verb: str
    system: str | None
    process: Process
    started: dt.datetime
    seen: dt.datetime
    ended: dt.datetime | None
    outcome: str | None
    progress: Mapping[str, Any]
    facts: Mapping[str, Any]
    cancel: str | None


class Runs:
    """Rows of the table ``runs``."""

    def __init__(self, database: AnyDatabase) -> None:
        self._db = database

    def begin(self, verb: str, system: str | None = None, **facts: Any) -> str:
        """Note that this process starts ``verb``; returns the run's id (its start time and 6 random hex digits)."""
        now = self._db.clock.now()
        run = f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        me = self._db.me()
        with self._db.writing() as db:
            db.execute(
                "insert into runs (id, verb, system, host, pid, born, started, seen, facts) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (run, verb, system, me.host, me.pid, me.born, to_text(now), to_text(now), json.dumps(facts, default=str)),
            )
            db.execute(
                "delete from runs where ended is not null and id not in"
                " (select id from runs where ended is not null order by started desc limit ?)",
                (KEPT,),
            )
        return run

    def progress(self, run: str, **progress: Any) -> None:
        """Replace the run's progress. Call it at most a few times a second. A run unknown by now (the state was deleted) is passed over."""
        with self._db.writing() as db:
            db.execute(
                "update runs set progress = ?, seen = ? where id = ?",
                (json.dumps(progress, default=str), to_text(self._db.clock.now()), run),
            )

    def end(self, run: str, outcome: str, **facts: Any) -> None:
        """Close the run; ``facts`` are merged over those given at the beginning."""
        now = to_text(self._db.clock.now())
        with self._db.writing() as db:
            row = db.execute("select facts from runs where id = ?", (run,)).fetchone()
            if row is not None:
                merged = {**json.loads(row["facts"]), **facts}
                db.execute(
                    "update runs set ended = ?, seen = ?, outcome = ?, facts = ? where id = ?",
                    (now, now, outcome, json.dumps(merged, default=str), run),
                )

    def get(self, run: str) -> Run | None:
        """A run by its id, or by a beginning of it that only one run has."""
        self.sweep()
        with self._db.reading() as db:
            rows = db.execute("select * from runs where substr(id, 1, ?) = ? limit 2", (len(run), run)).fetchall()
        exact = [row for row in rows if row["id"] == run]
        found = exact or rows
        return _run(found[0]) if len(found) == 1 else None

    def recent(self, *, active: bool | None = None, system: str | None = None, verb: str | None = None, limit: int = 50) -> list[Run]:
        """Newest first; ``active`` True for what runs now, False for what ended."""
        self.sweep()
        where, values = ["1 = 1"], list[Any]()
        if active is not None:
            where.append("ended is null" if active else "ended is not null")
        for column, value in (("system", system), ("verb", verb)):
            if value is not None:
                where.append(f"{column} = ?")
                values.append(value)
        # The pieces are the literals above; values travel as parameters.
        query = f"select * from runs where {' and '.join(where)} order by started desc, id desc limit ?"  # noqa: S608
        with self._db.reading() as db:
            return [_run(row) for row in db.execute(query, (*values, limit))]

    def request_cancel(self, run: str, by: str) -> bool:
        """Ask a running run to stop at its next safe point; False when it is not running."""
        with self._db.writing() as db:
            return bool(db.execute("update runs set cancel = ? where id = ? and ended is null", (by, run)).rowcount > 0)

    def cancelled(self, run: str) -> bool:
        """Whether somebody asked for the run to stop."""
        with self._db.reading() as db:
            row = db.execute("select cancel from runs where id = ?", (run,)).fetchone()
        return row is not None and row["cancel"] is not None

    def sweep(self) -> list[Run]:
        """Close runs of this host whose process is gone as 'lost'; returns them."""
        here = self._db.host
        with self._db.reading() as db:
            open_ = [_run(row) for row in db.execute("select * from runs where ended is null and host = ?", (here,))]
        gone = [run for run in open_ if run.process.alive(here) is False]
        for run in gone:
            self.end(run.id, "lost")
        return gone


def _run(row: sqlite3.Row) -> Run:
    return Run(
        id=row["id"],
        verb=row["verb"],
        system=row["system"],
        process=Process(row["host"], row["pid"], row["born"]),
        started=from_text(row["started"]),
        seen=from_text(row["seen"]),
        ended=maybe(row["ended"]),
        outcome=row["outcome"],
        progress=json.loads(row["progress"]),
        facts=json.loads(row["facts"]),
        cancel=row["cancel"],
    )
