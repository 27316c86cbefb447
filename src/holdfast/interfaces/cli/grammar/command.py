"""A command's function becomes an argument parser: parameters are annotated, as in

``def command(session: Session, systems: Systems = (), *, label: Annotated[str | None, Option("a name for the point")] = None) -> None:``

Arguments and options may be ``str``, ``int``, ``float``, ``Path``, ``Literal[…]``, any callable class of one text, each with ``| None``;
``tuple[T, …]`` takes several; a ``bool`` option is a flag.
"""

import argparse
import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from holdfast.errors import HoldfastError
from holdfast.interfaces.cli.grammar.parser import Parser, nearest


@dataclass(frozen=True)
class Argument:
    """A word by position."""

    help: str
    metavar: str | None = None


@dataclass(frozen=True, init=False)
class Option:
    """A word by name; ``names`` (``"-o"``, ``"--output"``) when they are not the parameter's own."""

    help: str
    names: tuple[str, ...]
    metavar: str | None

    def __init__(self, help: str, *names: str, metavar: str | None = None) -> None:  # noqa: A002 - as in argparse
        object.__setattr__(self, "help", help)
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "metavar", metavar)


Systems = Annotated[tuple[str, ...], Argument("a name, a glob, or label:team=core; all when none is given", "SYSTEM")]
System = Annotated[str, Argument("a system's name", "SYSTEM")]
DryRun = Annotated[bool, Option("say what would be done, and do nothing")]

Function = Callable[..., int | None]


def add_parameters(parser: Parser, function: Function) -> None:
    """Give the parser what the function's parameters ask for (all but the first, which is the session)."""
    hints = typing.get_type_hints(function, include_extras=True)
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        hint = hints[parameter.name]
        marker = next((found for found in getattr(hint, "__metadata__", ()) if isinstance(found, Argument | Option)), None)
        if marker is None:
            raise TypeError(f"{function.__module__}: parameter '{parameter.name}' is neither Argument nor Option")
        _add(parser, parameter, typing.get_args(hint)[0], marker)


def call(function: Function, session: Any, values: argparse.Namespace) -> int:
    """Run the function with what was parsed."""
    names = list(inspect.signature(function).parameters)[1:]
    given = {name: getattr(values, name) for name in names}
    return function(session, **{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}) or 0


def _add(parser: Parser, parameter: inspect.Parameter, hint: Any, marker: Argument | Option) -> None:
    optional = parameter.default is not inspect.Parameter.empty
    kind, several = _kind(hint)
    settings: dict[str, Any] = {"help": marker.help.replace("%", "%%"), "dest": parameter.name}
    if kind is not bool:
        settings["type"] = _converter(kind)
    if isinstance(marker, Argument):
        settings.pop("dest")
        settings["metavar"] = marker.metavar or parameter.name.upper()
        if several:
            settings["nargs"] = "*" if optional else "+"
        elif optional:
            settings["nargs"] = "?"
        parser.add_argument(parameter.name, default=parameter.default if optional else None, **settings)
        return
    names = marker.names or ("--" + parameter.name.strip("_").replace("_", "-"),)
    if kind is bool:
        action = argparse.BooleanOptionalAction if parameter.default else "store_true"
        parser.add_argument(*names, action=action, default=parameter.default, **settings)
        return
    word = kind if isinstance(kind, type) else None
    settings["metavar"] = marker.metavar or _choices(kind) or {int: "N", float: "N"}.get(word or str, parameter.name.strip("_").upper())
    default = parameter.default if optional else None
    if several:
        settings["action"] = "append"
        default = list(default or ())
    parser.add_argument(*names, default=default, required=not optional, **settings)


def _kind(hint: Any) -> tuple[Any, bool]:
    """(the type of one value, whether several may be given)."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        left = [argument for argument in typing.get_args(hint) if argument is not type(None)]
        return _kind(left[0])
    if typing.get_origin(hint) is tuple:
        return typing.get_args(hint)[0], True
    return hint, False


def _choices(kind: Any) -> str | None:
    return "|".join(str(choice) for choice in typing.get_args(kind)) if typing.get_origin(kind) is Literal else None


def _converter(kind: Any) -> Callable[[str], Any]:
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)

        def choose(text: str) -> Any:
            if text in choices:
                return text
            close = nearest(text, choices)
            raise argparse.ArgumentTypeError(
                f"'{text}' is not one of {', '.join(choices)}" + (f"; did you mean '{close}'?" if close else "")
            )

        return choose

    def convert(text: str) -> Any:
        try:
            return kind(text)
        except HoldfastError:
            raise  # it says more than the parser could
        except (ValueError, TypeError) as error:
            what = {int: "whole number", float: "number"}.get(kind, getattr(kind, "__name__", "value"))
            raise argparse.ArgumentTypeError(f"'{text}' is no {what}") from error

    return convert
