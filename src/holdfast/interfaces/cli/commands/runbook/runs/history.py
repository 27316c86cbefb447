"""``holdfast runbook history``.

JSON: ``{"runs": [{"run", "runbook", "status", "started", "ended", …}]}``; for one run ``{"run", "runbook", "hash", "status", "outcome",
"steps", "events": [{"n", "kind", "at", "data"}]}``.
"""

from typing import Annotated

from holdfast.interfaces.cli.commands.runbook.desk import Desk
from holdfast.interfaces.cli.commands.runbook.runs.driving import document
from holdfast.interfaces.cli.commands.runbook.runs.watching import harmless, said
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, Option
from holdfast.interfaces.cli.terminal.tables import Cell
from holdfast.interfaces.cli.terminal.times import local
from holdfast.runbooks.engine.decide import decide
from holdfast.runbooks.engine.state import fold


def command(
    session: Session,
    run: Annotated[str | None, Argument("a run's id, or its beginning: everything that it did", "RUN")] = None,
    *,
    runbook: Annotated[str | None, Option("runs of this runbook only", metavar="NAME")] = None,
    active: Annotated[bool, Option("only runs that have not ended")] = False,
    limit: Annotated[int, Option("how many of the newest")] = 50,
) -> int:
    """Show the runs of runbooks on this host, newest first; with RUN every event of one: who did what, when, and what it printed."""
    desk = Desk(session)
    if run is not None:
        return _one(session, desk, desk.records.find(run))
    lines = desk.records.state.runbooks.lines(name=runbook, active=active, limit=limit)
    if not lines:
        desk.records.refill()
        lines = desk.records.state.runbooks.lines(name=runbook, active=active, limit=limit)

    def human() -> None:
        if not lines:
            session.out.say("No runbook was run on this host.")
            return
        rows = [
            (
                line.id,
                line.name,
                local(line.started, desk.zone)[:19],
                str(line.facts["by"]),
                f"{line.facts['done']}/{line.facts['steps']}",
                Cell(line.status, {"done": "ok", "stopped": "fail", "aborted": "warn"}.get(line.status, "strong")),
                str(line.facts["waiting"] or ("" if line.ended else line.facts["why"])),
            )
            for line in lines
        ]
        session.out.table(("run", "runbook", "started", "by", "steps", "state", ""), rows, right=(4,))

    session.out.result(
        {
            "runs": [
                {"run": line.id, "runbook": line.name, "status": line.status, "started": line.started, "ended": line.ended, **line.facts}
                for line in lines
            ]
        },
        human,
    )
    return 0


def _one(session: Session, desk: Desk, run: str) -> int:
    events = desk.records.events(run)
    state = fold(run, events)

    def human() -> None:
        session.out.say(f"{state.document['title']} ({state.document['name']}, {state.hash[:19]}), run {run}")
        for event in events:
            step = event.data.get("step")
            session.out.say(
                f"{local(event.at, desk.zone)[:23]}  {step + ': ' if step else ''}{harmless(said(event.kind, dict(event.data)))}"
            )
            for name, stream in event.data.get("streams", {}).items():
                if stream["size"]:
                    session.out.say(f"    {name}: {stream['size']} bytes, sha256 {stream['sha256']}")
                for line in stream["text"].splitlines():
                    session.out.say(f"    | {harmless(line)}")

    shown = document(state, state.status, decide(state, session.clock.now()))
    shown["events"] = [{"n": event.n, "kind": event.kind, "at": event.at, "data": event.data} for event in events]
    session.out.result(shown, human)
    return 0
