"""How far each follower has stored its log, by location: the newest word only."""

import datetime as dt
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.state.contract import AnyDatabase
from holdfast.state.times import from_text, maybe, to_text


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """``position``: bytes of the log's branch that are durable in ``location``.

    ``server_time``: the server's clock when it said that it had nothing newer than ``position`` (so nothing committed before then is
    missing). ``stored_at``: when the newest increment became durable. ``seen``: when the follower last spoke, also when idle.
    """

    system: str
    branch: str
    location: str
    position: int
    position_text: str
    server_time: dt.datetime | None
    stored_at: dt.datetime
    seen: dt.datetime
    facts: Mapping[str, Any] = field(default_factory=dict)


class Heartbeats:
    """Rows of the table ``heartbeats``."""

    def __init__(self, database: AnyDatabase) -> None:
        self._db = database

    def beat(
        self,
        system: str,
        branch: str,
        location: str,
        position: int,
        *,
        position_text: str = "",
        server_time: dt.datetime | None = None,
        stored_at: dt.datetime | None = None,
        **facts: Any,
    ) -> None:
        """Note the newest durable position; once a second is often enough.

        ``stored_at`` None: an idle sign of life, the time of the last increment stays.
        """
        now = to_text(self._db.clock.now())
        with self._db.writing() as db:
            db.execute(
                "insert into heartbeats (system, branch, location, position, position_text, server_time, stored_at, seen, facts)"
                " values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (system, branch, location) do update set"
                " position = excluded.position, position_text = excluded.position_text,"
                " server_time = coalesce(excluded.server_time, heartbeats.server_time),"
                " stored_at = case when ? then excluded.stored_at else heartbeats.stored_at end,"
                " seen = excluded.seen, facts = excluded.facts",
                (
                    system,
                    branch,
                    location,
                    position,
                    position_text,
                    to_text(server_time) if server_time else None,
                    to_text(stored_at) if stored_at else now,
                    now,
                    json.dumps(facts, default=str),
                    stored_at is not None,
                ),
            )

    def newest(self, system: str | None = None) -> list[Heartbeat]:
        """Newest word first."""
        with self._db.reading() as db:
            rows = db.execute("select * from heartbeats where ? is null or system = ? order by seen desc", (system, system)).fetchall()
        return [_heartbeat(row) for row in rows]

    def forget(self, system: str, branch: str | None = None) -> None:
        """Drop what is known of a system's followers (of one branch)."""
        with self._db.writing() as db:
            db.execute("delete from heartbeats where system = ? and (? is null or branch = ?)", (system, branch, branch))


def _heartbeat(row: sqlite3.Row) -> Heartbeat:
    return Heartbeat(
        row["system"],
        row["branch"],
        row["location"],
        row["position"],
        row["position_text"],
        maybe(row["server_time"]),
        from_text(row["stored_at"]),
        from_text(row["seen"]),
        json.loads(row["facts"]),
    )
