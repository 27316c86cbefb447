"""``holdfast incident update``: JSON as of ``incident show``; the texts are in ``status_page``."""

from typing import Annotated, Literal

from holdfast.incidents.page import public_text, state_of
from holdfast.interfaces.cli.commands.incident.desk import As, Desk, Id
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, Option


def command(
    session: Session,
    incident: Id,
    text: Annotated[str, Argument("where it stands, for colleagues", "TEXT")],
    *,
    public: Annotated[str | None, Option("the same for people outside; made of the state when it is left out", metavar="TEXT")] = None,
    state: Annotated[
        Literal["investigating", "identified", "monitoring", "resolved"] | None, Option("in the words of a status page")
    ] = None,
    as_: As = None,
) -> int:
    """Tell people where it stands. The public text is refused (2) when it names a system, a host or an address."""
    desk = Desk(session, as_)
    found = desk.incidents.log.load(desk.find(incident))
    now = state or state_of(found)
    said = public if public is not None else public_text(found, desk.incidents.policy, now).removeprefix("[DRILL] ")
    found = desk.room.update(found.id, desk.person, now, text, said)
    session.out.note(f"For the status page: {said}")
    return desk.done(found)
