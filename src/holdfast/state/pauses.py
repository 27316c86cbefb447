"""Systems whose schedule a person stopped for a while."""

import datetime as dt
from dataclasses import dataclass

from holdfast.state.contract import AnyDatabase
from holdfast.state.times import from_text, maybe, to_text


@dataclass(frozen=True, slots=True)
class Pause:
    """``until`` None: until somebody resumes it."""

    system: str
    since: dt.datetime
    until: dt.datetime | None
    reason: str


class Pauses:
    """Rows of the table ``pauses``."""

    def __init__(self, database: AnyDatabase) -> None:
        self._db = database

    def set(self, system: str, until: dt.datetime | None, reason: str) -> Pause:
        """Pause, or replace the pause that is there."""
        pause = Pause(system, self._db.clock.now(), until, reason)
        with self._db.writing() as db:
            db.execute(
                "insert or replace into pauses (system, since, until, reason) values (?, ?, ?, ?)",
                (system, to_text(pause.since), to_text(until) if until else None, reason),
            )
        return pause

    def clear(self, system: str) -> bool:
        """Resume; False when it was not paused."""
        with self._db.writing() as db:
            return bool(db.execute("delete from pauses where system = ?", (system,)).rowcount > 0)

    def current(self) -> dict[str, Pause]:
        """The pauses in force now, by system."""
        now = to_text(self._db.clock.now())
        with self._db.reading() as db:
            rows = db.execute("select * from pauses where until is null or until > ? order by system", (now,)).fetchall()
        return {row["system"]: Pause(row["system"], from_text(row["since"]), maybe(row["until"]), row["reason"]) for row in rows}
