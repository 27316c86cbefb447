"""What to leave out: patterns as in .gitignore (gitignore(5)), the last that fits decides."""

import re
from collections.abc import Callable, Sequence

from holdfast.systems.files.errors import PatternWrong

Excluded = Callable[[str, bool], bool]
"""(path relative to the root, whether it is a folder) → left out?"""


def compile_patterns(patterns: Sequence[str], root: str) -> Excluded | None:
    """None where nothing is left out.

    A pattern with a slash at its beginning or inside is anchored at the root, others fit at any depth; a slash at the end means folders
    only; ``!`` brings back what an earlier one left out (but nothing below a folder that is left out: it is not entered). A pattern that
    begins with the root's own absolute path is anchored there. ``*`` and ``?`` fit no slash, ``**`` any number of folders.
    Raises PatternWrong.
    """
    groups: list[tuple[bool, list[str]]] = []
    for text in patterns:
        pattern = text
        bring_back = pattern.startswith("!")
        if bring_back or pattern.startswith(("\\!", "\\#")):
            pattern = pattern[1:]
        if not pattern.strip("/"):
            raise PatternWrong(f"The pattern {text!r} fits nothing.", hint="Write it as in .gitignore: *.pyc, /build/, logs/**/*.tmp")
        expression = _expression(pattern, root, text)
        if groups and groups[-1][0] == bring_back:
            groups[-1][1].append(expression)
        else:
            groups.append((bring_back, [expression]))
    if not groups:
        return None
    rules = [(bring_back, re.compile("|".join(several), re.DOTALL)) for bring_back, several in reversed(groups)]

    def excluded(path: str, folder: bool) -> bool:
        asked = path + "/" if folder else path
        for bring_back, rule in rules:
            if rule.fullmatch(asked):
                return not bring_back
        return False

    return excluded


def _expression(pattern: str, root: str, said: str) -> str:
    base = root.rstrip("/") + "/"
    if pattern.startswith(base) and len(pattern) > len(base):
        pattern = "/" + pattern[len(base) :]
    folders_only = pattern.endswith("/")
    body = pattern.rstrip("/")
    anchored = "/" in body
    body = body.lstrip("/")
    found = "" if anchored else "(?:.*/)?"
    at = 0
    while at < len(body):
        if body.startswith("**/", at) and (at == 0 or body[at - 1] == "/"):
            found += "(?:.*/)?"
            at += 3
        elif body[at:] == "**" and (at == 0 or body[at - 1] == "/"):
            found += ".+"
            at += 2
        elif body[at] == "*":
            found += "[^/]*"
            at += 1
            while at < len(body) and body[at] == "*":
                at += 1
        elif body[at] == "?":
            found += "[^/]"
            at += 1
        elif body[at] == "[":
            text, at = _set(body, at, said)
            found += text
        elif body[at] == "\\" and at + 1 < len(body):
            found += re.escape(body[at + 1])
            at += 2
        else:
            found += re.escape(body[at])
            at += 1
    return f"(?:{found}{'/' if folders_only else '/?'})"


def _set(body: str, at: int, said: str) -> tuple[str, int]:
    """A set of characters, ``[a-z]`` or ``[!a-z]``; (expression, where the pattern goes on)."""
    end = at + 1
    if end < len(body) and body[end] in "!^":
        end += 1
    if end < len(body) and body[end] == "]":
        end += 1
    while end < len(body) and body[end] != "]":
        end += 2 if body[end] == "\\" else 1
    if end >= len(body):
        raise PatternWrong(f"The pattern {said!r} opens a '[' that nothing closes.", hint="Write \\[ for the character itself.")
    inner = body[at + 1 : end]
    negated = inner[:1] in ("!", "^")
    inner = inner[1:] if negated else inner
    text, i = "", 0
    while i < len(inner):
        if inner[i] == "\\" and i + 1 < len(inner):
            text += re.escape(inner[i + 1])
            i += 2
        else:
            text += inner[i] if inner[i] == "-" else re.escape(inner[i])
            i += 1
    made = f"(?!/)[{'^' if negated else ''}{text}]"
    try:
        re.compile(made)
    except re.error as error:
        raise PatternWrong(f"The set in the pattern {said!r} is not understood: {error}.", hint="Write it as [a-z0-9].") from None
    return made, end + 1
