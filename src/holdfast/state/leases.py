"""Who may do something now: one process at a time.

A lease ends when it is released, when its time runs out, or when its process is gone (pid and birth are checked), so a kill -9 does
not block the next run of the same host. Between processes of one boot of one host the time is counted by the monotonic clock, which nobody
sets: a wall clock that steps hands no lease to a second process. Of another host's process nobody can tell whether it lives: there the time
decides, by the clock of the state's server. Each acquisition of a name has a higher ``fence`` than all before it: what is written under a
lower one is refused.
"""

import datetime as dt
import secrets
from dataclasses import dataclass
from typing import Any

from holdfast.state.contract import AnyDatabase
from holdfast.state.process import Process, boot
from holdfast.state.times import from_text, to_text


@dataclass(frozen=True, slots=True)
class Lease:
    """``holder`` is random for each acquisition: only who got it can renew or release."""

    name: str
    holder: str
    process: Process
    taken: dt.datetime
    expires: dt.datetime
    fence: int = 0


class Leases:
    """Rows of the table ``leases``."""

    def __init__(self, database: AnyDatabase) -> None:
        self._db = database

    def acquire(self, name: str, seconds: float) -> Lease | None:
        """The lease, or None while another living holder has it."""
        me = self._db.me()
        with self._db.writing() as db:
            now = self._db.now(db)
            row = db.execute("select * from leases where name = ?", (name,)).fetchone()
            if row is not None and self._runs(row, now, me.host):
                return None
            last = db.execute("select last from fences where name = ?", (name,)).fetchone()
            fence = (last[0] if last else 0) + 1
            lease = Lease(name, secrets.token_hex(8), me, now, now + dt.timedelta(seconds=seconds), fence)
            db.execute("insert or replace into fences (name, last) values (?, ?)", (name, fence))
            until = self._db.clock.monotonic() + seconds
            db.execute(
                "insert or replace into leases (name, holder, host, pid, born, taken, expires, fence, boot, until)"
                " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (name, lease.holder, me.host, me.pid, me.born, to_text(now), to_text(lease.expires), fence, boot(), until),
            )
        return lease

    def _runs(self, row: Any, now: dt.datetime, here: str) -> bool:
        """Whether its holder has it still."""
        process = Process(row["host"], row["pid"], row["born"])
        if process.alive(here) is False:
            return False
        # Rows of older versions, and hosts that tell no boot, have the wall clock alone.
        if process.host == here and row["boot"] and row["boot"] == boot():
            return bool(row["until"] > self._db.clock.monotonic())
        return from_text(row["expires"]) > now

    def renew(self, lease: Lease, seconds: float) -> bool:
        """Prolong; False when it was lost meanwhile (run out and taken by another): the holder must stop."""
        with self._db.writing() as db:
            expires = self._db.now(db) + dt.timedelta(seconds=seconds)
            done = db.execute(
                "update leases set expires = ?, until = ? where name = ? and holder = ?",
                (to_text(expires), self._db.clock.monotonic() + seconds, lease.name, lease.holder),
            )
            return bool(done.rowcount > 0)

    def stands(self, connection: Any, lease: Lease) -> bool:
        """Whether nobody took it meanwhile: for who writes under it, in the same transaction."""
        row = connection.execute("select holder from leases where name = ?", (lease.name,)).fetchone()
        return row is not None and row["holder"] == lease.holder

    def release(self, lease: Lease) -> None:
        """May be called twice; does nothing to a lease that another took."""
        with self._db.writing() as db:
            db.execute("delete from leases where name = ? and holder = ?", (lease.name, lease.holder))

    def holder(self, name: str) -> Lease | None:
        """Who has it now, or None."""
        with self._db.reading() as db:
            now = self._db.now(db)
            row = db.execute("select * from leases where name = ?", (name,)).fetchone()
        if row is None:
            return None
        process = Process(row["host"], row["pid"], row["born"])
        lease = Lease(row["name"], row["holder"], process, from_text(row["taken"]), from_text(row["expires"]), row["fence"])
        return lease if self._runs(row, now, self._db.host) else None
