"""PostgreSQL as a system that can be returned to a moment: satisfies ``systems.contract.Recoverable``."""

import contextlib
import datetime as dt
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.connect.pace import Pace
from holdfast.errors import Usage
from holdfast.model import Clock, Progress, Silent, SystemClock
from holdfast.systems.contract import History, Isolated, Moments, Restored, RestorePlan, RestoreRequest, Spot, Walker
from holdfast.systems.postgres import lsn as positions
from holdfast.systems.postgres import single
from holdfast.systems.postgres import spot as spots
from holdfast.systems.postgres import walk as walking
from holdfast.systems.postgres.digest import literal
from holdfast.systems.postgres.identifiers import behind_database
from holdfast.systems.postgres.restore.fetch import Fetch
from holdfast.systems.postgres.restore.planning import plan as planning
from holdfast.systems.postgres.restore.planning import target as targets
from holdfast.systems.postgres.restore.planning.landmarks import Covered, holdings
from holdfast.systems.postgres.restore.recover import Recovery, recover
from holdfast.systems.postgres.restore.run import restore, write
from holdfast.systems.postgres.running import binaries as programs
from holdfast.systems.postgres.running.isolate import Sandboxes, default_folder
from holdfast.systems.postgres.view import PostgresView

SANDBOX_SETTINGS: Mapping[str, str] = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "jit": "off",
}
"""A throw-away copy need not survive a power cut."""


_AGAIN = 60.0
"""Seconds: what took longer to be read is not read again from a source that moves."""
_FLUSHED = 10.0
"""Seconds in which a log that nobody adds to is flushed: the WAL writer does it within three of its delays (0.2 s by default)."""
_PAGE = 8192
_HEADERS = (24, 40)
"""XLOG_BLCKSZ as built by default, and the sizes of a WAL page's short and long header (xlog_internal.h)."""


class NoSource(Usage):
    """The plan does not say how to reach the member that a check is to be compared with."""

    code = "no-source-to-compare"


