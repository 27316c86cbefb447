"""``holdfast cancel``: JSON ``{"run", "asked"}``."""

from typing import Annotated

from holdfast.errors import Usage
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument


class RunUnknown(Usage):
    """No run has this id, or several begin like it."""

    code = "run-unknown"


def command(session: Session, run: Annotated[str, Argument("a run's id or its beginning; see holdfast jobs", "RUN")]) -> int:
    """Stop a run at its next safe point. What was finished is kept."""
    found = session.platform.state.runs.get(run)
    if found is None:
        raise RunUnknown(f"No single run begins with '{run}'.", hint="See: holdfast jobs --all")
    asked = session.platform.state.runs.request_cancel(found.id, "holdfast cancel")
    if asked:
        session.platform.journal.record("cancel", run=found.id, system=found.system)
    said = f"{found.id}: asked to stop" if asked else f"{found.id}: ended already ({found.outcome})"
    session.out.result({"run": found.id, "asked": asked}, lambda: session.out.say(said))
    return 0 if asked else 1
