"""Who may do something now: one process of the host at a time.

A lease ends when it is released, when its time runs out, or when its process is gone (pid and birth are checked), so a kill -9 does
not block the next run. Several hosts are kept apart by the vault's own sessions; this table speaks for one host.
"""

import datetime as dt
import secrets
from dataclasses import dataclass

from holdfast.state.database import Database
from holdfast.state.process import Process, current
from holdfast.state.times import from_text, to_text


@dataclass(frozen=True, slots=True)
class Lease:
    """``holder`` is random for each acquisition: only who got it can renew or release."""

    name: str
    holder: str
    process: Process
    taken: dt.datetime
    expires: dt.datetime


class Leases:
    """Rows of the table ``leases``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def acquire(self, name: str, seconds: float) -> Lease | None:
        """The lease, or None while another living holder has it."""
        now = self._db.clock.now()
        me = current()
        lease = Lease(name, secrets.token_hex(8), me, now, now + dt.timedelta(seconds=seconds))
        with self._db.writing() as db:
            row = db.execute("select * from leases where name = ?", (name,)).fetchone()
            if row is not None:
                other = Process(row["host"], row["pid"], row["born"])
                if from_text(row["expires"]) > now and other.alive(me.host) is not False:
                    return None
            db.execute(
                "insert or replace into leases (name, holder, host, pid, born, taken, expires) values (?, ?, ?, ?, ?, ?, ?)",
                (name, lease.holder, me.host, me.pid, me.born, to_text(now), to_text(lease.expires)),
            )
        return lease

    def renew(self, lease: Lease, seconds: float) -> bool:
        """Prolong; False when it was lost meanwhile (run out and taken by another): the holder must stop."""
        expires = self._db.clock.now() + dt.timedelta(seconds=seconds)
        with self._db.writing() as db:
            done = db.execute("update leases set expires = ? where name = ? and holder = ?", (to_text(expires), lease.name, lease.holder))
            return done.rowcount > 0

    def release(self, lease: Lease) -> None:
        """May be called twice; does nothing to a lease that another took."""
        with self._db.writing() as db:
            db.execute("delete from leases where name = ? and holder = ?", (lease.name, lease.holder))

    def holder(self, name: str) -> Lease | None:
        """Who has it now, or None."""
        now = self._db.clock.now()
        with self._db.reading() as db:
            row = db.execute("select * from leases where name = ?", (name,)).fetchone()
        if row is None:
            return None
        process = Process(row["host"], row["pid"], row["born"])
        lease = Lease(row["name"], row["holder"], process, from_text(row["taken"]), from_text(row["expires"]))
        return lease if lease.expires > now and process.alive(current().host) is not False else None
