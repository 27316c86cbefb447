"""Argument parsing that speaks as the rest does: errors are values with a hint, wrong words suggest the nearest right one."""

import argparse
import difflib
import inspect
import shutil
from collections.abc import Iterable
from typing import NoReturn

from holdfast.errors import Usage


class WrongUsage(Usage):
    """The command line cannot be understood."""

    code = "wrong-usage"


class Parser(argparse.ArgumentParser):
    """Raises WrongUsage instead of leaving the process; takes no abbreviations, since scripts outlive them."""

    def __init__(self, prog: str, description: str = "") -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False, add_help=False, formatter_class=_Formatter)

    def error(self, message: str) -> NoReturn:
        """Argparse calls this for everything it finds wrong."""
        raise WrongUsage(f"{self.prog}: {message}.", hint=self._hint(message))

    def freeze_usage(self) -> None:
        """What was added so far is the usage line; what comes later is in the list only."""
        self.usage = " ".join(self.format_usage().removeprefix("usage: ").split()).replace("%", "%%")

    def parse(self, arguments: list[str]) -> argparse.Namespace:
        """Options and arguments in any order. Raises WrongUsage."""
        return self.parse_intermixed_args(arguments)

    def _hint(self, message: str) -> str:
        if message.startswith("unrecognized arguments:"):
            word = message.partition(":")[2].split()[0].partition("=")[0]
            known = [name for action in self._actions for name in action.option_strings]
            close = nearest(word, known) if word.startswith("-") else None
            if close:
                return f"Did you mean {close}?"
        return f"See: {self.prog} --help"


class _Formatter(argparse.HelpFormatter):
    """Keeps paragraphs apart."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32, width=min(shutil.get_terminal_size((100, 24)).columns, 110))

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = inspect.cleandoc(text).split("\n\n")
        return "\n\n".join(super(_Formatter, self)._fill_text(paragraph, width, indent) for paragraph in paragraphs)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like ``word``; None when none is close. (``plan`` has its own: this one must not import it.)"""
    found = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.5)
    return found[0] if found else None