@dataclass
class PostgresRecovery:
    """``connect``: gives the connection string of the source, or of the member named ('standby', 'primary'). ``covered``: heartbeats of the
    follower. ``owner``: the account that runs restored servers when we are root. ``bin``: where to look for server programs first.
    ``plan_file``: by which a restored server opens the vault by itself, run by ``python``; without it all WAL is laid into its directory.
    """

    name: str
    connect: Callable[[str | None], str] | None = None
    covered: Covered | None = None
    clock: Clock = field(default_factory=SystemClock)
    sandbox: Path | None = None
    sandbox_limit: int | None = None
    sandbox_size: int | None = None
    owner: str | None = None
    bin: str | None = None
    superuser: str | None = None
    plan_file: Path | None = None
    python: str = sys.executable
    kind: str = "postgres"
    rate: float | None = None
    """Bytes a second that comparing content may read at the source."""
    statement_timeout: float = 1800.0
    """Seconds that one statement of a comparison may take there."""

    # ------------------------------------------------------------ plan, restore

    def target(self, text: str | None, now: dt.datetime, zone: dt.tzinfo) -> Mapping[str, Any]:
        return targets.parse(text, now, zone).to_json()

    def plan_restore(self, history: History, request: RestoreRequest) -> RestorePlan:
        points = history.points()
        if self.superuser and "superuser" not in request.options:
            request = RestoreRequest(request.into, request.until, {**request.options, "superuser": self.superuser})
        found = holdings(points, history.logs(), self.covered)
        return planning.make(self.name, history, found, request, now=self.clock.now(), who=self._who(request.options), system_points=points)

    def restore(self, history: History, plan: RestorePlan, progress: Progress) -> Restored:
        fetch = Fetch(self.plan_file, self.name, self.python) if self.plan_file else None
        return restore(plan, history, progress, clock=self.clock, who=self._who(plan.options), binaries=self._binaries, fetch=fetch)

    def plan_single(
        self, history: History, until: Mapping[str, Any], options: Mapping[str, Any], database: str | None, table: str | None, into: str
    ) -> dict[str, Any]:
        """What a restore of one database or table would do: ``{"steps", "point", "until", "place"}``. Raises what would refuse it."""
        one = single.wanted(database, table, into)
        single.refuse(one)
        made = self.plan_restore(history, RestoreRequest(self.sandboxes().folder / "planned", until, options))
        return {"steps": single.steps(one), "point": made.point.id, "until": made.until, "place": dict(made.place)}

    def restore_single(
        self,
        history: History,
        until: Mapping[str, Any],
        options: Mapping[str, Any],
        database: str | None,
        table: str | None,
        into: str,
        progress: Progress,
    ) -> dict[str, Any]:
        """One database or table, by way of an isolated copy, into a server or a new directory. See ``single.run``."""
        one = single.wanted(database, table, into)
        single.refuse(one)
        # Promoted, not paused: a transaction under way at the target, as the one that dropped the table, holds its lock on a paused copy.
        with self.isolate(history, until, {**options, "purpose": "single", "target_action": "promote"}, progress) as view:
            assert isinstance(view, PostgresView)
            progress.phase("copy")
            return single.run(one, view, planning.major_of(history.points()), bin_=self.bin)

    # ------------------------------------------------------------ isolated copies

    def sandboxes(self, needed: int | None = None) -> Sandboxes:
        """Where a copy of ``needed`` bytes would live."""
        return Sandboxes(self.sandbox or default_folder(needed), self.sandbox_limit, self.sandbox_size)

    def sweep(self) -> Sequence[str]:
        if self.sandbox:
            return self.sandboxes().sweep()
        return [*self.sandboxes().sweep(), *self.sandboxes(0).sweep()]

    def require_room(self, history: History, until: Mapping[str, Any]) -> None:
        needed = self.plan_restore(history, RestoreRequest(Path("/planned"), until, {"tablespace_map": {}})).needed
        self.sandboxes(needed).require_room(needed)

    @contextlib.contextmanager
    def isolate(self, history: History, until: Mapping[str, Any], options: Mapping[str, Any], progress: Progress) -> Iterator[Isolated]:
        """A running copy at a moment. ``options``: ``target_action`` 'pause' for a read-only one, ``timeline``, ``purpose``,
        ``clocks`` (a dict to fill).
        """
        clocks: dict[str, float] = options.get("clocks", {})
        began = self.clock.monotonic()
        given = {name: value for name, value in options.items() if name not in ("purpose", "clocks")}
        who = self._who(given)
        asked = {"start": True, "durable": False, "port": 0, "settings": SANDBOX_SETTINGS, **given}
        # Planned before the sandbox is made: a target that cannot be reached leaves no trace.
        needed = self.plan_restore(history, RestoreRequest(Path("/planned"), until, {**asked, "tablespace_map": {}})).needed
        with self.sandboxes(needed).open(str(options.get("purpose", "open")), who, needed) as box:
            plan = self.plan_restore(history, RestoreRequest(box / "data", until, {**asked, "tablespace_map": {"*": str(box / "spaces")}}))
            binaries = self._binaries(plan.detail.major)
            clocks["prepare"] = self.clock.monotonic() - began
            began = self.clock.monotonic()
            work, _, _ = write(plan, history, progress, clock=self.clock, who=who)
            clocks["restore"] = self.clock.monotonic() - began
            began = self.clock.monotonic()
            detail = plan.detail
            outcome = recover(Recovery(work.data, binaries, who, detail.reach, detail.target, detail.options, self.clock, progress))
            clocks["replay"] = self.clock.monotonic() - began
            try:
                sizes = {"bytes": plan.bytes, "log_bytes": plan.log_bytes}
                yield PostgresView(outcome.instance.dsn(), {**outcome.reached, "point": plan.point.id, "place": dict(plan.place), **sizes})
            finally:
                outcome.instance.stop(fast=False)

    @contextlib.contextmanager
    def source(self, on: str | None = None) -> Iterator[Isolated]:
        """The protected cluster, read only. ``reached``: its position when asked, before anything was read."""
        if self.connect is None:
            raise NoSource(f"The plan does not say how to reach {self.name}.", hint="Give its dsn or hosts.")
        view = PostgresView(self.connect(on), {})
        at = {"lsn": position(view)}
        yield PostgresView(view.connection, at, pace=Pace(self.rate, self.clock), timeout=self.statement_timeout)

    def at_rest(self, ask: Callable[[Isolated], Any], on: str | None = None) -> tuple[Any, Mapping[str, Any] | None]:
        """Answers that belong to a position: nothing was logged while they were read. A busy source is tried three times, as long as that
        asks little of it.
        """
        answer: Any = None
        for _ in range(3):
            with self.source(on) as view:
                began = self.clock.monotonic()
                answer = ask(view)
                if position(view) == view.reached["lsn"] and (durable := self._durable(view)) is not None:
                    return answer, {"kind": "lsn", "lsn": durable, "inclusive": False}
                if self.clock.monotonic() - began > _AGAIN:
                    break
            self.clock.sleep(0.2)
        return answer, None

    def _durable(self, view: Isolated) -> str | None:
        """Up to where the log is durable, once that is all that was asked about; None where more is logged meanwhile.

        A commit that did not wait for its log is seen by others before its record can be in any vault.
        """
        asked = str(view.reached["lsn"])
        end = self.clock.monotonic() + _FLUSHED
        while True:
            at = flushed(view)
            if _holds(positions.parse(at), positions.parse(asked)):
                return at if position(view) == asked else None
            if self.clock.monotonic() >= end:
                return None
            self.clock.sleep(0.05)

    # ------------------------------------------------------------ by hand

    def spot(self, history: History, point: str, draw: random.Random, nonce: str) -> Spot:
        """A table of the source's, to be got back out of ``point``."""
        del history
        with self.source() as view:
            assert isinstance(view, PostgresView)
            found = []
            for database in view.databases():
                with view.comparing(database) as session:
                    found += spots.candidates(session, database)
        table, size = spots.choose(found, draw)
        restore = (
            f"holdfast restore {self.name} --into /NEW/FOLDER --to {point} --start",
            f'psql "CONNECTION THAT IT PRINTS" --dbname {table.database}',
        )
        how = {"database": table.database, "table": table.quoted}
        return Spot(table.name, size, "docs/guide-postgres.md", restore, spots.typed(table.quoted, nonce), how)

    def spot_hash(self, history: History, point: str, how: Mapping[str, Any], nonce: str) -> str:
        with self.isolate(history, self.target(point, self.clock.now(), dt.UTC), {}, Silent()) as view:
            assert isinstance(view, PostgresView)
            with view.comparing(str(how["database"])) as session:
                row = session.execute(spots.question(str(how["table"]), nonce)).fetchone()
        return str(row[0])

    # ------------------------------------------------------------ search

    def moments(self, history: History, after: int | None = None, before: int | None = None, timeline: str | None = None) -> Moments:
        found = holdings(history.points(), history.logs(), self.covered)
        return walking.moments(found, self.clock.now(), after, before, timeline)

    @contextlib.contextmanager
    def walk(self, history: History, options: Mapping[str, Any], progress: Progress) -> Iterator[Walker]:
        given = {name: value for name, value in options.items() if name not in ("purpose", "clocks")}
        who = self._who(given)
        found = holdings(history.points(), history.logs(), self.covered)
        newest = planning.major_of(history.points())
        bases = found.bases
        # Two copies at a time, each with its WAL.
        needed = 2 * max((base.bytes for base in bases), default=0) + sum(
            high - low for log in found.logs.values() for low, high in log.stretches
        )
        with self.sandboxes(needed).open("when", who, needed) as box:
            settings = {"settings": SANDBOX_SETTINGS, **({"superuser": self.superuser} if self.superuser else {}), **given}
            yield walking.PostgresWalker(
                box, self.name, history, found, who, self._binaries(newest), self.clock, progress, self.clock.now(), settings
            )

    def presence(self, name: str) -> tuple[str, Callable[[Isolated], bool]]:
        """The name may be ``table``, ``schema.table`` or ``database.schema.table``, quoted as in SQL where it must be."""
        only, table = behind_database(name)

        def there(view: Isolated) -> bool:
            assert isinstance(view, PostgresView)
            statement = f"select to_regclass({literal(table)}) is not null"
            asked = [database for database in view.databases() if only in (None, database)]
            return any(bool(view.query(statement, database=database)[0][0]) for database in asked)

        return f"table {name} is there", there

    # ------------------------------------------------------------

    def _who(self, options: Mapping[str, Any]) -> programs.Account:
        return programs.account(options.get("owner") or self.owner)

    def _binaries(self, major: int) -> programs.Binaries:
        return programs.find(major, self.bin)


def position(view: Isolated) -> str:
    """Where a server's log stands, as an LSN."""
    [[found]] = view.query("select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_insert_lsn() end::text")
    return str(found)


def _holds(durable: int, asked: int) -> bool:
    """Where the last record ended with its page, the next one's place is behind the header of a page that is not there yet."""
    return durable >= asked or (durable % _PAGE == 0 and asked - durable in _HEADERS)


def flushed(view: Isolated) -> str:
    """Up to where a server's log is durable there: what a follower can have received."""
    [[found]] = view.query("select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_flush_lsn() end::text")
    return str(found)
