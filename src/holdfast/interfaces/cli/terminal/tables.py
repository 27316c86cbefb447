"""Tables: rich on a terminal, aligned plain lines elsewhere."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red", "dim": "dim", "strong": "bold", "": ""}


@dataclass(frozen=True)
class Cell:
    """Text with a meaning: ok, warn, fail, dim or strong. The text alone must say it too: colours do not reach everyone."""

    text: str
    style: str = ""

    def __str__(self) -> str:
        return self.text


def plain_table(columns: Sequence[str], rows: Iterable[Sequence[str | Cell]], *, right: Sequence[int] = ()) -> Iterator[str]:
    """Lines: the header in capitals, then the rows, two spaces between columns."""
    texts = [[column.upper() for column in columns], *([str(cell).replace("\n", " ") for cell in row] for row in rows)]
    widths = [max(len(row[number]) for row in texts) for number in range(len(columns))]
    for row in texts:
        cells = (
            text.rjust(width) if number in right else text.ljust(width)
            for number, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def rich_table(stdout: TextIO, columns: Sequence[str], rows: Iterable[Sequence[str | Cell]], *, title: str, right: Sequence[int]) -> None:
    """Draw on a terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell.text, style=STYLES.get(cell.style, "")) if isinstance(cell, Cell) else Text(cell) for cell in row))
    Console(file=stdout).print(table)
