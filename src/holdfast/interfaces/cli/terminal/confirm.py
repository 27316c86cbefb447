"""Asking before something changes that matters: the person types its name."""

import sys
from typing import TextIO

from holdfast.errors import Refused


class NotConfirmed(Refused):
    """Nobody agreed to a dangerous change."""

    code = "not-confirmed"


def confirm(name: str, change: str, *, yes: bool, stdin: TextIO | None = None, stderr: TextIO | None = None) -> None:
    """Ask for ``name`` before ``change`` ("delete 12 points of the vault"). Returns when agreed; ``yes`` agrees beforehand.

    Raises NotConfirmed for another answer, and where no terminal is there to ask on.
    """
    if yes:
        return
    source, target = stdin or sys.stdin, stderr or sys.stderr
    if not source.isatty():
        raise NotConfirmed(
            f"This would {change}, and nobody is there to ask.", hint="See what it would do with --dry-run; agree with --yes."
        )
    target.write(f"This will {change}.\nType {name} to go on: ")
    target.flush()
    if source.readline().strip() != name:
        raise NotConfirmed("Nothing was changed: that was not the name.", hint=f"Type exactly: {name}")


def ask(question: str, default: str = "", *, stdin: TextIO | None = None, stderr: TextIO | None = None) -> str:
    """One line from a person; ``default`` for an empty one."""
    source, target = stdin or sys.stdin, stderr or sys.stderr
    target.write(f"{question}{f' [{default}]' if default else ''}: ")
    target.flush()
    return source.readline().strip() or default
