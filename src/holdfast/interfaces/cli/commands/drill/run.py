"""``holdfast drill run`` (and ``holdfast drill SCENARIO``).

JSON: ``{"run", "scenario", "drill", "outcome": ok|failed, "checks": [{"name", "kind", "state", "expected", "actual", "detail", "seconds",
"system"}], "clocks", "findings": [{"finding", "text", "about", "owner", "due", …}], "torn_down", "teardown": [{"name", "expected",
"actual"}]}``; with --dry-run ``{"scenario", "hash", "systems", "objectives", "criteria", "controls", "exclusions", "runbook",
"disaster"}``. Exit status 0 only when every objective, criterion and control was met; 4 where it did not start.
"""

from typing import Annotated, Any

from holdfast.drills.scenario.read import Snapshot
from holdfast.interfaces.cli.commands.drill.desk import DrillDesk
from holdfast.interfaces.cli.commands.drill.running import controls, go, result, systems_of
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, DryRun, Option


def command(
    session: Session,
    scenario: Annotated[str, Argument("a scenario's name, or the path of its file", "SCENARIO")],
    *,
    system: Annotated[tuple[str, ...], Option("which systems, in place of the scenario's; may be repeated", metavar="SYSTEM")] = (),
    target: Annotated[str | None, Option("a target of the plan, in place of the scenario's", metavar="NAME")] = None,
    control: Annotated[tuple[str, ...], Option("feed this control now: stale, truncated, poisoned", metavar="NAME")] = (),
    no_controls: Annotated[bool, Option("feed no control, whatever the scenario says")] = False,
    as_: Annotated[str | None, Option("who you are (your account's name by default)", "--as", metavar="NAME")] = None,
    answer: Annotated[tuple[str, ...], Option("what is answered when asked: declare=…, decide=…, accept=…", metavar="WHAT=TEXT")] = (),
    unattended: Annotated[bool, Option("ask nobody; the record says so")] = False,
    dry_run: DryRun = False,
) -> int:
    """Run a drill: a rehearsal against the clock that can fail, with everything undone at its end.

    It does not start on a platform that is not healthy, and never touches production but for marks, which it removes. What it misses opens
    findings. Ctrl-C, 'drill stop' and SIGTERM end it at once.
    """
    desk = DrillDesk(session)
    snapshot = desk.library.snapshot(scenario)
    systems = systems_of(session, snapshot, system, target)
    fed = controls(desk, snapshot, control, none=no_controls)
    if dry_run:
        return _dry(session, desk, scenario, systems, fed)
    done = go(session, desk, snapshot, systems, fed, as_=as_, answers=answer, unattended=unattended, target=target)
    return result(session, done, snapshot.name)


def _runbook(session: Session, snapshot: Snapshot, systems: tuple[str, ...]) -> dict[str, Any] | None:
    """Raises what would keep the drill from following it."""
    spec = snapshot.scenario.runbook
    if spec is None:
        return None
    from holdfast.assembly.drills.procedure import PlatformProcedure

    page = PlatformProcedure(session.platform, spec.model_dump(exclude_none=True))
    page.refuse(systems)
    return {**page.facts, "asks": page.people, "without": dict(spec.without)}


def _dry(session: Session, desk: DrillDesk, name: str, systems: tuple[str, ...], fed: tuple[str, ...]) -> int:
    snapshot = desk.library.snapshot(name)
    said = snapshot.scenario
    document: dict[str, Any] = {
        "scenario": snapshot.name,
        "hash": snapshot.hash,
        "systems": list(systems),
        "objectives": said.objectives.model_dump(mode="json", exclude_none=True),
        "criteria": list(said.criteria),
        "controls": list(fed),
        "exclusions": dict(said.exclusions),
        "runbook": _runbook(session, snapshot, systems),
        "disaster": said.disaster.model_dump(mode="json", exclude_none=True) if said.disaster else None,
    }

    def human() -> None:
        session.out.say(f"{said.title} ({snapshot.hash[:19]})")
        session.out.say(f"systems: {', '.join(systems) or 'none'}")
        if said.disaster:
            session.out.say(f"disaster: {said.disaster.kind}, at {said.disaster.at}")
            session.out.say(f"criteria: {', '.join(said.criteria)}; controls: {', '.join(fed) or 'none this time'}")
        if document["runbook"]:
            page = document["runbook"]
            session.out.say(
                f"the way back: runbook {page['name']} ({page['hash'][:19]}); it asks at {', '.join(page['asks']) or 'no step'}"
            )
        for one in said.questions:
            session.out.say(f"{one.id}: {one.ask}")
        session.out.say("Nothing was done.")

    session.out.result(document, human)
    return 0
