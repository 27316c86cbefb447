"""Messages that are to reach people, kept until a channel took them.

What ``put`` returned for is on disk, synced. An attempt is written down before it is made, so that whoever finds one without an end
knows that the message may have arrived. Within an incident and a channel the order is kept: what something said later has overtaken is
dropped with a word, never sent behind it. Different incidents do not wait for each other.

Of one host, or, in a database that several share, of all of them: then each channel's messages are sent by whoever holds the channel's
lease, and an attempt is begun only under it.
"""

import datetime as dt
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from holdfast.connect.channels import Message, Reference
from holdfast.state.contract import AnyDatabase
from holdfast.state.leases import Lease, Leases
from holdfast.state.outbox.line import Line, Standing, line_of
from holdfast.state.times import to_text

FIRST_WAIT, LONGEST_WAIT = 5.0, 120.0
"""Seconds between attempts: doubled from the first to the longest. A service may ask for more, at most HOUR."""
HOUR = 3600.0
LEASE = 300.0
"""Seconds for which a channel's lease is held: longer than the slowest channel takes for one message."""
KEEP = dt.timedelta(days=90)
"""What is settled is shown for so long; the journal keeps it."""

# coalesce(place, id): where a message stands in its incident: as it was queued, unless ``arrange`` said otherwise.
_ALL = (
    "select o.*, r.reference, exists (select 1 from outbox l where l.channel = o.channel and l.incident = o.incident"
    " and l.standing = 'sent' and coalesce(l.place, l.id) > coalesce(o.place, o.id)) as late"
    " from outbox o left join outbox_references r on r.channel = o.channel and r.incident = o.incident where "
)
EVERY: tuple[Standing, ...] = get_args(Standing)


