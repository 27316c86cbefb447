"""Values out of what an action gave: ``points[0].id`` in its JSON, ``text`` for all that it printed."""

import json
import re
from typing import Any

DEEPEST = 60
TEXT = "text"
_PIECE = re.compile(r"(?:^|\.)(?P<key>[A-Za-z0-9_-]+)|\[(?P<index>-?[0-9]+)\]|\[\"(?P<quoted>[^\"]+)\"\]")


class NotThere(Exception):
    """The path leads nowhere in this document."""


def read_json(text: str | None) -> Any:
    """The document that was printed; None where there is none, or none that a journal could hold: nested too deeply, or with numbers that
    are none (those become null).
    """
    try:
        document = json.loads(text or "", parse_constant=lambda _constant: None)
    except (ValueError, RecursionError):
        return None
    waiting = [(document, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > DEEPEST:
            return None
        below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        waiting += [(each, depth + 1) for each in below]
    return document


def read_path(path: str) -> list[str | int]:
    """The pieces of a path. Raises ValueError."""
    pieces: list[str | int] = []
    at = 0
    while at < len(path):
        found = _PIECE.match(path, at)
        if found is None or found.end() == at:
            raise ValueError(f"'{path}' is no path")
        pieces.append(int(found["index"]) if found["index"] is not None else found["key"] or found["quoted"])
        at = found.end()
    if not pieces:
        raise ValueError("an empty path leads nowhere")
    return pieces


def take(path: str, document: Any, text: str | None) -> Any:
    """The value at ``path``. Raises NotThere; ValueError for what is no path."""
    if path == TEXT:
        if text is None:
            raise NotThere("its output is too large to be a value")
        return text.strip()
    value = document
    for piece in read_path(path):
        try:
            if isinstance(piece, int) != isinstance(value, list) or value is None:
                raise KeyError(piece)
            value = value[piece]
        except (KeyError, IndexError, TypeError):
            raise NotThere(f"there is no {path} in what it gave") from None
    return value


def differs(expect: dict[str, Any], document: Any, text: str | None) -> str | None:
    """Why what was given is not what was expected, with both; None where all agrees."""
    for path, wanted in expect.items():
        try:
            actual = take(path, document, text)
        except NotThere as error:
            return str(error)
        # In Python true is 1; in JSON it is not.
        same = actual is wanted if isinstance(actual, bool) or isinstance(wanted, bool) else actual == wanted
        if not same:
            return f"{path} is {actual!r}, expected {wanted!r}"
    return None
