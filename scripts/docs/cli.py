"""The reference of the command line, from the registry of commands and their own parameters."""

import argparse
import importlib
import inspect

from holdfast.interfaces.cli.grammar import settings
from holdfast.interfaces.cli.grammar.command import add_parameters
from holdfast.interfaces.cli.grammar.loading import load, there
from holdfast.interfaces.cli.grammar.parser import Parser
from holdfast.interfaces.cli.registry import SECTIONS, Entry, Group

HEAD = """# Command line

This page is generated from the program by `make docs`. `holdfast COMMAND --help` says the same.

Exit status: 0 done; 1 it ran and found something wrong (a failed check, a missed objective); 2 wrong usage or plan; 3 a system or
location could not be reached; 4 refused, because it would destroy or overwrite something; 5 the vault is damaged. Anything else is
a bug. With `--json` one JSON document goes to stdout, everything else to stderr; an error is such a document too
([errors](errors.md))."""


def page() -> str:
    lines = [HEAD, "", "## Everywhere", ""]
    everywhere = Parser("holdfast")
    settings.document(everywhere)
    lines += _parameters(everywhere)
    later: list[str] = []
    for title, entries in SECTIONS.items():
        commands = [([name, *below], entry) for name, found in entries.items() for below, entry in _flat(found)]
        later += [" ".join(path) for path, entry in commands if not there(entry)]
        shown = [(path, entry) for path, entry in commands if there(entry)]
        if shown:
            lines += ["", f"## {title}"]
        for path, entry in shown:
            lines += ["", f"### `holdfast {' '.join(path)}`", "", *_command(path, entry)]
    if later:
        lines += ["", "## Not there yet", "", ", ".join(f"`{name}`" for name in later)]
    return "\n".join(lines) + "\n"


def _flat(found: Entry | Group) -> list[tuple[list[str], Entry]]:
    if isinstance(found, Entry):
        return [([], found)]
    return [([name], entry) for name, entry in found.entries.items()]


def _command(path: list[str], entry: Entry) -> list[str]:
    if entry.module == "wal":
        return [f"{entry.summary[:1].upper()}{entry.summary[1:]}."]
    function = load(path, entry)
    parser = Parser("holdfast " + " ".join(path))
    add_parameters(parser, function)
    lines = [inspect.cleandoc(function.__doc__ or entry.summary)]
    rows = _parameters(parser)
    if rows:
        lines += ["", *rows]
    module = inspect.getmodule(function)
    said = inspect.cleandoc((importlib.import_module(module.__name__).__doc__ or "") if module else "")
    _, marker, shape = said.partition("JSON")
    if marker:
        lines += ["", f"JSON{shape}"]
    return lines


def _parameters(parser: argparse.ArgumentParser) -> list[str]:
    shown = [one for one in parser._actions if one.help != argparse.SUPPRESS and one.dest != "help"]
    if not shown:
        return []
    return ["| | |", "|---|---|", *(f"| `{_name(one)}` | {_text(one)} |" for one in shown)]


def _name(one: argparse.Action) -> str:
    value = str(one.metavar or one.dest.upper()).replace("|", "\\|")
    if not one.option_strings:
        return f"{value}…" if one.nargs in ("*", "+") else value
    names = ", ".join(one.option_strings)
    return names if one.nargs == 0 else f"{names} {value}"


def _text(one: argparse.Action) -> str:
    return " ".join((one.help or "").replace("%%", "%").split()).replace("|", "\\|")
