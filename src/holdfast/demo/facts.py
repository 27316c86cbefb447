"""Collects what is measured while the demonstration runs, and says at the end what it means."""

import contextlib
import datetime as dt
import platform as machine
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast import __version__
from holdfast.demo.damage import WRONG_UPDATE, Damage, Monitor
from holdfast.demo.ledger import Acknowledged, Comparison, Load
from holdfast.demo.search import Found
from holdfast.demo.stage import RATE, RPO_SECONDS, RTO_SECONDS, Stage
from holdfast.model import Clock, RecoveryPoint
from holdfast.systems.contract import Restored


@dataclass(frozen=True, slots=True)
class Measured:
    """What validation saw: the restored tables; refunds in the restored and in the ruined server; settings that keep the copy to itself."""

    proof: Comparison
    refunded: int
    shut: tuple[str, ...]
    still_ruined: int
    source_timeline: int


class Facts:
    """Times are kept as seconds since this object was made."""

    backup: RecoveryPoint
    damage: Damage
    found: Found
    restored: Restored
    measured: Measured
    acks: list[Acknowledged]
    follow_status: Any

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.at = clock.now()
        self._zero = clock.monotonic()
        self.bars: list[dict[str, Any]] = []
        self.marks: list[dict[str, Any]] = []
        self.phases: list[dict[str, Any]] = []
        self.samples: list[tuple[float, int]] = []
        self.server_version = ""
        self.backup_seconds = 0.0
        self.lags: list[float] = []
        self.lag_median = 0.0
        self.rto_clock_ends = 0.0
        self._done = threading.Event()

    # ------------------------------------------------------------ while it runs

    def now(self) -> float:
        return self._clock.monotonic() - self._zero

    def since(self, moment: dt.datetime) -> float:
        """A wall-clock moment as seconds since the beginning."""
        return (moment - self.at).total_seconds()

    @contextlib.contextmanager
    def bar(self, lane: str, name: str, kind: str) -> Iterator[None]:
        """Round a piece of work that the timeline shows."""
        bar = self.begin(lane, name, kind)
        try:
            yield
        finally:
            bar["to"] = self.now()

    def begin(self, lane: str, name: str, kind: str) -> dict[str, Any]:
        """A bar that lasts until the end, or until its ``to`` is set."""
        bar = {"lane": lane, "name": name, "kind": kind, "from": self.now(), "to": None}
        self.bars.append(bar)
        return bar

    @contextlib.contextmanager
    def phase(self, name: str, what: str) -> Iterator[None]:
        """Round one phase of the way back."""
        began = self.now()
        with self.bar("way back", name, name):
            yield
        self.phases.append({"name": name, "seconds": self.now() - began, "what": what})

    def split(self, clocks: Mapping[str, float]) -> None:
        """A restore that just ended, in the phases that it measured itself."""
        said = {
            "prepare": "planned the restore: which backup, which log, where to",
            "restore": "wrote files and log out of the vault, every piece checked",
            "replay": "started the server, which replayed the log up to the chosen moment",
        }
        end = self.now()
        for name in reversed([name for name in ("prepare", "restore", "replay") if name in clocks]):
            self.bars.append({"lane": "way back", "name": name, "kind": name, "from": end - clocks[name], "to": end})
            end -= clocks[name]
        for name in ("prepare", "restore", "replay"):
            earlier = next((phase for phase in self.phases if phase["name"] == name), None)
            if earlier is not None:
                earlier["seconds"] += clocks.get(name, 0.0)
            else:
                self.phases.append({"name": name, "seconds": clocks.get(name, 0.0), "what": said[name]})

    def watch_orders(self, load: Load) -> None:
        """Count accepted orders twice a second, for the drawing."""
        self._orders = self.begin("shop", "orders", "work")

        def count() -> None:
            while not self._done.wait(0.5):
                self.samples.append((self.now(), load.count()))

        threading.Thread(target=count, name="count", daemon=True).start()

    def end_orders(self) -> None:
        """The shop was stopped."""
        self._done.set()
        self._orders["to"] = self.now()
        self.samples.append((self.now(), len(self.acks)))

    def detected(self, monitor: Monitor) -> None:
        """The first phase: from the damage until the check said so."""
        assert monitor.bad_at is not None
        begin, end = self.since(self.damage.at), self.since(monitor.bad_at)
        self.marks.append({"name": "UPDATE without WHERE", "at": begin})
        self.phases.append(
            {"name": "detect", "seconds": end - begin, "what": f"the shop's check, asked twice a second, said: {monitor.said}"}
        )
        self.bars.append({"lane": "way back", "name": "detect", "kind": "detect", "from": begin, "to": end})

    def came_back(self) -> None:
        """Every row is proved: the clock stops."""
        self.marks.append({"name": "proved", "at": self.now()})
        self._back = self.now()

    # ------------------------------------------------------------ at the end

    def document(self, stage: Stage, run: str) -> dict[str, Any]:
        """Everything, JSON-ready; seconds rounded to milliseconds once, here, so that page and JSON say the same."""
        rpo, rto = self._rpo(), self._rto()
        tables: list[dict[str, Any]] = [
            {
                "table": table.table,
                "expected": table.expected,
                "actual": table.actual,
                "missing": table.missing,
                "extra": table.extra,
                "changed": table.changed,
                "expected_hash": table.expected_hash,
                "actual_hash": table.actual_hash,
                "problem": table.problem,
                "ok": table.ok,
            }
            for table in self.measured.proof.tables
        ]
        checks = self._checks(rpo, rto)
        end = self.now()
        after = sum(1 for ack in self.acks if ack.before >= self.damage.after)
        document = {
            "kind": "demo",
            "version": __version__,
            "run": run,
            "at": self.at.isoformat(timespec="seconds"),
            "host": machine.node(),
            "seconds": end,
            "ok": all(bool(check["ok"]) for check in checks),
            "server": {
                "version": self.server_version,
                "folder": str(stage.folder),
                "connection": stage.server.dsn,
                "psql": str(stage.install / "bin" / "psql"),
                "environ": {name: stage.environ[name] for name in ("HOLDFAST_PLAN", "HOLDFAST_STATE", "HOLDFAST_CACHE", "HOLDFAST_PG_BIN")},
            },
            "rpo": rpo,
            "rto": rto,
            "checks": checks,
            "tables": tables,
            "proof": {
                "rows": sum(table["actual"] for table in tables),
                "wrong": sum(table["missing"] + table["extra"] + table["changed"] for table in tables),
                "tables": len(tables),
            },
            "orders": {
                "accepted": len(self.acks),
                "after_damage": after,
                "rate": len(self.acks) / max(self._orders["to"] - self._orders["from"], 0.001),
                "wanted_rate": RATE,
                "samples": self.samples,
            },
            "damage": {
                "at": self.damage.at.isoformat(),
                "statement": WRONG_UPDATE,
                "rows": self.damage.rows,
                "paid": self.damage.paid,
                "xid": self.damage.xid,
            },
            "search": {
                "found": self.found.good.shown.get("time"),
                "position": self.found.good.shown.get("lsn"),
                "opened": self.found.opened,
                "moments": self.found.moments,
            },
            "backup": {
                "point": self.backup.id,
                "method": self.backup.method,
                "bytes": self.backup.totals.bytes,
                "files": self.backup.totals.files,
                "stored": self.backup.totals.stored,
                "seconds": self.backup_seconds,
            },
            "follow": {
                "bytes": self.follow_status.bytes,
                "increments": self.follow_status.increments,
                "commits": self.follow_status.commits,
                "lag_median_seconds": self.lag_median,
                "lag_worst_seconds": max(self.lags, default=0.0),
            },
            "restore": {
                "bytes": self.restored.extracted.written,
                "log_bytes": self.restored.log_bytes,
                "into": str(self.restored.into),
                "connection": self.restored.connection,
                "notes": list(self.restored.notes),
            },
            "timeline": [{**bar, "to": end if bar["to"] is None else bar["to"]} for bar in self.bars],
            "marks": self.marks,
        }
        rounded: dict[str, Any] = _rounded(document)
        return rounded

    def _rpo(self) -> dict[str, Any]:
        """In recovered data: the newest recovered order against the newest one confirmed before the disaster."""
        there = self.measured.proof.ledger
        before = [ack for ack in self.acks if ack.after is not None and ack.after <= self.damage.before]
        lost = [ack for ack in before if there.get(ack.number) != ack.era]
        recovered = max((ack.acked for ack in before if ack.number in there), default=self.at)
        measured = max((ack.acked - recovered).total_seconds() for ack in lost) if lost else 0.0
        # What the vault did not hold yet when it happened: lost, had the whole site gone down at that moment.
        held = self.damage.durable or 0
        exposed = [ack for ack in self.acks if (ack.after or ack.before) > held and ack.acked <= self.damage.at]
        exposure = max(((self.damage.at - ack.began).total_seconds() for ack in exposed), default=0.0)
        return {
            "promised_seconds": float(RPO_SECONDS),
            "measured_seconds": max(measured, 0.0),
            "lost_rows": len(lost),
            "confirmed_before": len(before),
            "exposure_seconds": exposure,
            "exposure_rows": len(exposed),
            "ok": not lost and exposure <= RPO_SECONDS,
        }

    def _rto(self) -> dict[str, Any]:
        """From the damage until every row was proved. What lies between the phases counts for the one before."""
        order = ["detect", "decide", "prepare", "restore", "replay", "validate"]
        phases = sorted(self.phases, key=lambda phase: order.index(phase["name"]))
        whole = self._back - self.since(self.damage.at)
        gaps = whole - sum(phase["seconds"] for phase in phases)
        next(phase for phase in phases if phase["name"] == "decide")["seconds"] += gaps
        return {"promised_seconds": float(RTO_SECONDS), "measured_seconds": whole, "phases": phases, "ok": whole <= RTO_SECONDS}

    def _checks(self, rpo: Mapping[str, Any], rto: Mapping[str, Any]) -> list[dict[str, Any]]:
        seen = self.measured
        kept = rpo["confirmed_before"] - rpo["lost_rows"]
        rows: list[tuple[str, Any, Any, bool]] = [
            (f"table {table.table} equals the ledger", table.expected, table.actual, table.ok) for table in seen.proof.tables
        ]
        rows += [
            ("orders confirmed before the disaster that are there again", rpo["confirmed_before"], kept, rpo["lost_rows"] == 0),
            ("orders marked as refunded in the restored database", 0, seen.refunded, seen.refunded == 0),
            ("archiving and replication of the restored server", "off", _shut(seen.shut), seen.shut == ("off", "")),
            ("the ruined server was left alone: its timeline", 1, seen.source_timeline, seen.source_timeline == 1),
            ("the ruined server is still ruined: refunded orders", "some", seen.still_ruined, seen.still_ruined > 0),
            (
                "RPO: lost, and would have been lost with the site",
                f"at most {RPO_SECONDS} s",
                f"{rpo['exposure_seconds']:.2f} s",
                rpo["ok"],
            ),
            ("RTO", f"at most {RTO_SECONDS} s", f"{rto['measured_seconds']:.2f} s", rto["ok"]),
        ]
        return [{"name": name, "expected": expected, "actual": actual, "ok": ok} for name, expected, actual, ok in rows]


def _shut(shut: tuple[str, ...]) -> str:
    return "off" if shut == ("off", "") else "archive_mode {}, primary_conninfo {!r}".format(*shut)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(each) for each in value]
    return value
