"""The parts of a runbook's file: front matter, headings, fenced step blocks, and the prose between. Nothing is interpreted here."""

import re
from dataclasses import dataclass

from holdfast.plan.errors import Mark, Problem

_FENCE = re.compile(r"^(?P<indent> {0,9})(?P<ticks>`{3,}|~{3,})[ \t]*(?P<word>[^\s`]*)")
_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.+?)[ \t]*#*$")


@dataclass(frozen=True, slots=True)
class Heading:
    """``line`` counts from 1."""

    level: int
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced ``step`` block. ``first``: the number of the first line inside; ``section``: the heading above it."""

    first: int
    text: str
    section: str

    @property
    def placed(self) -> str:
        """The text, moved down so that a reader of it counts lines as the file does."""
        return "\n" * (self.first - 1) + self.text


@dataclass(frozen=True, slots=True)
class Page:
    """``front`` is placed like a block; '' when there is none. ``body``: the number of the first line after the front matter."""

    front: str
    headings: tuple[Heading, ...]
    blocks: tuple[Block, ...]
    body: int


def split(text: str, file: str) -> tuple[Page, list[Problem]]:
    """Lines as written; a byte order mark and carriage returns are dropped."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    problems: list[Problem] = []
    front, start = "", 0
    if lines[0].rstrip() == "---":
        end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() in ("---", "...")), None)
        if end is None:
            problems.append(Problem(Mark(file, 1, 1), "", "the front matter has no end", "close it with a line of ---"))
            return Page("", (), (), 1), problems
        front, start = "\n" + "\n".join(lines[1:end]), end + 1
    else:
        problems.append(
            Problem(Mark(file, 1, 1), "", "a runbook begins with front matter", "begin with a line of ---, then 'runbook: NAME'")
        )
    headings, blocks = _body(lines, start, file, problems)
    return Page(front, headings, blocks, start + 1), problems


def _body(lines: list[str], start: int, file: str, problems: list[Problem]) -> tuple[tuple[Heading, ...], tuple[Block, ...]]:
    headings: list[Heading] = []
    blocks: list[Block] = []
    number = start
    while number < len(lines):
        line = lines[number]
        fence = _FENCE.match(line)
        if fence is None:
            if heading := _HEADING.match(line):
                headings.append(Heading(len(heading[1]), heading[2], number + 1))
            number += 1
            continue
        end = next((at for at in range(number + 1, len(lines)) if _closes(lines[at], fence["ticks"])), None)
        if end is None:
            problems.append(Problem(Mark(file, number + 1, 1), "", "this block has no end", f"close it with a line of {fence['ticks']}"))
            break
        if fence["word"] == "step":
            blocks.append(Block(number + 2, "\n".join(lines[number + 1 : end]) + "\n", headings[-1].text if headings else ""))
        elif fence["word"].lower().rstrip(":s") == "step":
            hint = "write ```step"
            problems.append(Problem(Mark(file, number + 1, 1), "", f"a block of '{fence['word']}' is not run", hint))
        number = end + 1
    return tuple(headings), tuple(blocks)


def _closes(line: str, ticks: str) -> bool:
    bare = line.strip()
    return len(bare) >= len(ticks) and set(bare) == {ticks[0]}
