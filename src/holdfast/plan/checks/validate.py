"""Shape: every key known, every value readable; all that is wrong told at once, in the words of the file."""

from collections.abc import Collection
from typing import Any, cast

from pydantic import ValidationError, create_model

from holdfast.plan.checks.words import in_words
from holdfast.plan.errors import Problem, did_you_mean
from holdfast.plan.shape.base import Part
from holdfast.plan.shape.document import Document
from holdfast.plan.shape.systems import KINDS, SystemSpec, spec_of
from holdfast.plan.shape.types import Name
from holdfast.plan.source.tree import Mapping, Pair, Scalar, beneath, plain


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
        given = _given(data if isinstance(data, dict) else {}).model_validate(data)
    except ValidationError as error:
        problems += [in_words(tree, Document, (), detail) for detail in error.errors(include_url=False)]
        return None, _unique(problems)
    if problems:
        return None, _unique(problems)
    said = {name: getattr(given, name) for name in given.model_fields_set}
    parts = {"systems": systems, "defaults": defaults}
    return Document.model_construct(**{**said, **{name: part for name, part in parts.items() if name in said}}), []


def _given(names: Collection[str]) -> type[Part]:
    """``Document`` with no more than the sections that a plan has, or must have: to make a checker of the others costs a short command
    a tenth of its time. Systems and defaults are checked by the models of their kinds.
    """
    fields: dict[str, Any] = {
        name: (field.annotation, field) for name, field in Document.model_fields.items() if name in names or field.is_required()
    }
    by_kind = {"systems": (dict[Name, Any], ...), "defaults": (dict[str, Any], ...)}
    return create_model("Document", __base__=Part, **fields | {name: field for name, field in by_kind.items() if name in fields})


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
            problems += [in_words(tree, spec_of(kind), (section, name), detail) for detail in error.errors(include_url=False)]
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


def _unique(problems: list[Problem]) -> list[Problem]:
    """Without repeats: what stands in ``defaults`` is told there, not again for each system that takes it."""
    there = {problem.mark for problem in problems if problem.path.startswith("defaults.")}
    return [problem for problem in dict.fromkeys(problems) if problem.path.startswith("defaults.") or problem.mark not in there]
