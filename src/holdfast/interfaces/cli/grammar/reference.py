"""The command line and the tree of errors as data: what the reference pages and shell completion are generated from."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import holdfast
from holdfast.errors import HoldfastError
from holdfast.interfaces.cli.failures import BUG
from holdfast.interfaces.cli.grammar import settings
from holdfast.interfaces.cli.grammar.command import add_parameters
from holdfast.interfaces.cli.grammar.loading import load, there
from holdfast.interfaces.cli.grammar.parser import Parser
from holdfast.interfaces.cli.registry import SECTIONS, Entry, Group


@dataclass(frozen=True)
class Parameter:
    """``name`` as it is typed (``SYSTEM...``, ``--label LABEL``)."""

    name: str
    help: str


@dataclass(frozen=True)
class Command:
    """One command that is there. ``description`` is its whole help text; ``usage`` one line."""

    path: str
    section: str
    summary: str
    description: str
    usage: str
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True)
class ErrorKind:
    """One class of the tree of errors; ``family`` is the code of the family it belongs to."""

    code: str
    status: int
    family: str
    meaning: str
    module: str


def commands() -> list[Command]:
    """Every command of this version, in the order of ``--help``. Imports all of them."""
    return [each for section, entries in SECTIONS.items() for each in _below(section, entries, ())]


def everywhere() -> tuple[Parameter, ...]:
    """The options that every command takes."""
    parser = Parser("holdfast")
    settings.document(parser)
    return tuple(_parameters(parser))


def errors() -> list[ErrorKind]:
    """Every error that Holdfast raises on purpose, by status and code. Imports every module, which needs no driver."""
    for module in pkgutil.walk_packages(holdfast.__path__, "holdfast."):
        if not module.name.rpartition(".")[2].startswith("_"):
            importlib.import_module(module.name)
    found = {_kind(each) for each in _tree(HoldfastError) if each.__module__.startswith("holdfast.") and 0 < each.status < BUG}
    return sorted(found, key=lambda kind: (kind.status, kind.code, kind.module))


def _below(section: str, entries: Mapping[str, Entry | Group], path: tuple[str, ...]) -> Iterator[Command]:
    for name, entry in entries.items():
        if isinstance(entry, Group):
            yield from _below(section, entry.entries, (*path, name))
        elif there(entry) and entry.module != "wal":
            yield _command(section, (*path, name), entry)


def _command(section: str, path: tuple[str, ...], entry: Entry) -> Command:
    function = load(list(path), entry)
    parser = Parser("holdfast " + " ".join(path))
    add_parameters(parser, function)
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    return Command(
        " ".join(path), section, entry.summary, inspect.cleandoc(function.__doc__ or entry.summary), usage, tuple(_parameters(parser))
    )


def _parameters(parser: Parser) -> Iterator[Parameter]:
    for action in parser._actions:  # noqa: SLF001 - argparse offers no other way to read a parser
        value = action.metavar if isinstance(action.metavar, str) else ""
        if action.option_strings:
            name = ", ".join(action.option_strings) + (f" {value}" if value and action.nargs != 0 else "")
        else:
            name = value + ("..." if action.nargs in ("*", "+") else "")
        yield Parameter(name, (action.help or "").replace("%%", "%"))


def _tree(top: type[HoldfastError]) -> Iterator[type[HoldfastError]]:
    for below in top.__subclasses__():
        yield below
        yield from _tree(below)


def _kind(error: type[HoldfastError]) -> ErrorKind:
    family = [each for each in error.__mro__ if each is not HoldfastError and issubclass(each, HoldfastError)][-1]
    meaning = " ".join(inspect.cleandoc(error.__doc__ or "").split("\n\n")[0].split())
    return ErrorKind(error.code, error.status, family.code, meaning, error.__module__)
