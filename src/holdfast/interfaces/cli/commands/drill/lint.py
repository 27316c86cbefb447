"""``holdfast drill lint``.

JSON: ``{"ok", "scenarios", "problems": [{"severity", "file", "line", "column", "path", "message", "hint"}]}``. Exit status 2 with errors.
"""

from typing import Annotated

from holdfast.drills.scenario.shape import RunbookSpec
from holdfast.errors import HoldfastError
from holdfast.interfaces.cli.commands.drill.desk import DrillDesk
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument


def _runbook(session: Session, spec: RunbookSpec, systems: tuple[str, ...]) -> list[tuple[str, str]]:
    """Why it could not be followed, in the order of its looks; the first that was found."""
    from holdfast.assembly.drills.procedure import PlatformProcedure

    try:
        PlatformProcedure(session.platform, spec.model_dump(exclude_none=True)).refuse(systems)
    except HoldfastError as error:
        return [(error.message, error.hint)]
    return []


def command(
    session: Session, scenarios: Annotated[tuple[str, ...], Argument("names or files; all when none is given", "SCENARIO")] = ()
) -> int:
    """Check scenarios without touching anything: shape, whether what they name is in the plan, whether a drill may follow their runbook."""
    library = DrillDesk(session).library
    found = [library.find(name) for name in scenarios] if scenarios else library.all()
    problems = [problem.document() for one in found for problem in one.problems]
    if library.folder is not None:
        plan = session.plan
        for one in found:
            said = one.snapshot.scenario if one.snapshot else None
            if said is None or one.shipped:
                continue
            wrong = []
            if said.disaster is not None and said.disaster.at != "copy" and said.disaster.at not in plan.document.drills.targets:
                wrong.append((f"the plan names no target '{said.disaster.at}'", "add it under drills: targets: in the plan"))
            if said.disaster is not None and said.disaster.location is not None:
                places = {place.name for place in plan.document.vault.locations}
                if said.disaster.location not in places:
                    wrong.append((f"the plan has no location '{said.disaster.location}'", f"one of: {', '.join(places)}"))
            if said.runbook is not None and said.disaster is not None:
                wrong += _runbook(session, said.runbook, session.select(said.systems))
            problems += [
                {"severity": "error", "file": one.file, "line": 1, "column": 1, "path": "disaster", "message": message, "hint": hint}
                for message, hint in wrong
            ]
    ok = not any(one["severity"] == "error" for one in problems)

    def human() -> None:
        for one in problems:
            session.out.say(f"{one['file']}:{one['line']}:{one['column']}: {one['severity']}: {one['message']}; {one['hint']}".rstrip("; "))
        session.out.say(f"{len(found)} scenarios, {'sound' if ok else 'with errors'}")

    session.out.result({"ok": ok, "scenarios": len(found), "problems": problems}, human)
    return 0 if ok else 2
