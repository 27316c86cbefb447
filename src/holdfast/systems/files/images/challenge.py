"""The ``WWW-Authenticate`` header: RFC 9110 section 11.6.1, read within limits."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_MOST = 8192
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_SPACE = re.compile(r"[ \t]*")


@dataclass(frozen=True, slots=True)
class Challenge:
    """``scheme`` and the parameters' names are in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(header: str) -> Sequence[Challenge]:
    """What can be understood of it, in order; the rest is left out. Never raises."""
    text = header[:_MOST]
    found: list[tuple[str, dict[str, str]]] = []
    at = 0
    while at < len(text):
        at = _skip(text, at)
        match = _TOKEN.match(text, at)
        if match is None:
            at += 1
            continue
        name, at = match[0], _after_space(text, match.end())
        if text[at : at + 1] == "=" and found and text[at + 1 : at + 2] != "=":
            value, at = _value(text, _after_space(text, at + 1))
            if value is not None:
                found[-1][1].setdefault(name.lower(), value)
        elif text[at : at + 1] == "=":
            # The padding of a token68.
            at += 1
        else:
            found.append((name.lower(), {}))
    return [Challenge(scheme, parameters) for scheme, parameters in found]


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in ", \t":
        at += 1
    return at


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _value(text: str, at: int) -> tuple[str | None, int]:
    quoted = _QUOTED.match(text, at)
    if quoted:
        return re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL), quoted.end()
    token = _TOKEN.match(text, at)
    return (token[0], token.end()) if token else (None, at + 1)
