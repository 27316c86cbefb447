"""Commands of Holdfast that a runbook names: do they exist in this version, with the options that are given?"""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from holdfast.interfaces.cli.grammar import settings
from holdfast.interfaces.cli.grammar.command import add_parameters
from holdfast.interfaces.cli.grammar.loading import load, there
from holdfast.interfaces.cli.grammar.parser import Parser, nearest
from holdfast.interfaces.cli.registry import COMMANDS, Entry, Group
from holdfast.plan.errors import Mark, Problem
from holdfast.runbooks.format.compile import Snapshot


def command_problems(snapshot: Snapshot, file: str) -> list[Problem]:
    """One error for each ``holdfast:`` action whose words this version does not know."""
    found = []
    for line, argv in _called(snapshot.document):
        wrong = _wrong(argv)
        if wrong is not None:
            found.append(Problem(Mark(file, line, 1), "", *wrong))
    return found


def _called(document: Mapping[str, Any]) -> Iterator[tuple[int, list[str]]]:
    for access in document["needs"]["access"]:
        if access.get("check", {}).get("action", {}).get("name") == "holdfast":
            yield 1, access["check"]["action"]["spec"]["argv"]
    for step in document["steps"]:
        for doing in (step, *(step.get(key, {}) for key in ("probe", "undo", "until"))):
            action = doing.get("action")
            if action and action["name"] == "holdfast":
                yield step["line"], action["spec"]["argv"]


def _wrong(argv: list[str]) -> tuple[str, str] | None:
    table: Mapping[str, Entry | Group] = COMMANDS
    path: list[str] = []
    for number, word in enumerate(argv):
        entry = table.get(word)
        if entry is None or not there(entry):
            known = [name for name, found in table.items() if there(found)]
            close = nearest(word, known)
            said = " ".join(["holdfast", *path])
            return f"{said} has no command '{word}' in this version", f"did you mean '{close}'?" if close else f"see: {said} --help"
        path.append(word)
        if isinstance(entry, Entry):
            return _unknown_option(path, entry, argv[number + 1 :])
        table = entry.entries
    return f"holdfast {' '.join(path)} needs a further word", ""


def _unknown_option(path: list[str], entry: Entry, words: list[str]) -> tuple[str, str] | None:
    if entry.module == "wal":
        return None
    function = load(path, entry)
    parser = Parser(f"holdfast {' '.join(path)}", inspect.getdoc(function) or "")
    add_parameters(parser, function)
    settings.document(parser)
    known = [name for action in parser._actions for name in action.option_strings]  # noqa: SLF001 - argparse lists them nowhere else
    for word in words:
        if word == "--":
            return None
        name = word.partition("=")[0]
        if name.startswith("--") and name not in known:
            close = nearest(name, known)
            return f"holdfast {' '.join(path)} has no option {name}", f"did you mean {close}?" if close else ""
    return None
