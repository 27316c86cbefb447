"""``holdfast runbook takeover``: JSON as of ``runbook run``, and ``"from"``: the host that drove it, ``"last"``: when it last wrote."""

from typing import Annotated

from holdfast.interfaces.cli.commands.runbook.desk import Desk
from holdfast.interfaces.cli.commands.runbook.runs.driving import document, standing
from holdfast.interfaces.cli.commands.runbook.runs.person import person
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, Option
from holdfast.runbooks.engine.adopt import adopt, find
from holdfast.runbooks.errors import NotYours


def command(
    session: Session,
    run: Annotated[str, Argument("a run's id, or its beginning", "RUN")],
    *,
    off: Annotated[str | None, Option("the name of the host that drove it: you say that it is off", metavar="HOST")] = None,
    as_: Annotated[str | None, Option("who you are (your account's name by default)", "--as", metavar="NAME")] = None,
) -> int:
    """Take over a run whose host is gone, from the copy of its journal in the vault. Then: runbook resume.

    Only where the hosts share no state (with `state: {dsn: …}` in the plan, runbook resume does it by itself once the other's lease has run
    out). Nothing can keep the other host from going on: if it is not off, a step may be done twice. What it wrote last may not have reached
    the vault; a step that was begun is asked about as after a kill.
    """
    from holdfast import assembly
    from holdfast.interfaces.cli.terminal.confirm import confirm
    from holdfast.journal import parse

    desk = Desk(session)
    stored = assembly.stored_records(session.platform.vault())
    for chain, problem in stored.problems.items():
        session.out.warn(f"The journal {chain} is not whole, and is not believed: {problem}")
    sound = {tag: [parse(line) for line in lines] for tag, lines in stored.journals.items() if tag not in stored.problems}
    found = find(run, {tag: [(record.kind, record.payload) for record in records] for tag, records in sound.items()})
    last = found.last.at.isoformat(timespec="seconds")
    session.out.note(f"Run {found.state.id} of {found.state.document['name']}: the last word of {found.host} is of {last}.")
    for step in found.open:
        session.out.note(f"Step {step} was begun there, and nobody knows how it ended.")
    if off is None:
        risk = f"take run {found.state.id} over. {found.host} must be off, or cut off from all it reaches: else steps are done twice"
        confirm(found.host, risk, yes=False)
    elif off != found.host:
        raise NotYours(f"The run was driven by {found.host}, not by {off}.", hint=f"Look whether {found.host} is off.", host=found.host)
    adopt(desk.records, found, person(as_))
    state, asked = standing(session, desk, found.state.id)

    def human() -> None:
        session.out.say(f"Run {state.id} is this host's now. Go on: holdfast runbook resume {state.id}")

    session.out.result({**document(state, state.status, asked), "from": found.host, "last": last}, human)
    return 0
