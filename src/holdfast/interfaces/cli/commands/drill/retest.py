"""``holdfast drill retest``.

JSON: that of ``holdfast drill run``, with ``retest``: ``{"finding", "closed", "why"}``. Exit status 0 only when the finding is closed.
"""

from typing import Annotated

from holdfast.drills.engine.drill import OK
from holdfast.drills.engine.record import entries
from holdfast.drills.errors import DrillUsage
from holdfast.drills.history import BEGIN
from holdfast.drills.retest import forced, proved, refuse_weaker
from holdfast.interfaces.cli.commands.drill.desk import DrillDesk
from holdfast.interfaces.cli.commands.drill.running import controls, go, result, systems_of
from holdfast.interfaces.cli.commands.drill.showing import document, show
from holdfast.interfaces.cli.commands.runbook.runs.person import person
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, Option


def command(
    session: Session,
    finding: Annotated[str, Argument("a finding's id, or its beginning", "FINDING")],
    *,
    as_: Annotated[str | None, Option("who you are (your account's name by default)", "--as", metavar="NAME")] = None,
    answer: Annotated[tuple[str, ...], Option("what is answered when asked: declare=…, decide=…, accept=…", metavar="WHAT=TEXT")] = (),
    unattended: Annotated[bool, Option("ask nobody; the record says so")] = False,
) -> int:
    """Run a finding's scenario again; the finding is closed when all of it passes, and what it is about was looked at."""
    desk = DrillDesk(session)
    one = desk.desk.book.find(finding)
    if one.closed_by is not None:
        raise DrillUsage(f"The finding {one.id} is closed already, by the run {one.closed_by}.", finding=one.id)
    snapshot = desk.library.snapshot(one.scenario)
    refuse_weaker(one, snapshot.scenario)
    # Against the very thing that the finding was found at.
    begun = next((entry for entry in entries(desk.desk.journal, one.run) if entry.kind == BEGIN), None)
    target = begun.payload.get("target") if begun is not None else None
    systems = tuple(one.systems) or systems_of(session, snapshot, (), target)
    fed = controls(desk, snapshot, ())
    fed = (*fed, *(name for name in forced(one) if name not in fed))
    done = go(session, desk, snapshot, systems, fed, as_=as_, answers=answer, unattended=unattended, target=target, retest=one.id)
    closed, why = proved(one, done.outcome == OK, done.checks)
    if closed:
        desk.desk.book.close(one, done.run, person(as_).name)
    if done.outcome not in (OK, "failed"):
        return result(session, done, snapshot.name)

    def human() -> None:
        show(session, done)
        session.out.say(f"The finding {one.id} is closed by this run." if closed else f"The finding {one.id} stays open: {why}.")

    session.out.result({**document(done, snapshot.name), "retest": {"finding": one.id, "closed": closed, "why": why}}, human)
    return 0 if closed else 1
