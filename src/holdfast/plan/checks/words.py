"""What the checker of shapes found, in the words of the file that a person wrote."""

from collections.abc import Sequence
from typing import Any

from pydantic_core import ErrorDetails

from holdfast.plan.checks.keys import known_keys
from holdfast.plan.errors import BadValue, Problem, did_you_mean
from holdfast.plan.shape.base import Part
from holdfast.plan.source.tree import Path, Scalar, Tree, dotted, locate

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


def in_words(
    tree: Tree, model: type[Part], prefix: Path, detail: ErrorDetails, *, whole: str = "the plan", more: Sequence[str] = ()
) -> Problem:
    """One of pydantic's errors in the file's words and with its place.

    ``whole``: what the outermost mapping is called; ``more``: keys that it may have besides the model's.
    """
    path, key_mark, value_mark, value = locate(tree, (*prefix, *detail["loc"]))
    inside = tuple(detail["loc"])
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        word = str(inside[-1])
        where = f" in {dotted(path[:-1])}" if len(path) > 1 else ""
        return Problem(
            key_mark,
            dotted(path),
            f"unknown key '{word}'{where}",
            did_you_mean(word, [*known_keys(model, inside[:-1]), *(more if len(inside) == 1 else ())]),
        )
    if kind == "missing":
        where = dotted(path) or whole
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
    if kind == "union_tag_invalid":
        words = [word.strip(" '") for word in str(context.get("expected_tags", "")).split(",")]
        return f"'{context.get('tag')}' is no kind of channel", did_you_mean(str(context.get("tag")), words)
    if kind == "union_tag_not_found":
        return "it has no kind", "add kind: slack, pagerduty, jira, servicenow, email, webhook or apprise"
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
