"""``holdfast pause``: JSON ``{"paused": [{"system", "since", "until", "reason"}]}``, or ``{"resumed": [system…]}``."""

import datetime as dt
from typing import Annotated

from holdfast.errors import Usage
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option, Systems


class PauseUsage(Usage):
    """A pause needs systems and a reason."""

    code = "pause-usage"


def command(
    session: Session,
    systems: Systems = (),
    *,
    until: Annotated[str | None, Option("when it ends by itself; without it, until somebody resumes it", metavar="TIME")] = None,
    reason: Annotated[str | None, Option("why: status and due show it", metavar="TEXT")] = None,
    resume: Annotated[bool, Option("end the pause now")] = False,
) -> int:
    """Suspend what is scheduled for systems, until a time and for a reason. Following goes on.

    Without a name, what is paused is listed. A pause excuses no missed promise: status goes on counting.
    """
    pauses = session.platform.state.pauses
    if systems and resume:
        ended = [name for name in session.select(systems) if pauses.clear(name)]
        session.platform.journal.record("pause.end", systems=ended)
        session.out.result({"resumed": ended}, lambda: session.out.say(f"resumed: {', '.join(ended) or 'none was paused'}"))
        return 0
    if systems:
        if not reason:
            raise PauseUsage("A pause needs a reason.", hint="Add --reason TEXT: status and due show it to everybody.")
        moment = _future(session, until) if until else None
        for name in session.select(systems):
            pauses.set(name, moment, reason)
            session.platform.journal.record("pause.begin", system=name, until=moment, reason=reason)
    found = list(pauses.current().values())

    def human() -> None:
        for one in found:
            end = f" until {one.until.astimezone(session.plan.zone).isoformat(timespec='minutes')}" if one.until else ""
            session.out.say(f"{one.system}: paused{end}: {one.reason}")
        if not found:
            session.out.say("Nothing is paused.")

    session.out.result({"paused": found}, human)
    return 0


def _future(session: Session, text: str) -> dt.datetime:
    from holdfast.plan import BadValue, parse_duration

    now = session.clock.now()
    try:
        moment = now + parse_duration(text)
    except BadValue:
        moment = session.time(text)
    if moment <= now:
        raise PauseUsage(f"{moment.isoformat()} has passed.", hint="Name a moment to come, or a duration: --until 2h")
    return moment
