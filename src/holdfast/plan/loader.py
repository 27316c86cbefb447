"""From a file's name to a checked plan, or to every error in it."""

from collections.abc import Mapping as AnyMapping
from collections.abc import Sequence
from pathlib import Path

from holdfast.plan.checks.cross import cross_check
from holdfast.plan.checks.validate import validate, with_defaults
from holdfast.plan.errors import BadValue, PlanInvalid, Problem, did_you_mean
from holdfast.plan.plan import Plan
from holdfast.plan.source.files import Files, shown
from holdfast.plan.source.reader import read
from holdfast.plan.source.tree import Mapping, Plain, Scalar, plain
from holdfast.plan.source.variables import Variables

DEFAULT_NAME = "holdfast.yaml"


def load(path: Path | str = DEFAULT_NAME, settings: AnyMapping[str, Plain] | Sequence[str] = ()) -> Plan:
    """The plan at ``path`` with variables replaced by ``settings`` (a mapping, or ``name=value`` strings as --set takes them).

    Touches no network and resolves no secret. Raises PlanMissing, PlanInvalid (with all problems), BadValue for a wrong setting.
    """
    plan, problems = examine(path, settings)
    if plan is None:
        raise PlanInvalid([problem for problem in problems if problem.severity == "error"])
    return plan


def examine(path: Path | str = DEFAULT_NAME, settings: AnyMapping[str, Plain] | Sequence[str] = ()) -> tuple[Plan | None, list[Problem]]:
    """The plan (None where it has errors) and every problem, warnings too. Raises PlanMissing, BadValue."""
    chosen = dict(settings) if isinstance(settings, AnyMapping) else parse_settings(settings)
    own = Path(path)
    files = Files(chosen)
    tree = files.load(own)
    problems = list(files.problems)
    if problems and not tree.pairs:
        return None, problems
    filled = _filled(tree, chosen, problems)
    whole = with_defaults(filled)
    document, wrong = validate(whole)
    problems += wrong
    if document is not None:
        problems += cross_check(whole, document)
    problems = sorted(set(problems), key=lambda problem: (problem.mark, problem.message))
    if document is None or any(problem.severity == "error" for problem in problems):
        return None, problems
    return Plan(document, own, tuple(files.paths), plain(filled), tuple(problems), whole), problems


def parse_settings(texts: Sequence[str]) -> dict[str, Plain]:
    """``name=value`` strings; values are read as YAML scalars. Raises BadValue."""
    found: dict[str, Plain] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise BadValue(f"--set takes name=value, not '{text}'", hint="For example: --set env=stage")
        tree, _ = read(f"value: {value}" if value.strip() else "value: ''", "--set")
        scalar = tree.get("value")
        found[name.strip()] = scalar.value if isinstance(scalar, Scalar) else value
    return found


def _filled(tree: Mapping, chosen: AnyMapping[str, Plain], problems: list[Problem]) -> Mapping:
    given = tree.get("vars")
    defined = (
        {key: pair.value.value for key, pair in given.pairs.items() if isinstance(pair.value, Scalar)} if isinstance(given, Mapping) else {}
    )
    for name in chosen:
        if name not in defined:
            hint = did_you_mean(name, defined) if defined else f"add it under vars: in {shown(Path(tree.mark.file))}"
            raise BadValue(f"--set {name}: the plan has no variable '{name}'", hint=hint[:1].upper() + hint[1:])
    variables = Variables({**defined, **chosen})
    # include: was read with the variables of its own file; vars: are filled in where they are used.
    rest = Mapping(tree.mark, {key: pair for key, pair in tree.pairs.items() if key not in ("include", "vars")})
    filled = variables.fill(rest)
    problems += variables.problems
    assert isinstance(filled, Mapping)
    return Mapping(filled.mark, {**{key: pair for key, pair in tree.pairs.items() if key in ("include", "vars")}, **filled.pairs})
