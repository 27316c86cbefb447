"""What a command prints. For people: text and tables on stdout. With --json: exactly one document on stdout, all else on stderr."""

import dataclasses
import datetime as dt
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePath
from typing import Any, TextIO

from holdfast.interfaces.cli.terminal.tables import Cell, plain_table


class PipeClosed(Exception):
    """Nobody reads our output any more."""


class Output:
    """``result`` gives the one answer of a command; ``say`` and ``table`` are for people; ``note`` and ``warn`` are asides on stderr."""

    def __init__(self, *, as_json: bool = False, verbose: bool = False, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        self.as_json = as_json
        self.verbose = verbose
        self.stdout = stdout or sys.stdout
        self.stderr = stderr or sys.stderr
        self.printed = False

    @property
    def terminal(self) -> bool:
        """Whether a person reads stdout."""
        return not self.as_json and self.stdout.isatty()

    def result(self, document: Any, human: Callable[[], object] | None = None) -> None:
        """The answer: ``document`` as JSON with --json, else ``human()`` prints it.

        Times become ISO 8601 with zone, durations seconds, models and dataclasses mappings. A second call with --json is a bug.
        """
        if not self.as_json:
            if human:
                human()
            return
        if self.printed:
            raise RuntimeError("a second JSON document on stdout")
        self.printed = True
        self._write(self.stdout, json.dumps(document, indent=2, default=ready, ensure_ascii=False, allow_nan=False) + "\n")

    def say(self, text: str = "") -> None:
        """A line for people: stdout, or stderr with --json."""
        self._write(self.stderr if self.as_json else self.stdout, text + "\n")

    def note(self, text: str) -> None:
        """An aside on stderr."""
        self._write(self.stderr, text + "\n")

    def detail(self, text: str) -> None:
        """An aside shown with --verbose only."""
        if self.verbose:
            self.note(text)

    def warn(self, text: str) -> None:
        """Something doubtful, on stderr."""
        mark = "\x1b[33mwarning\x1b[0m" if self.stderr.isatty() else "warning"
        self._write(self.stderr, f"{mark}: {text}\n")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str | Cell]], *, title: str = "", right: Sequence[int] = ()) -> None:
        """Rows of texts or cells; ``right``: numbers of right-aligned columns. Off a terminal: plain lines with aligned columns."""
        if self.terminal:
            from holdfast.interfaces.cli.terminal.tables import rich_table

            rich_table(self.stdout, columns, rows, title=title, right=right)
            return
        if title:
            self.say(title)
        for line in plain_table(columns, rows, right=right):
            self.say(line)

    def raw(self, text: str) -> None:
        """Text on stdout as it is (help, a document that is not JSON)."""
        self._write(self.stdout, text if text.endswith("\n") else text + "\n")

    def pipe_closed(self) -> bool:
        """Whether stdout is what broke, rather than some connection."""
        try:
            self.stdout.flush()
        except BrokenPipeError:
            return True
        return False

    def _write(self, stream: TextIO, text: str) -> None:
        try:
            stream.write(text)
            stream.flush()
        except BrokenPipeError as error:
            raise PipeClosed from error
        except UnicodeEncodeError:
            encoding = stream.encoding or "ascii"
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def ready(value: Any) -> Any:
    """What ``json`` cannot write itself, in the shape that all commands share."""
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
