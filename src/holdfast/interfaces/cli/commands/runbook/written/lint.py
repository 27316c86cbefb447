"""``holdfast runbook lint``.

JSON: ``{"ok", "runbooks": [{"name", "file", "hash", "ok"}], "problems": […], "covered": {…}, "uncovered": […]}``.
"""

from pathlib import Path
from typing import Annotated

from holdfast.interfaces.cli.commands.runbook.desk import Desk
from holdfast.interfaces.cli.commands.runbook.written.words import command_problems
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, Option
from holdfast.plan.errors import Problem
from holdfast.runbooks.format.library import Found
from holdfast.runbooks.format.lint import against_plan, coverage, same_names, template


def command(
    session: Session,
    runbooks: Annotated[tuple[str, ...], Argument("names, or paths of files; all of the folder when none is given", "NAME")] = (),
    *,
    strict: Annotated[bool, Option("count warnings as errors, systems without a runbook too")] = False,
) -> int:
    """Check runbooks: their steps, references, roles, the sections of the template; and that every system of the plan has one.

    Reads files only. Exit status 0 when they are fine (warnings allowed), 2 when they are not.
    """
    desk = Desk(session)
    found = [desk.library.find(name) for name in runbooks] if runbooks else desk.library.all()
    promised = desk.promised()
    covering = coverage(promised, desk.library.all() if runbooks else found)
    problems = {each.path: _problems(desk, each) for each in found}
    for problem in same_names(found):
        problems[Path(problem.mark.file)].append(problem)
    listed = [problem for each in problems.values() for problem in sorted(each, key=lambda one: (one.mark, one.message))]
    errors = [problem for problem in listed if problem.severity == "error"]
    good = not errors and not (strict and (len(listed) > len(errors) or covering.uncovered))

    def human() -> None:
        for problem in listed:
            session.out.say(str(problem))
        for name in covering.uncovered:
            session.out.say(f"warning: system {name} has no runbook; holdfast runbook new restore-{name} --system {name}")
        warned = len(listed) - len(errors)
        session.out.say(f"{len(found)} read, {len(errors)} errors, {warned} warnings, {len(covering.uncovered)} systems without a runbook.")

    session.out.result(
        {
            "ok": good,
            "runbooks": [
                {
                    "name": each.name,
                    "file": each.path,
                    "hash": each.snapshot.hash if each.snapshot else None,
                    "ok": not any(problem.severity == "error" for problem in problems[each.path]),
                }
                for each in found
            ],
            "problems": [problem.document() for problem in listed],
            "covered": covering.covered,
            "uncovered": covering.uncovered,
        },
        human,
    )
    return 0 if good else 2


def _problems(desk: Desk, found: Found) -> list[Problem]:
    problems = list(found.problems)
    if found.snapshot is not None:
        file = str(found.path)
        problems += template(found.snapshot, file) + command_problems(found.snapshot, file)
        if desk.plan is not None:
            problems += against_plan(found.snapshot, file, desk.promised())
    return problems
