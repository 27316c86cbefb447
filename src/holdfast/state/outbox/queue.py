"""Messages that are to reach people, kept until a channel took them.

What ``put`` returned for is on disk, synced. An attempt is written down before it is made, so that whoever finds one without an end
knows that the message may have arrived. Within an incident and a channel the order is kept; different incidents do not wait for each
other.
"""

import datetime as dt
import json
import secrets
import sqlite3
from collections.abc import Iterable, Sequence

from holdfast.connect.channels import Message, Reference
from holdfast.state.database import Database
from holdfast.state.leases import Leases
from holdfast.state.outbox.line import Line, Standing, line_of
from holdfast.state.times import from_text, to_text

FIRST_WAIT, LONGEST_WAIT = 5.0, 120.0
"""Seconds between attempts: doubled from the first to the longest. A service may ask for more, at most HOUR."""
HOUR = 3600.0
KEEP = dt.timedelta(days=90)
"""What is settled is shown for so long; the journal keeps it."""

_ALL = "select o.*, r.reference from outbox o left join outbox_references r on r.channel = o.channel and r.incident = o.incident where "


class Outbox:
    """Rows of the tables ``outbox`` and ``outbox_references``."""

    def __init__(self, database: Database) -> None:
        self._db = database
        # Beside the queue, whatever else is shared: people are told also when a database of several hosts is what is down.
        self.leases = Leases(database)

    def put(self, channels: Iterable[str], message: Message) -> int:
        """Queue a message for each channel; how many are new (a key that a channel has already is not taken twice).

        Durable when it returns. Raises StateUnusable.
        """
        now = self._db.clock.now()
        # What a terminal of another encoding made of a letter can neither be stored nor sent; the rest must go out.
        text = json.dumps(message.to_json(), ensure_ascii=False).encode("utf-8", "replace").decode()
        new = 0
        with self._db.writing(durable=True) as db:
            db.execute("delete from outbox where standing in ('sent', 'dropped') and noted = 1 and ended < ?", (to_text(now - KEEP),))
            for channel in dict.fromkeys(channels):
                done = db.execute(
                    "insert or ignore into outbox (channel, incident, key, message, queued, due) values (?, ?, ?, ?, ?, ?)",
                    (channel, message.incident, message.key, text, to_text(now), to_text(now)),
                )
                new += done.rowcount
        return new

    def lines(self, *, incident: str | None = None, standing: Sequence[Standing] = (), limit: int = 1000) -> list[Line]:
        """Newest last; the ``limit`` newest."""
        where = "(? is null or o.incident = ?) and (? or o.standing in (select value from json_each(?))) order by o.id desc limit ?"
        with self._db.reading() as db:
            rows = db.execute(_ALL + where, (incident, incident, not standing, json.dumps(list(standing)), limit)).fetchall()
        return [line_of(row) for row in reversed(rows)]

    def channels_waiting(self) -> list[str]:
        """Channels for which something waits."""
        with self._db.reading() as db:
            return [row[0] for row in db.execute("select distinct channel from outbox where standing = 'waiting' order by channel")]

    def ready(self, channel: str) -> list[Line]:
        """The first waiting message of each incident that is due now: what was tried least comes first, so that one that a service
        chokes on does not stop the others.
        """
        now = self._db.clock.now()
        first = (
            "o.id in (select min(id) from outbox where standing = 'waiting' and channel = ? group by incident) order by o.attempts, o.id"
        )
        with self._db.reading() as db:
            rows = db.execute(_ALL + first, (channel,)).fetchall()
        # Further ahead than anything waits: the clock was set back meanwhile.
        latest = now + dt.timedelta(seconds=HOUR + 60)
        return [line for line in map(line_of, rows) if line.due <= now or line.due > latest]

    def begin(self, line: Line) -> str | None:
        """Write down that it is tried now: the attempt's token, None when another settled it meanwhile."""
        token = secrets.token_hex(8)
        with self._db.writing(durable=True) as db:
            done = db.execute(
                "update outbox set trying = ?, attempts = attempts + 1, tried = ?, maybe = max(maybe, trying is not null)"
                " where id = ? and standing = 'waiting'",
                (token, to_text(self._db.clock.now()), line.id),
            )
        return token if done.rowcount else None

    def sent(self, line: Line, reference: Reference) -> None:
        """It was taken, whoever else may have tried meanwhile."""
        with self._db.writing(durable=True) as db:
            self._remember(db, line.channel, line.message.incident, reference)
            db.execute(
                "update outbox set standing = 'sent', ended = ?, error = '', trying = null where id = ? and standing <> 'sent'",
                (to_text(self._db.clock.now()), line.id),
            )

    def put_off(self, line: Line, seconds: float) -> None:
        """The attempt whose end nobody knows is over: look no earlier than in ``seconds``."""
        due = to_text(self._db.clock.now() + dt.timedelta(seconds=seconds))
        with self._db.writing(durable=True) as db:
            db.execute("update outbox set maybe = 1, trying = null, due = ? where id = ? and standing = 'waiting'", (due, line.id))

    def failed(
        self,
        line: Line,
        token: str,
        error: str,
        *,
        maybe: bool,
        after: float | None,
        give_up: float,
        least: float = 0.0,
        so_far: Reference | None = None,
    ) -> None:
        """Not taken: wait longer than the last time, at least ``least`` seconds; lost when it waited ``give_up`` seconds in all.

        ``after`` holds for all that waits for the channel: it is the service that asks for it.
        """
        now = self._db.clock.now()
        wait = pause(line.attempts, line.id)
        due = now + dt.timedelta(seconds=max(wait, least, min(after or 0.0, HOUR)))
        # Counted in pieces of an hour at most: a clock that jumps ahead does not throw messages away, nor does a host that slept.
        since = line.tried or line.queued
        more = min(max((now - since).total_seconds(), 0.0), HOUR)
        waited = line.waited + more
        standing: Standing = "lost" if waited >= give_up else "waiting"
        with self._db.writing(durable=True) as db:
            if so_far is not None:
                self._remember(db, line.channel, line.message.incident, so_far)
            db.execute(
                "update outbox set trying = null, maybe = max(maybe, ?), error = ?, due = ?, waited = ?, standing = ?, ended = ?"
                " where id = ? and trying = ? and standing = 'waiting'",
                (maybe, error, to_text(due), waited, standing, to_text(now) if standing == "lost" else None, line.id, token),
            )
            # What stands behind it waits for the same channel.
            db.execute(
                "update outbox set waited = waited + ? where channel = ? and incident = ? and id > ? and queued <= ?"
                " and standing = 'waiting'",
                (more, line.channel, line.message.incident, line.id, to_text(since)),
            )
            if after:
                db.execute("update outbox set due = max(due, ?) where channel = ? and standing = 'waiting'", (to_text(due), line.channel))

    def refused(self, line: Line, token: str, error: str, so_far: Reference | None = None) -> None:
        """The channel will never take it: lost, until somebody has it tried again."""
        with self._db.writing(durable=True) as db:
            if so_far is not None:
                self._remember(db, line.channel, line.message.incident, so_far)
            db.execute(
                "update outbox set standing = 'lost', trying = null, error = ?, ended = ?"
                " where id = ? and trying = ? and standing = 'waiting'",
                (error, to_text(self._db.clock.now()), line.id, token),
            )

    def retry(self, *, channel: str | None = None, incident: str | None = None, ids: Sequence[int] = ()) -> int:
        """Try again what is lost, and now what waits: of a channel, of an incident, these, or all. How many."""
        with self._db.writing(durable=True) as db:
            done = db.execute(
                "update outbox set standing = 'waiting', waited = 0, due = ?, ended = null, noted = 0 where standing in ('lost', 'waiting')"
                " and (? is null or channel = ?) and (? is null or incident = ?) and (? or id in (select value from json_each(?)))",
                (to_text(self._db.clock.now()), channel, channel, incident, incident, not ids, json.dumps(list(ids))),
            )
            return done.rowcount

    def drop(self, ids: Sequence[int]) -> int:
        """Give up, by a person's word, what waits or is lost. How many."""
        with self._db.writing(durable=True) as db:
            done = db.execute(
                "update outbox set standing = 'dropped', ended = ?, trying = null, noted = 0 where standing in ('lost', 'waiting')"
                " and id in (select value from json_each(?))",
                (to_text(self._db.clock.now()), json.dumps(list(ids))),
            )
            return done.rowcount

    def unnoted(self) -> list[Line]:
        """What is settled and not yet written where evidence is kept."""
        with self._db.reading() as db:
            return [line_of(row) for row in db.execute(_ALL + "o.standing <> 'waiting' and o.noted = 0 order by o.id")]

    def noted(self, line: Line) -> None:
        """``line`` is written there; unless it changed meanwhile."""
        with self._db.writing(durable=True) as db:
            db.execute("update outbox set noted = 1 where id = ? and standing = ?", (line.id, line.standing))

    def reference(self, channel: str, incident: str) -> Reference | None:
        """What the channel calls the incident, as far as it is known."""
        with self._db.reading() as db:
            row = db.execute("select reference from outbox_references where channel = ? and incident = ?", (channel, incident)).fetchone()
        return Reference.from_json(json.loads(row["reference"])) if row else None

    def remember(self, channel: str, incident: str, reference: Reference) -> None:
        """From the journal, after the state was lost: so that the next message lands where the earlier ones did."""
        with self._db.writing(durable=True) as db:
            self._remember(db, channel, incident, reference)

    def _remember(self, db: sqlite3.Connection, channel: str, incident: str, reference: Reference) -> None:
        db.execute(
            "insert or replace into outbox_references (channel, incident, reference, at) values (?, ?, ?, ?)",
            (channel, incident, json.dumps(reference.to_json()), to_text(self._db.clock.now())),
        )

    def next_due(self) -> dt.datetime | None:
        """When something is tried next; None when nothing waits."""
        with self._db.reading() as db:
            row = db.execute("select min(due) from outbox where standing = 'waiting'").fetchone()
        return from_text(row[0]) if row[0] else None


def pause(attempts: int, number: int) -> float:
    """Seconds to wait after so many attempts before this one; a little apart for each, so that not all come back at once."""
    wait: float = min(FIRST_WAIT * 2.0 ** min(attempts, 10), LONGEST_WAIT)
    return wait * (1 + (number * 2654435761 % 997) / 4985)
