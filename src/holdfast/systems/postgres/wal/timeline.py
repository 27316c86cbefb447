r"""Timeline history files: where each timeline was left, and so which log branch holds which stretch of WAL."""

from dataclasses import dataclass
from itertools import pairwise

from holdfast.systems.postgres import lsn


@dataclass(frozen=True, slots=True)
class Switch:
    """``timeline`` was left at ``position`` for the next one."""

    timeline: int
    position: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """A timeline's part of a history: WAL from ``start`` up to ``end`` (None: as far as it goes) belongs to ``timeline``.

    ``history`` is the content of the timeline's history file, ``branch`` the name of its log.
    """

    branch: str
    timeline: int
    start: int
    end: int | None
    history: bytes


def parse_history(content: bytes) -> tuple[Switch, ...]:
    """The lines of a history file, oldest first (PostgreSQL's ``readTimeLineHistory``). Raises ValueError."""
    found = []
    for line in content.decode("utf-8", "replace").splitlines():
        text = line.split("#", 1)[0].strip()
        if text:
            fields = text.split(None, 2)
            if len(fields) < 2:
                raise ValueError(f"not a line of a timeline history: {line!r}")
            found.append(Switch(int(fields[0]), lsn.parse(fields[1])))
    for earlier, later in pairwise(found):
        if later.timeline <= earlier.timeline or later.position < earlier.position:
            raise ValueError(f"timeline {later.timeline} follows timeline {earlier.timeline} in a history")
    return tuple(found)


def parent_history(content: bytes) -> bytes:
    r"""The content of the parent timeline's history file.

    PostgreSQL copies the parent's file and appends ``"\n<timeline>\t<switch>\t<reason>\n"`` (``writeTimeLineHistory``; without the leading
    newline when the parent has no file).
    """
    lines = content.rstrip(b"\n").split(b"\n")[:-1]
    if lines and lines[-1] == b"":
        lines = lines[:-1]
    return b"\n".join(lines) + b"\n" if lines else b""


def ancestry(system_identifier: str, timeline: int, history: bytes) -> tuple[Stretch, ...]:
    """All stretches of the history that leads to ``timeline``, oldest first. Raises ValueError for a history that tells nothing."""
    switches = parse_history(history)
    if timeline > 1 and not switches:
        raise ValueError(f"the history of timeline {timeline} is missing")
    if switches and switches[-1].timeline >= timeline:
        raise ValueError(f"the history of timeline {timeline} names timeline {switches[-1].timeline}")
    contents = [history]
    for _ in switches:
        contents.insert(0, parent_history(contents[0]))
    found, start = [], 0
    for switch, content in zip(switches, contents, strict=False):
        found.append(Stretch(lsn.branch(system_identifier, switch.timeline, content), switch.timeline, start, switch.position, content))
        start = switch.position
    found.append(Stretch(lsn.branch(system_identifier, timeline, history), timeline, start, None, history))
    return tuple(found)


def holder(stretches: tuple[Stretch, ...], position: int) -> Stretch:
    """The stretch that holds the byte at ``position``."""
    return next(one for one in stretches if one.end is None or position < one.end)


def branch_parts(branch: str) -> tuple[str, int]:
    """(system identifier, timeline) of a branch's name. Raises ValueError."""
    system, _, rest = branch.partition("-")
    return system, int(rest.partition("-")[0])
