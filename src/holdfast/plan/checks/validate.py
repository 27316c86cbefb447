"""Shape: every key known, every value readable; all that is wrong told at once, in the words of the file."""

from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from holdfast.plan.checks.keys import known_keys
from holdfast.plan.errors import BadValue, Problem, did_you_mean
from holdfast.plan.shape.base import Part
from holdfast.plan.shape.document import Document
from holdfast.plan.shape.systems import KINDS, SystemSpec, spec_of
from holdfast.plan.source.tree import Mapping, Pair, Path, Scalar, Tree, beneath, dotted, locate, plain

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "tuple_type": "a list",
    "list_type": "a list",
}


def with_defaults(tree: Mapping) -> Mapping:
    """The tree in which each system has what ``defaults`` says for its kind, where it says nothing itself."""
    systems, defaults = tree.get("systems"), tree.get("defaults")
    if not isinstance(systems, Mapping) or not isinstance(defaults, Mapping):
        return tree
    filled = Mapping(systems.mark)
    for name, pair in systems.pairs.items():
        kind = pair.value.get("kind") if isinstance(pair.value, Mapping) else None
        below = defaults.get(str(kind.value)) if isinstance(kind, Scalar) else None
        given = beneath(below, pair.value) if isinstance(below, Mapping) and isinstance(pair.value, Mapping) else pair.value
        filled.pairs[name] = Pair(pair.mark, given)
    return Mapping(tree.mark, {**tree.pairs, "systems": Pair(tree.pairs["systems"].mark, filled)})


def validate(tree: Mapping) -> tuple[Document | None, list[Problem]]:
    """The checked document (None when its shape is wrong) and every problem of shape."""
    problems: list[Problem] = []
    data = plain(tree)
    systems = _by_kind(tree, "systems", problems)
    defaults = _by_kind(tree, "defaults", problems)
    try:
        document = Document.model_validate(data)
    except ValidationError as error:
        problems += [_problem(tree, Document, (), detail) for detail in error.errors(include_url=False)]
        return None, _unique(problems)
    if problems:
        return None, _unique(problems)
    return document.model_copy(update={"systems": systems, "defaults": defaults}), []


def _by_kind(tree: Mapping, section: str, problems: list[Problem]) -> dict[str, SystemSpec]:
    """Each system, or each kind's defaults, by the model of its kind."""
    found: dict[str, SystemSpec] = {}
    given = tree.get(section)
    for name, pair in (given.pairs if isinstance(given, Mapping) else {}).items():
        kind = _kind(section, name, pair, problems)
        if kind is None:
            continue
        data = plain(pair.value)
        try:
            found[name] = spec_of(kind).model_validate({**data, "kind": kind} if isinstance(data, dict) else data)
        except ValidationError as error:
            problems += [_problem(tree, spec_of(kind), (section, name), detail) for detail in error.errors(include_url=False)]
    return found


def _kind(section: str, name: str, pair: Pair, problems: list[Problem]) -> str | None:
    path = f"{section}.{name}"
    if section == "defaults":
        if name in KINDS:
            return name
        problems.append(Problem(pair.mark, path, f"'{name}' is no kind of system", did_you_mean(name, KINDS)))
        return None
    if not isinstance(pair.value, Mapping):
        problems.append(
            Problem(pair.value.mark, path, f"system '{name}' must be a mapping of keys to values", "begin with 'kind: postgres'")
        )
        return None
    kind = pair.value.pairs.get("kind")
    if kind is None:
        problems.append(Problem(pair.mark, path, f"system '{name}' has no kind", f"add kind: with one of {', '.join(KINDS)}"))
        return None
    word = plain(kind.value)
    if word not in KINDS:
        problems.append(Problem(kind.value.mark, f"{path}.kind", f"'{word}' is no kind of system", did_you_mean(str(word), KINDS)))
        return None
    return cast("str", word)


def _problem(tree: Tree, model: type[Part], prefix: Path, detail: ErrorDetails) -> Problem:
    """One of pydantic's errors in the plan's words and with its place."""
    path, key_mark, value_mark, value = locate(tree, (*prefix, *detail["loc"]))
    inside = tuple(detail["loc"])
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        word = str(inside[-1])
        where = f" in {dotted(path[:-1])}" if len(path) > 1 else ""
        return Problem(key_mark, dotted(path), f"unknown key '{word}'{where}", did_you_mean(word, known_keys(model, inside[:-1])))
    if kind == "missing":
        where = dotted(path) or "the plan"
        return Problem(key_mark, dotted((*path, str(inside[-1]))), f"{where} lacks '{inside[-1]}'", f"add {inside[-1]}:")
    if inside[-1:] == ("[key]",):
        return Problem(key_mark, dotted(path), *_said(detail, path[-1] if path else "", "name"))
    error = context.get("error")
    if kind == "value_error" and isinstance(error, BadValue):
        return Problem(value_mark, dotted(path), f"{dotted(path)}: {error.message}", error.hint)
    message, hint = _said(detail, value.value if isinstance(value, Scalar) else None, "value")
    return Problem(value_mark, dotted(path), f"{dotted(path)}: {message}", hint)


def _said(detail: ErrorDetails, value: Any, what: str) -> tuple[str, str]:
    kind, context = detail["type"], detail.get("ctx", {})
    error = context.get("error")
    if kind == "value_error" and isinstance(error, BadValue):
        return error.message, error.hint
    if kind in _EXPECTED:
        return f"{_EXPECTED[kind]} belongs here", "quote it if it is text" if kind == "string_type" and value is not None else ""
    if kind == "literal_error":
        words = [word.strip(" '") for word in str(context.get("expected", "")).replace(" or ", ",").split(",")]
        return f"'{value}' is not one of {', '.join(words)}", did_you_mean(str(value), words)
    if kind == "string_pattern_mismatch":
        return (
            f"'{value}' is no {what} that works here",
            "use letters, digits, '-', '_' and '.', beginning with a letter or digit; at most 63",
        )
    if kind == "string_too_short":
        return "nothing is written here", "write a value, or leave the key out"
    if kind == "too_short":
        return "this list is empty", "write at least one"
    text = detail["msg"]
    return text[:1].lower() + text[1:], ""


def _unique(problems: list[Problem]) -> list[Problem]:
    """Without repeats: what stands in ``defaults`` is told there, not again for each system that takes it."""
    there = {problem.mark for problem in problems if problem.path.startswith("defaults.")}
    return [problem for problem in dict.fromkeys(problems) if problem.path.startswith("defaults.") or problem.mark not in there]
