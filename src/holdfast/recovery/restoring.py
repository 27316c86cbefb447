"""Plan a restore, then do it."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from holdfast.model import Clock, Progress
from holdfast.recovery.estimate import Estimate, Past, estimate
from holdfast.systems.contract import History, Recoverable, Restored, RestorePlan, RestoreRequest


@dataclass(frozen=True, slots=True)
class RecoveryPlan:
    """What would be done, as data that prints. ``refused``: running it would raise the first of ``restore.obstacles``."""

    restore: RestorePlan
    estimate: Estimate

    @property
    def refused(self) -> bool:
        return bool(self.restore.obstacles)

    def warned(self, sentences: Sequence[str]) -> "RecoveryPlan":
        """The same with more warnings."""
        more = tuple(f"{one[:1].upper()}{one[1:]}." for one in sentences)
        return replace(self, restore=replace(self.restore, warnings=(*self.restore.warnings, *more))) if more else self

    def to_json(self) -> dict[str, Any]:
        """``{"system", "kind", "point": {"id", "label", "committed_at"}, "until", "place", "into", "mode", "bytes", "log_bytes", "logs",
        "needed", "free", "estimate": {"seconds", "basis"}, "steps", "refuses": [{"code", "message", "hint"}], "warnings"}``.
        """
        one = self.restore
        return {
            "system": one.system,
            "kind": one.kind,
            "point": {"id": one.point.id, "label": one.point.label, "committed_at": one.point.committed_at.isoformat()},
            "until": one.until,
            "place": dict(one.place),
            "into": one.address or str(one.into),
            "mode": one.mode,
            "bytes": one.bytes,
            "log_bytes": one.log_bytes,
            "logs": [{"branch": span.branch, "start": span.start, "end": span.end} for span in one.logs],
            "needed": one.needed,
            "free": one.free,
            "estimate": {"seconds": round(self.estimate.seconds, 1), "basis": self.estimate.basis},
            "steps": list(one.steps),
            "refuses": [{"code": obstacle.code, "message": obstacle.message, "hint": obstacle.hint} for obstacle in one.obstacles],
            "warnings": list(one.warnings),
        }


@dataclass(frozen=True, slots=True)
class RecoveryResult:
    """A restore that was done. ``clocks``: seconds by phase, ``total`` among them."""

    plan: RecoveryPlan
    restored: Restored
    clocks: Mapping[str, float]
    started_at: dt.datetime
    ended_at: dt.datetime

    def to_json(self) -> dict[str, Any]:
        """The plan's document with ``result``: ``{"reached", "clocks", "files", "changed", "written", "kept", "log_bytes", "connection",
        "notes", "started_at", "ended_at"}``; ``changed``: files whose content was written.
        """
        done = self.restored
        result = {
            "reached": dict(done.reached),
            "clocks": {name: round(seconds, 3) for name, seconds in self.clocks.items()},
            "files": done.extracted.files,
            "changed": done.extracted.changed,
            "written": done.extracted.written,
            "kept": done.extracted.kept,
            "log_bytes": done.log_bytes,
            "connection": done.connection,
            "notes": list(done.notes),
            "started_at": self.started_at.isoformat(),
            "ended_at": self.ended_at.isoformat(),
        }
        return {**self.plan.to_json(), "result": result}


def plan(
    system: Recoverable, history: History, into: Path, until: Mapping[str, Any], options: Mapping[str, Any], past: Sequence[Past] = ()
) -> RecoveryPlan:
    """Look and decide; nothing is written. Raises when no way leads to the target."""
    made = system.plan_restore(history, RestoreRequest(into, until, options))
    return RecoveryPlan(made, estimate(made.bytes, made.log_bytes, past))


def run(made: RecoveryPlan, system: Recoverable, history: History, progress: Progress, clock: Clock) -> RecoveryResult:
    """Do what was planned. Raises the plan's first obstacle."""
    started, began = clock.now(), clock.monotonic()
    restored = system.restore(history, made.restore, progress)
    clocks = {**restored.clocks, "total": clock.monotonic() - began}
    return RecoveryResult(made, restored, clocks, started, clock.now())
