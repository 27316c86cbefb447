"""Runs of runbooks, as far as the state remembers: their events for a quick look, one line for each run. The journal has all of it too."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.state.contract import AnyDatabase
from holdfast.state.leases import Lease

EVENTS_KEPT = 500
"""Ended runs whose events are kept here."""


class Fenced(Exception):
    """Another host has taken what the lease was for. The argument names it."""


@dataclass(frozen=True, slots=True)
class RunbookLine:
    """One run. Times are ISO 8601 text in UTC; ``facts`` is JSON-ready."""

    id: str
    name: str
    status: str
    started: str
    ended: str | None
    facts: Mapping[str, Any]


class Runbooks:
    """Rows of the tables ``runbook_runs`` and ``runbook_events``."""

    def __init__(self, database: AnyDatabase) -> None:
        self._db = database

    @property
    def host(self) -> str:
        """The name of this host, as events have it."""
        return self._db.host

    def events(self, run: str) -> list[tuple[int, str, str, dict[str, Any]]]:
        """(n, kind, at, data), in order."""
        with self._db.reading() as db:
            rows = db.execute("select n, kind, at, data from runbook_events where run = ? order by n", (run,)).fetchall()
        return [(row["n"], row["kind"], row["at"], json.loads(row["data"])) for row in rows]

    def hosts(self, run: str) -> dict[int, str]:
        """By number of the event, the host that wrote it; '' for those of before hosts were noted."""
        with self._db.reading() as db:
            return {row["n"]: row["host"] for row in db.execute("select n, host from runbook_events where run = ?", (run,))}

    def add(self, run: str, n: int, kind: str, at: str, data: Mapping[str, Any], *, held: Lease | None = None, host: str = "") -> None:
        """Raises Taken when the run has an event of that number; Fenced where ``held`` is no longer the lease in force: both are looked at
        in the transaction that writes.
        """
        with self._db.writing() as db:
            if held is not None:
                row = db.execute("select holder, expires, host from leases where name = ?", (held.name,)).fetchone()
                if row is None or row["holder"] != held.holder:
                    raise Fenced(row["host"] if row is not None else "")
            db.execute(
                "insert into runbook_events (run, n, kind, at, data, host) values (?, ?, ?, ?, ?, ?)",
                (run, n, kind, at, json.dumps(data), host or self._db.host),
            )

    def note(self, line: RunbookLine) -> None:
        """Where the run stands. ``facts["events"]``: after how many events; what was noted after more of them stays."""
        with self._db.writing() as db:
            row = db.execute("select facts from runbook_runs where id = ?", (line.id,)).fetchone()
            if row is not None and json.loads(row["facts"]).get("events", 0) > line.facts.get("events", 0):
                return
            db.execute(
                "insert or replace into runbook_runs (id, name, status, started, ended, facts) values (?, ?, ?, ?, ?, ?)",
                (line.id, line.name, line.status, line.started, line.ended, json.dumps(line.facts)),
            )
            if line.ended is not None:
                db.execute(
                    "delete from runbook_events where run in (select id from runbook_runs where ended is not null) and run not in"
                    " (select id from runbook_runs where ended is not null order by started desc, id desc limit ?)",
                    (EVENTS_KEPT,),
                )

    def lines(self, *, name: str | None = None, active: bool = False, limit: int = 50) -> list[RunbookLine]:
        """Newest first."""
        with self._db.reading() as db:
            rows = db.execute(
                "select * from runbook_runs where (? is null or name = ?) and (not ? or ended is null)"
                " order by started desc, id desc limit ?",
                (name, name, active, limit),
            ).fetchall()
        return [RunbookLine(row["id"], row["name"], row["status"], row["started"], row["ended"], json.loads(row["facts"])) for row in rows]

    def last_done(self, name: str) -> str | None:
        """When a run of that runbook last came to its good end, as ISO 8601 text."""
        with self._db.reading() as db:
            row = db.execute("select max(ended) as at from runbook_runs where name = ? and status = 'done'", (name,)).fetchone()
        return None if row is None or row["at"] is None else str(row["at"])

    def matching(self, begin: str, limit: int = 5) -> list[str]:
        """Ids that begin so."""
        with self._db.reading() as db:
            rows = db.execute("select id from runbook_runs where substr(id, 1, ?) = ? limit ?", (len(begin), begin, limit)).fetchall()
        return [row["id"] for row in rows]
