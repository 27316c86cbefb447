"""``holdfast runbook resume``: JSON as of ``runbook run``."""

import os
from typing import Annotated

from holdfast.interfaces.cli.commands.runbook.desk import Desk
from holdfast.interfaces.cli.commands.runbook.runs.driving import Job, driver, on_screen, result, view_of
from holdfast.interfaces.cli.commands.runbook.runs.person import person
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, Option


def command(
    session: Session,
    run: Annotated[str, Argument("a run's id, or its beginning", "RUN")],
    *,
    as_: Annotated[str | None, Option("who you are (your account's name by default)", "--as", metavar="NAME")] = None,
    view: Annotated[bool, Option("on a full screen: steps, the clock against the promise, the last output")] = False,
) -> int:
    """Go on with a run that was left: waiting, failed, stopped, or killed in the middle of a step.

    It follows the runbook as it was when the run began, whatever became of the file. A step whose end nobody saw is asked by its own probe,
    or a person is asked; it is never simply run again. Refused while another process drives the run.
    """
    desk = Desk(session)
    found = desk.records.find(run)
    who = person(as_)
    if incident := desk.records.events(found)[0].data.get("incident"):
        os.environ["HOLDFAST_INCIDENT"] = str(incident)
    document = desk.records.load(found).document
    screen = view_of(session, desk, document, str(incident or "")) if view else None
    with Job(session, desk, found, document["name"]) as job, on_screen(session, who, screen) as watcher:
        stopped = driver(session, desk, who, job, watcher).resume(found, who)
    return result(session, stopped)
