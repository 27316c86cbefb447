"""``holdfast drill stop``.

JSON: ``{"stopped": [{"run", "scenario"}], "told"}``.
"""

import os
import signal
from typing import Annotated

from holdfast.drills.errors import DrillUnknown, NotTornDown
from holdfast.interfaces.cli.commands.drill.desk import DrillDesk, look_after
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument
from holdfast.state.process import current

PATIENCE = 600.0


def command(
    session: Session, run: Annotated[str | None, Argument("a drill's run; the one that is at work when none is given", "RUN")] = None
) -> int:
    """End the drill that is at work, at once: what it changed is undone, and only that. Returns when it is."""
    markers = DrillDesk(session).desk.markers
    found = [one for one in markers.at_work() if run is None or one.run.startswith(run)]
    if run is not None and not found:
        raise DrillUnknown(f"No drill '{run}' is at work on this host.", hint="See: holdfast drill status")
    for one in found:
        if one.process.alive(current().host):
            try:
                os.kill(one.process.pid, signal.SIGTERM)
            except PermissionError:
                raise NotTornDown(
                    f"The drill {one.run} is of another account, process {one.process.pid}: it cannot be stopped from here.",
                    hint="Stop it as that account, or as root.",
                    run=one.run,
                ) from None
    end = session.clock.monotonic() + PATIENCE
    while any(one.run in {each.run for each in found} for one in markers.at_work()):
        if session.clock.monotonic() > end:
            raise NotTornDown(
                f"The drill {found[0].run} has not ended after {PATIENCE:g} s.", hint=f"Look at process {found[0].process.pid}."
            )
        session.clock.sleep(0.1)
    told = look_after(session.platform)
    left = []
    for mark in markers.left():
        left += [mark.run] if mark.run in {one.run for one in found} else []
        mark.close()  # held while it was looked at, which would keep the next command from undoing
    if left:
        raise NotTornDown(
            f"The drill {', '.join(left)} was stopped, and not everything that it changed is undone. {' '.join(told)}".strip(),
            hint="The next command tries again; holdfast drill status shows what is left.",
            runs=left,
        )

    def human() -> None:
        for one in found:
            session.out.say(f"The drill {one.run} ({one.scenario}) was stopped, and what it changed is undone.")
        if not found:
            session.out.say("No drill is at work.")
        for text in told:
            session.out.say(text)

    session.out.result({"stopped": [{"run": one.run, "scenario": one.scenario} for one in found], "told": told}, human)
    return 0
