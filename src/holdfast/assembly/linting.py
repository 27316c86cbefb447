"""What is wrong with a plan that its text does not tell: files that it names, and where its folders and its vault really lie."""

from holdfast.errors import HoldfastError
from holdfast.plan import Plan, Problem


def lint(plan: Plan) -> list[Problem]:
    """Problems of the plan on this machine, in its order. Reads files only."""
    from holdfast.validation.suites import lint as lint_suites

    return sorted((*lint_suites(plan), *_circles(plan)), key=lambda one: (one.mark, one.message))


def _circles(plan: Plan) -> list[Problem]:
    from holdfast.assembly.systems.files import folders
    from holdfast.plan.shape.systems.files import FilesSystem
    from holdfast.systems.files.circle import circle

    found = []
    for name in plan.systems:
        effective = plan.effective(name)
        if not isinstance(effective.spec, FilesSystem) or not effective.spec.paths:
            continue
        mark, path = plan.place(("systems", name, "paths"))
        try:
            error: HoldfastError | None = circle(name, folders(plan, effective))
        except HoldfastError as wrong:  # a pattern that is not understood
            error = wrong
        if error is not None:
            found.append(Problem(mark, path, error.message.rstrip("."), error.hint[:1].lower() + error.hint[1:]))
    return found
