"""References to parameters and to outputs of earlier steps: ``${target}``, ``${restore.port}``. A text that is one reference alone becomes
the value itself, with its type; inside a longer text it becomes text. ``$${`` stands for a plain ``${``.

Insertion happens in values that were already taken apart (elements of an argv, JSON values, SQL parameters), so what is inserted can
neither end its place nor begin another.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

REFERENCE = re.compile(r"\$(?P<plain>\$\{)|\$\{(?P<name>[^{}]*)\}")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z][A-Za-z0-9_-]*)?")


def references(value: Any) -> Iterator[str]:
    """Every reference below ``value``, in order, as it is written between the braces."""
    if isinstance(value, str):
        for found in REFERENCE.finditer(value):
            if found["name"] is not None:
                yield found["name"]
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from references(each)


def whole(text: str) -> str | None:
    """The reference that is all of ``text``, else None."""
    found = REFERENCE.fullmatch(text)
    return found["name"] if found else None


def insert(value: Any, values: Mapping[str, Any], form: Callable[[Any], str] | None = None) -> Any:
    """``value`` with every reference replaced from ``values``. Raises KeyError with the reference that has no value.

    ``form`` makes text of what is inserted into a longer text (percent-encoding in a URL).
    """
    if isinstance(value, str):
        name = whole(value)
        if name is not None:
            return values[name]
        return REFERENCE.sub(lambda found: "${" if found["name"] is None else (form or as_text)(values[found["name"]]), value)
    if isinstance(value, Mapping):
        return {key: insert(each, values, form) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [insert(each, values, form) for each in value]
    return value


def as_text(value: Any) -> str:
    """Text as it is; anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
