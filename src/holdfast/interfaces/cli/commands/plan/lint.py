"""``holdfast plan lint``."""

from typing import Annotated

from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option
from holdfast.plan import examine


def command(session: Session, *, strict: Annotated[bool, Option("count warnings as errors")] = False) -> int:
    """Check the plan: keys, values, whether its parts fit together, the suites that it names, and that no system protects its own vault.
    Reads files only: no network, no secrets.

    Exit status 0 when it is fine (warnings allowed), 2 when it is not.
    """
    plan, problems = examine(session.plan_path, session.settings.set)
    if plan is not None:
        from holdfast import assembly

        problems = [*problems, *assembly.lint(plan)]
    errors = [problem for problem in problems if problem.severity == "error"]
    warnings = [problem for problem in problems if problem.severity == "warning"]
    good = not errors and not (strict and warnings)

    def human() -> None:
        for problem in problems:
            session.out.say(str(problem))
        if plan is not None:
            session.out.say(
                f"{session.plan_path}: {'fine' if good else 'not fine'}, {_count(len(plan.systems), 'system')}, "
                f"{_count(len(plan.document.vault.locations), 'location')}, "
                f"{_count(len(errors), 'error') + ', ' if errors else ''}{_count(len(warnings), 'warning')}. {plan.hash}"
            )
            later = [name for name in plan.systems if not plan.effective(name).available]
            if later:
                session.out.say(f"Not there yet in this version, so checked but not protected: {', '.join(later)}")
        else:
            session.out.say(f"{session.plan_path}: {_count(len(errors), 'error')}, {_count(len(warnings), 'warning')}.")

    session.out.result(
        {
            "ok": good,
            "plan": str(session.plan_path),
            "hash": plan.hash if plan else None,
            "systems": list(plan.systems) if plan else [],
            "not_there_yet": [name for name in plan.systems if not plan.effective(name).available] if plan else [],
            "problems": [problem.document() for problem in problems],
        },
        human,
    )
    return 0 if good else 2


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
