"""The demonstration from beginning to end, as a list of steps that a reader can follow."""

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from holdfast.demo import damage
from holdfast.demo.facts import Facts, Measured
from holdfast.demo.following import Following
from holdfast.demo.ledger import compare
from holdfast.demo.search import last_good
from holdfast.demo.stage import RPO_SECONDS, RTO_SECONDS, SEED, SYSTEM, WRITERS, Stage, sweep
from holdfast.model import Clock, Progress
from holdfast.protection.recorded import recorded
from holdfast.systems.contract import RestoreRequest

BEFORE, AFTER = 2.0, 4.0
"""Seconds of orders before the backup, and between backup and disaster."""

Tell = Callable[[str], None]


def demonstrate(clock: Clock, progress: Progress, tell: Tell, *, keep: bool = False, report: Path | None = None) -> dict[str, Any]:
    """Run it; returns the facts (JSON-ready), whose ``ok`` says whether every check was true. ``tell`` gets one line a step.

    Everything is taken down at the end, also after a failure or Ctrl-C, unless ``keep``.
    """
    for folder in sweep():
        tell(f"removed what a killed demonstration left: {folder}")
    stage = Stage(clock)
    kept = False
    try:
        facts = _Play(stage, clock, progress, tell).run()
        if report is not None:
            from holdfast.demo.report import write

            facts["report"] = str(report)
            write(facts, report)
        kept = keep
        return facts
    finally:
        stage.leave() if kept else stage.strike()


class _Play:
    def __init__(self, stage: Stage, clock: Clock, progress: Progress, tell: Tell) -> None:
        self.stage, self.clock, self.progress, self.tell = stage, clock, progress, tell
        self.facts = Facts(clock)

    def run(self) -> dict[str, Any]:
        """All steps, in order."""
        self.set_the_scene()
        platform = self.stage.platform
        with recorded(platform.state, platform.journal, self.clock, "demo", SYSTEM) as record:
            self.protect()
            harmed = self.break_it()
            self.recover(harmed)
            result = self.facts.document(self.stage, record.run)
            record.add(ok=result["ok"], rto=result["rto"]["measured_seconds"], rpo=result["rpo"]["measured_seconds"])
        problems = platform.journal.verify()
        result["journal"] = {"entries": sum(1 for _ in platform.journal.entries()), "whole": not problems}
        return result

    def set_the_scene(self) -> None:
        """Server, tables, plan, vault, and orders that begin to come in."""
        facts, stage = self.facts, self.stage
        self.tell("1/7 starting an embedded PostgreSQL 18, a shop in it, and an empty encrypted vault")
        with facts.bar("shop", "set up", "prepare"):
            stage.open_shop()
            stage.make_plan()
        facts.server_version = self._ask("show server_version")
        stage.load.start()
        facts.watch_orders(stage.load)

    def protect(self) -> None:
        """Follow the log, and make a full backup meanwhile."""
        facts, stage = self.facts, self.stage
        platform = stage.platform
        self.tell(f"2/7 orders come in; following the log into the vault (promise: RPO {RPO_SECONDS} s, RTO {RTO_SECONDS} s)")
        self.following = Following(lambda said: platform.follower(SYSTEM, on_status=said), self.clock)
        self.following.start()
        facts.begin("protection", "log follows", "work")
        self.clock.sleep(BEFORE)
        self.tell("3/7 taking a full backup while orders come in")
        with facts.bar("backup", "backup", "protect"):
            began = self.clock.monotonic()
            facts.backup = platform.backup(SYSTEM, self.progress)
            facts.backup_seconds = self.clock.monotonic() - began
        self.clock.sleep(AFTER)

    def break_it(self) -> damage.Damage:
        """A wrong UPDATE, a dropped table; the shop's monitoring notices."""
        facts, stage, clock = self.facts, self.stage, self.clock
        self.monitor = damage.Monitor(stage.server.connect(), clock, every=0.5)
        self.monitor.start()
        clock.sleep(1.2)
        self.tell("4/7 disaster: an UPDATE without its WHERE, then a DROP TABLE")
        with stage.server.connect() as connection:
            harmed = damage.do(connection, clock, 0.4, lambda: self.following.durable)
        facts.damage = harmed
        if not self.monitor.wait(30):
            raise RuntimeError("the monitoring did not notice the damage")
        self.monitor.stop()
        facts.detected(self.monitor)
        # The shop is stopped: what is accepted now would only have to be entered again.
        facts.acks = stage.load.stop()
        facts.end_orders()
        self.tell(f"    noticed: {self.monitor.said}")
        return harmed

    def recover(self, harmed: damage.Damage) -> None:
        """Find the last good moment, restore a new server to it, prove every row."""
        facts, stage, clock = self.facts, self.stage, self.clock
        way, history = stage.platform.postgres_recovery(SYSTEM), stage.platform.history(SYSTEM)
        self.tell("5/7 searching the history in the vault for the last good moment")
        with facts.phase("decide", "searched the history in the vault for the last moment at which the check was right"):
            if not self.following.wait_for(harmed.after):
                raise RuntimeError("the vault did not receive the log up to the damage")
            facts.found = last_good(way, history, self.monitor.good_position, self.progress)
        shown = facts.found.good.shown
        self.tell(
            f"    last good: {shown.get('time')} ({shown.get('lsn')}), {facts.found.opened} looks among {facts.found.moments} moments"
        )
        self.tell("6/7 restoring a new server to that moment, out of the vault alone")
        with facts.phase("prepare", "planned the restore: which backup, which log, where to"):
            options = {"start": True, "bin": str(stage.install / "bin")}
            plan = way.plan_restore(history, RestoreRequest(stage.folder / "restored", facts.found.good.until, options))
        facts.restored = way.restore(history, plan, self.progress)
        facts.split(facts.restored.clocks)
        self.tell("7/7 proving every table by content against the ledger")
        with facts.phase("validate", "compared every row of every table with the ledger"):
            facts.measured = self._validate(facts)
        facts.came_back()
        self.following.stop()
        facts.lags = [status.lag for _, status in self.following.samples if status.lag is not None]
        facts.follow_status = self.following.samples[-1][1]
        facts.lag_median = statistics.median(facts.lags) if facts.lags else 0.0
        facts.rto_clock_ends = clock.monotonic()

    def _validate(self, facts: Facts) -> Measured:
        import psycopg

        assert facts.restored.connection is not None
        with psycopg.connect(facts.restored.connection, autocommit=True) as connection:
            proof = compare(connection, SEED, WRITERS)
            (refunded,) = _row(connection, damage.CHECK_SQL)
            shut = _row(connection, "select current_setting('archive_mode'), current_setting('primary_conninfo')")
        with self.stage.server.connect() as connection:
            (still,) = _row(connection, damage.CHECK_SQL)
            (timeline,) = _row(connection, "select timeline_id from pg_control_checkpoint()")
        return Measured(proof, int(refunded), tuple(shut), int(still), int(timeline))

    def _ask(self, query: str) -> str:
        with self.stage.server.connect() as connection:
            return str(_row(connection, query)[0])


def _row(connection: Any, query: str) -> Any:
    return connection.execute(query).fetchone()
