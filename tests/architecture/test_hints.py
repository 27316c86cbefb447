"""What a hint tells people to type exists: each `holdfast …` in a text of the program names a command of this version, with its options."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from holdfast.interfaces.cli.commands.runbook.written.words import _wrong
from holdfast.interfaces.cli.registry import COMMANDS

SOURCE = Path(__file__).resolve().parents[2] / "src" / "holdfast"
SAID = re.compile(r"holdfast ((?:[a-z]+-?)+(?: (?:--?[a-z][a-z-]*|[A-Za-z_…\[\]{}|=/.-]+))*)")


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Every text that is written in a module, what is inserted into it as a word."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def wrong(text: str) -> Iterator[str]:
    for found in SAID.finditer(text):
        words = found[1].rstrip(".").split()
        options = [word.rstrip(".,:") for word in words if word.startswith("--")]
        if words[0] not in COMMANDS or not options:
            continue  # prose, or a command without options
        path = []
        for word in words:
            if word.startswith("-") or not re.fullmatch(r"[a-z-]+", word):
                break
            path.append(word)
        for option in options:
            problem = next((said for said in (_wrong([*path[:length], option]) for length in (1, 2, 3)) if said is None), "wrong")
            if problem is not None:
                yield f"holdfast {' '.join(words)}: {option}"


def test_commands_in_hints_have_the_options_that_are_named():
    found = [
        f"{path.relative_to(SOURCE)}:{line}: {one}" for path in SOURCE.rglob("*.py") for line, text in texts(path) for one in wrong(text)
    ]
    assert found == []


def test_an_option_that_is_not_there_would_be_seen():
    assert list(wrong("See: holdfast log --verify.")) == ["holdfast log --verify: --verify"]
    assert list(wrong("See: holdfast log, or holdfast vault check --read all")) == []
