"""The schedule: when it was last kept, and the systems for which a person stopped it for a while."""

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


@dataclass(frozen=True, slots=True)
class Pass:
    """The newest run of what a schedule starts. ``every``: seconds between its runs as they usually are, 0 after the first."""

    host: str
    at: dt.datetime
    every: float


class Passes:
    """Rows of the table ``passes``."""

    def __init__(self, database: AnyDatabase) -> None:
        self._db = database

    def note(self, name: str) -> None:
        """It runs now."""
        host = self._db.host
        with self._db.writing() as db:
            now = self._db.now(db)
            row = db.execute("select at, every from passes where name = ? and host = ?", (name, host)).fetchone()
            every = 0.0
            if row is not None:
                gap = max((now - from_text(row["at"])).total_seconds(), 0.0)
                # A night in which it stood still is no rhythm: it counts as little more than the others.
                every = 0.7 * row["every"] + 0.3 * min(gap, 3 * row["every"]) if row["every"] else gap
            db.execute("insert or replace into passes (name, host, at, every) values (?, ?, ?, ?)", (name, host, to_text(now), every))

    def last(self, name: str) -> Pass | None:
        """The newest of any host; None where none is known, which a lost state explains as well. One that is dated ahead of now, by a clock
        that was set back since, only where there is no other.
        """
        with self._db.reading() as db:
            now = to_text(self._db.now(db))
            row = db.execute("select host, at, every from passes where name = ? order by at > ?, at desc limit 1", (name, now)).fetchone()
        return Pass(row["host"], from_text(row["at"]), row["every"]) if row else None


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
