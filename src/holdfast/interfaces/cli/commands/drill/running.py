"""What run and retest share."""

import contextlib
import os
from collections.abc import Sequence

from holdfast.drills.contract import CONTROLS, Control
from holdfast.drills.engine.course import Asked
from holdfast.drills.engine.drill import CANCELLED, OK, REFUSED, Finished, drill
from holdfast.drills.errors import DrillUsage, NotTornDown
from holdfast.drills.history import drills
from holdfast.drills.scenario.read import Snapshot
from holdfast.interfaces.cli.commands.drill.desk import DrillDesk
from holdfast.interfaces.cli.commands.drill.people import people, require_somebody
from holdfast.interfaces.cli.commands.drill.responder import responder
from holdfast.interfaces.cli.commands.drill.showing import Telling, document, show
from holdfast.interfaces.cli.commands.runbook.runs.person import person
from holdfast.interfaces.cli.context import Session
from holdfast.model import Silent
from holdfast.protection.due import missed_since


def controls(desk: DrillDesk, snapshot: Snapshot, forced: Sequence[str], *, none: bool = False) -> tuple[Control, ...]:
    """Those that are fed this time: what was asked for, else what the scenario says, by its schedules and the history."""
    wrong = [name for name in forced if name not in CONTROLS]
    if wrong:
        raise DrillUsage(f"There is no control '{wrong[0]}'.", hint=f"One of: {', '.join(CONTROLS)}")
    if none:
        return ()
    now, zone = desk.session.clock.now(), desk.session.plan.zone
    found = []
    for name in CONTROLS:
        if name in forced:
            found.append(name)
        elif name in snapshot.scenario.negative and not forced:
            schedule = snapshot.scenario.negative[name]
            fed = [one.ended for one in drills(desk.desk.journal) if one.scenario == snapshot.name and name in one.controls and one.ended]
            if schedule is None or not fed or missed_since(schedule, zone, max(fed), now):
                found.append(name)
    return tuple(found)


def systems_of(session: Session, snapshot: Snapshot, asked: Sequence[str], target: str | None) -> tuple[str, ...]:
    """Those that were asked for, else the scenario's, else all that can come back; a target's own where it is a system."""
    said = snapshot.scenario
    at = target or (said.disaster.at if said.disaster else None)
    targets = session.plan.document.drills.targets
    if not asked and at in targets and targets[at].system is not None:
        return (str(targets[at].system),)
    meant = {str(one.system) for one in targets.values() if one.system}
    chosen = session.select(asked or said.systems)
    if asked or said.kind == "tabletop":
        return chosen if asked or said.systems else ()
    # What exists for drills is no part of what is rehearsed for, unless it is named.
    return tuple(name for name in chosen if name not in meant and session.plan.effective(name).available)


def go(
    session: Session,
    desk: DrillDesk,
    snapshot: Snapshot,
    systems: Sequence[str],
    fed: Sequence[Control],
    *,
    as_: str | None,
    answers: tuple[str, ...],
    unattended: bool,
    target: str | None = None,
    retest: str | None = None,
) -> Finished:
    """Raises what keeps a drill from beginning; Ctrl-C and SIGTERM go on upwards after everything was undone."""
    from holdfast.assembly.drills import PlatformStage
    from holdfast.assembly.drills.procedure import PlatformProcedure

    who = person(as_).name
    scenario = snapshot.scenario
    if scenario.kind == "tabletop" and unattended:
        raise DrillUsage("A tabletop asks people: without any it shows nothing.", hint="Leave --unattended out.")
    found = people(session, who, answers, unattended=unattended, asked=scenario.people == "asked")
    questions = [name for one in scenario.questions for name in (one.id, f"{one.id}.met")]
    asked_for = (
        [] if scenario.runbook is None else PlatformProcedure(session.platform, scenario.runbook.model_dump(exclude_none=True)).people
    )
    require_somebody(found, [*questions, "accept"] if scenario.kind == "tabletop" else ["declare", "decide", *asked_for, "accept"])
    asked = Asked(snapshot, tuple(systems), who, tuple(fed), target, retest)
    session.kept = "What the drill changed is undone by the next command, where it was not before its end. See: holdfast drill status"
    # Whoever is asked on a terminal reads no progress bar that is drawn over the question.
    shown = session.progress() if found.silent else contextlib.nullcontext(Silent())
    with shown as progress:
        stage = PlatformStage(session.platform, session.settings.set)
        return drill(
            desk.desk, asked, stage, found, Telling(session), responder(session.plan, session.settings.set, dict(os.environ)), progress
        )


def result(session: Session, done: Finished, scenario: str) -> int:
    """JSON and words; 0 only when it passed."""
    if done.outcome in (REFUSED, CANCELLED) and done.error is not None:
        if not done.torn_down:
            left = "; ".join(str(one.actual) for one in done.checks if one.kind == "teardown")
            raise NotTornDown(
                f"The drill {done.run} was {done.outcome}, and not everything that it changed is undone: {left}",
                hint="The next command tries again; holdfast drill status shows what is left.",
                run=done.run,
            ) from done.error
        session.kept = "Everything that the drill changed is undone."
        raise done.error
    if done.error is not None and not hasattr(done.error, "code"):
        raise done.error
    session.out.result(document(done, scenario), lambda: show(session, done))
    return 0 if done.outcome == OK else 1
