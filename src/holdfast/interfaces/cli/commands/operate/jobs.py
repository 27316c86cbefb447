"""``holdfast jobs``: JSON ``{"jobs": [{"run", "verb", "system", "host", "pid", "started", "ended", "outcome", "progress", "facts"}]}``."""

from typing import TYPE_CHECKING, Annotated, Any

from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option
from holdfast.interfaces.cli.terminal.tables import Cell

if TYPE_CHECKING:
    from holdfast.state import Run


def command(session: Session, *, all: Annotated[bool, Option("what ended, too, newest first")] = False) -> int:  # noqa: A002 - the option's name
    """Show what runs on this host."""
    runs = session.platform.state.runs.recent(active=None if all else True)
    session.out.result({"jobs": [document(run) for run in runs]}, lambda: _show(session, runs))
    return 0


def document(run: "Run") -> dict[str, Any]:
    """JSON-ready."""
    return {
        "run": run.id,
        "verb": run.verb,
        "system": run.system,
        "host": run.process.host,
        "pid": run.process.pid,
        "started": run.started,
        "ended": run.ended,
        "outcome": run.outcome,
        "progress": run.progress,
        "facts": run.facts,
    }


def _show(session: Session, runs: "list[Run]") -> None:
    if not runs:
        session.out.say("Nothing runs.")
        return
    zone = session.plan.zone
    rows = [
        (
            run.id,
            run.verb,
            run.system or "",
            run.started.astimezone(zone).isoformat(timespec="seconds"),
            Cell(run.outcome or "running", {"ok": "ok", None: "strong"}.get(run.outcome, "fail")),
            _doing(run),
        )
        for run in runs
    ]
    session.out.table(("run", "what", "system", "started", "state", ""), rows)


def _doing(run: "Run") -> str:
    from holdfast.interfaces.cli.terminal.progress import amount

    if run.outcome is not None:
        return str(run.facts.get("message", ""))
    seen = run.progress
    if not seen:
        return ""
    whole = f" of {amount(seen['total'], seen['unit'])}" if seen.get("total") else ""
    return f"{seen.get('phase', '')} {amount(seen.get('done') or 0, seen.get('unit', 'B'))}{whole}"
