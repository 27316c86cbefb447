"""``holdfast incident action``: JSON as of ``incident show``, with ``"action"``: the id."""

from typing import Annotated

from holdfast.incidents.errors import IncidentUsage
from holdfast.incidents.postmortem.document import check_day
from holdfast.incidents.timeline import outcome_of
from holdfast.interfaces.cli.commands.incident.desk import As, Desk, Id
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, Option
from holdfast.interfaces.cli.grammar.parser import WrongUsage


def command(
    session: Session,
    incident: Id,
    text: Annotated[str | None, Argument("what is to be done", "TEXT")] = None,
    *,
    id_: Annotated[str | None, Option("change this one instead of adding one", "--id", metavar="ACTION")] = None,
    owner: Annotated[str | None, Option("who does it", metavar="NAME")] = None,
    due: Annotated[str | None, Option("until when: 2026-12-31", metavar="DATE")] = None,
    done: Annotated[
        str | None, Option("the evidence that closes it: the id of a passed run, a link, a sentence", metavar="EVIDENCE")
    ] = None,
    open_: Annotated[bool, Option("it is not done after all", "--open")] = False,
    as_: As = None,
) -> int:
    """Add something that is to be done so that it does not happen again, change it, or close it with evidence.

    Evidence that is the id of a run counts only when that run is in the journal and went well.
    """
    desk = Desk(session, as_)
    found = desk.incidents.log.load(desk.find(incident))
    if id_ is None and not (text or "").strip():
        raise WrongUsage(
            "Say what is to be done, or which one is changed.",
            hint="holdfast incident action ID 'watch the disk' --owner anna --due 2026-12-31",
        )
    if id_ is not None and id_ not in found.actions:
        raise IncidentUsage(f"{found.id} has no action '{id_}'.", hint=f"It has {', '.join(found.actions) or 'none'}.")
    if done is not None:
        _proved(desk, done)
    name = id_ or next(name for number in range(1, 1000) if (name := f"A{number}") not in found.actions)
    said = {"text": text, "owner": owner, "due": check_day(due) if due is not None else None}
    data = {key: value for key, value in said.items() if value is not None}
    if done is not None:
        data["evidence"] = done
    more = {"open": True} if open_ else {}
    return desk.done(desk.room.action(found.id, desk.person, name, **data, **more), action=name)


def _proved(desk: Desk, evidence: str) -> None:
    """A run that failed closes nothing."""
    if not evidence.strip():
        raise WrongUsage("An action is closed with evidence: the id of a passed run, a link, or a sentence.")
    if not _run(evidence):
        return
    outcome = outcome_of(evidence, desk.incidents.log)
    if outcome not in ("ok", "passed", "done"):
        said = f"ended: {outcome}" if outcome else "is in no journal that is known here, or has no end"
        raise IncidentUsage(f"The run {evidence} proves nothing: it {said}.", hint="Name a run that went well.")


def _run(text: str) -> bool:
    day, _, rest = text.partition("-")
    return len(day) == 15 and day[8:9] == "T" and len(rest) == 6