class Outbox:
    """Rows of the tables ``outbox`` and ``outbox_references``."""

    def __init__(self, database: AnyDatabase) -> None:
        self._db = database
        # Beside the queue: who may send is decided where the messages are.
        self.leases = Leases(database)

    @property
    def shared(self) -> bool:
        """Whether other hosts put into it, and send from it, too."""
        return self._db.shared

    def put(self, channels: Iterable[str], message: Message, *, doubt: bool = False) -> int:
        """Queue a message for each channel; how many are new (a key that a channel has already is not taken twice).

        ``doubt``: another host may have sent it, so it is looked for first. Durable when it returns. Raises StateUnusable.
        """
        text = _text(message)
        new = 0
        with self._db.writing(durable=True) as db:
            now = self._db.now(db)
            db.execute("delete from outbox where standing in ('sent', 'dropped') and noted = 1 and ended < ?", (to_text(now - KEEP),))
            for channel in dict.fromkeys(channels):
                done = db.execute(
                    "insert or ignore into outbox (channel, incident, key, message, queued, due, maybe) values (?, ?, ?, ?, ?, ?, ?)",
                    (channel, message.incident, message.key, text, to_text(now), to_text(now), int(doubt)),
                )
                new += done.rowcount
        return new

    def give_up(self, channel: str, message: Message, why: str) -> None:
        """It is not to be sent (any more), for a reason that is no fault of the channel. What is lost stays so until somebody looks."""
        with self._db.writing(durable=True) as db:
            now = to_text(self._db.now(db))
            db.execute(
                "insert or ignore into outbox (channel, incident, key, message, queued, due) values (?, ?, ?, ?, ?, ?)",
                (channel, message.incident, message.key, _text(message), now, now),
            )
            db.execute(
                "update outbox set standing = 'dropped', error = ?, ended = ?, trying = null, noted = 0"
                " where channel = ? and key = ? and standing = 'waiting'",
                (why, now, channel, message.key),
            )

    def arrange(self, incident: str, keys: Mapping[str, Sequence[str]]) -> None:
        """What waits of an incident is to be sent in this order: by channel, keys of which some wait."""
        with self._db.writing(durable=True) as db:
            for channel, wanted in keys.items():
                rows = db.execute(
                    "select key, coalesce(place, id) as place from outbox where channel = ? and incident = ? and standing = 'waiting'",
                    (channel, incident),
                ).fetchall()
                places = {row["key"]: row["place"] for row in rows if row["key"] in wanted}
                for key, place in zip(sorted(places, key=list(wanted).index), sorted(places.values()), strict=True):
                    db.execute("update outbox set place = ? where channel = ? and key = ?", (place, channel, key))

    def hand_over(self, to: "Outbox") -> int:
        """Everything that waits here or is lost, to an outbox that other hosts share; how many. What another process of this host is trying
        now stays until that is over. Killed in between it is in both under one key, and handed over again.
        """
        moved = 0
        for channel in self._held():
            if (lease := self.leases.acquire(f"outbox:{channel}", LEASE)) is None:
                continue
            try:
                moved += self._hand_over(channel, to)
            finally:
                self.leases.release(lease)
        return moved

    def _held(self) -> list[str]:
        with self._db.reading() as db:
            rows = db.execute("select distinct channel from outbox where standing in ('waiting', 'lost') order by channel").fetchall()
        return [row["channel"] for row in rows]

    def _hand_over(self, channel: str, to: "Outbox") -> int:
        with self._db.reading() as db:
            rows = db.execute(
                _ALL + "o.channel = ? and o.standing in ('waiting', 'lost') order by coalesce(o.place, o.id), o.id", (channel,)
            ).fetchall()
        for line in map(line_of, rows):
            to.take(line)
            with self._db.writing(durable=True) as db:
                db.execute("delete from outbox where id = ?", (line.id,))
        return len(rows)

    def take(self, line: Line) -> None:
        """A message as it stands in another outbox; one whose key is here already stays as it is."""
        known = self.reference(line.channel, line.message.incident)
        with self._db.writing(durable=True) as db:
            db.execute(
                "insert or ignore into outbox (channel, incident, key, message, queued, standing, attempts, waited, due, maybe, ended,"
                " error) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    line.channel,
                    line.message.incident,
                    line.message.key,
                    _text(line.message),
                    to_text(line.queued),
                    line.standing,
                    line.attempts,
                    line.waited,
                    to_text(line.due),
                    int(line.again),
                    to_text(line.ended) if line.ended else None,
                    line.error,
                ),
            )
            if line.reference is not None and known is None:
                self._remember(db, line.channel, line.message.incident, line.reference)

    def waiting(self) -> dict[str, set[tuple[str, str]]]:
        """(channel, key) of everything that waits, by incident."""
        with self._db.reading() as db:
            rows = db.execute("select incident, channel, key from outbox where standing = 'waiting'").fetchall()
        found: dict[str, set[tuple[str, str]]] = {}
        for row in rows:
            found.setdefault(row["incident"], set()).add((row["channel"], row["key"]))
        return found

    def lines(self, *, incident: str | None = None, standing: Sequence[Standing] = (), limit: int = 1000) -> list[Line]:
        """Newest last; the ``limit`` newest."""
        where = "(? is null or o.incident = ?) and o.standing in (?, ?, ?, ?) order by o.id desc limit ?"
        wanted = (tuple(standing) * len(EVERY) or EVERY)[: len(EVERY)]
        with self._db.reading() as db:
            rows = db.execute(_ALL + where, (incident, incident, *wanted, limit)).fetchall()
        return [line_of(row) for row in reversed(rows)]

    def channels_waiting(self) -> list[str]:
        """Channels for which something waits."""
        with self._db.reading() as db:
            return [row[0] for row in db.execute("select distinct channel from outbox where standing = 'waiting' order by channel")]

    def ready(self, channel: str) -> list[Line]:
        """The first waiting message of each incident that is due now: what was tried least comes first, so that one that a service
        chokes on does not stop the others.
        """
        first = (
            "o.id in (select id from (select w.id, row_number() over (partition by w.incident order by coalesce(w.place, w.id), w.id) as n"
            " from outbox w where w.standing = 'waiting' and w.channel = ?) as firsts where n = 1) order by o.attempts, o.id"
        )
        with self._db.reading() as db:
            now = self._db.now(db)
            rows = db.execute(_ALL + first, (channel,)).fetchall()
        # Further ahead than anything waits: the clock was set back meanwhile.
        latest = now + dt.timedelta(seconds=HOUR + 60)
        return [line for line in map(line_of, rows) if line.due <= now or line.due > latest]

    def begin(self, line: Line, lease: Lease | None = None) -> str | None:
        """Write down that it is tried now: the attempt's token; None when another settled it meanwhile, or took ``lease``."""
        token = secrets.token_hex(8)
        with self._db.writing(durable=True) as db:
            if lease is not None and not self.leases.stands(db, lease):
                return None
            done = db.execute(
                "update outbox set trying = ?, attempts = attempts + 1, tried = ?, maybe = case when trying is null then maybe else 1 end"
                " where id = ? and standing = 'waiting'",
                (token, to_text(self._db.now(db)), line.id),
            )
        return token if done.rowcount else None

    def sent(self, line: Line, reference: Reference) -> None:
        """It was taken, whoever else may have tried meanwhile."""
        with self._db.writing(durable=True) as db:
            self._remember(db, line.channel, line.message.incident, reference)
            db.execute(
                "update outbox set standing = 'sent', ended = ?, error = '', trying = null where id = ? and standing <> 'sent'",
                (to_text(self._db.now(db)), line.id),
            )

    def put_off(self, line: Line, seconds: float) -> None:
        """The attempt whose end nobody knows is over: look no earlier than in ``seconds``."""
        with self._db.writing(durable=True) as db:
            due = to_text(self._db.now(db) + dt.timedelta(seconds=seconds))
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
        wait = pause(line.attempts, line.id)
        with self._db.writing(durable=True) as db:
            now = self._db.now(db)
            due = now + dt.timedelta(seconds=max(wait, least, min(after or 0.0, HOUR)))
            # Counted in pieces of an hour at most: a clock that jumps ahead does not throw messages away, nor does a host that slept.
            since = line.tried or line.queued
            more = min(max((now - since).total_seconds(), 0.0), HOUR)
            waited = line.waited + more
            standing: Standing = "lost" if waited >= give_up else "waiting"
            if so_far is not None:
                self._remember(db, line.channel, line.message.incident, so_far)
            db.execute(
                "update outbox set trying = null, maybe = case when ? = 1 then 1 else maybe end, error = ?, due = ?, waited = ?,"
                " standing = ?, ended = ? where id = ? and trying = ? and standing = 'waiting'",
                (int(maybe), error, to_text(due), waited, standing, to_text(now) if standing == "lost" else None, line.id, token),
            )
            # What stands behind it waits for the same channel.
            db.execute(
                "update outbox set waited = waited + ? where channel = ? and incident = ? and id > ? and queued <= ?"
                " and standing = 'waiting'",
                (more, line.channel, line.message.incident, line.id, to_text(since)),
            )
            if after:
                db.execute(
                    "update outbox set due = ? where channel = ? and standing = 'waiting' and due < ?",
                    (to_text(due), line.channel, to_text(due)),
                )

    def refused(self, line: Line, token: str, error: str, so_far: Reference | None = None) -> None:
        """The channel will never take it: lost, until somebody has it tried again."""
        with self._db.writing(durable=True) as db:
            if so_far is not None:
                self._remember(db, line.channel, line.message.incident, so_far)
            db.execute(
                "update outbox set standing = 'lost', trying = null, error = ?, ended = ?"
                " where id = ? and trying = ? and standing = 'waiting'",
                (error, to_text(self._db.now(db)), line.id, token),
            )

    def retry(self, *, channel: str | None = None, incident: str | None = None, ids: Sequence[int] = ()) -> int:
        """Try again what is lost, and now what waits: of a channel, of an incident, these, or all. How many."""
        with self._db.writing(durable=True) as db:
            rows = db.execute("select id, channel, incident from outbox where standing in ('lost', 'waiting')").fetchall()
            now, tried = to_text(self._db.now(db)), 0
            for row in rows:
                if channel in (None, row["channel"]) and incident in (None, row["incident"]) and (not ids or row["id"] in ids):
                    db.execute(
                        "update outbox set standing = 'waiting', waited = 0, due = ?, ended = null, noted = 0 where id = ?",
                        (now, row["id"]),
                    )
                    tried += 1
        return tried

    def drop(self, ids: Sequence[int]) -> int:
        """Give up, by a person's word, what waits or is lost. How many."""
        given = 0
        with self._db.writing(durable=True) as db:
            for number in dict.fromkeys(ids):
                done = db.execute(
                    "update outbox set standing = 'dropped', ended = ?, trying = null, noted = 0"
                    " where standing in ('lost', 'waiting') and id = ?",
                    (to_text(self._db.now(db)), number),
                )
                given += done.rowcount
        return given

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

    def _remember(self, db: Any, channel: str, incident: str, reference: Reference) -> None:
        db.execute(
            "insert or replace into outbox_references (channel, incident, reference, at) values (?, ?, ?, ?)",
            (channel, incident, json.dumps(reference.to_json()), to_text(self._db.now(db))),
        )


def _text(message: Message) -> str:
    # What a terminal of another encoding made of a letter can neither be stored nor sent; the rest must go out.
    return json.dumps(message.to_json(), ensure_ascii=False).encode("utf-8", "replace").decode()


def pause(attempts: int, number: int) -> float:
    """Seconds to wait after so many attempts before this one; a little apart for each, so that not all come back at once."""
    wait: float = min(FIRST_WAIT * 2.0 ** min(attempts, 10), LONGEST_WAIT)
    return wait * (1 + (number * 2654435761 % 997) / 4985)
